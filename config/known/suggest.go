package known

// Suggest returns the name nearest to a misspelt one, or "". One edit is allowed, two from twelve
// characters up: on real files two edits in short names gave wrong hints more often than right ones.
// Ties go to the name that comes first.
func Suggest(name string, candidates []string) string {
	limit := 1
	if len(name) >= 12 {
		limit = 2
	}
	best, found := limit+1, ""
	for _, c := range candidates {
		if c == name || len(c) < 3 {
			continue
		}
		if d := distance(name, c, limit); d < best {
			best, found = d, c
		}
	}
	return found
}

// distance counts insertions, deletions, substitutions and swaps of neighbours; beyond limit it
// returns limit+1. Names are ASCII in practice, so bytes will do.
func distance(a, b string, limit int) int {
	if len(a) > 64 || len(b) > 64 || len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return min(above[len(b)], limit+1)
}
