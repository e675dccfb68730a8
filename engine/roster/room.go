package roster

// Room is what the groups of many contacts are read into on their way to a Builder. Most contacts have one group: those
// share an array. Of several the Builder makes its own, so that the room for them is used again.
type Room struct{ single, several []string }

// Groups are n groups of the next contact, to be set before the next call. So many contacts more are expected at most,
// this one included.
func (r *Room) Groups(n, more int) []string {
	if n != 1 {
		if n > cap(r.several) {
			r.several = make([]string, n)
		}
		return r.several[:n]
	}
	if len(r.single) == 0 {
		r.single = make([]string, max(1, min(more, 1024)))
	}
	g := r.single[:1:1]
	r.single = r.single[1:]
	return g
}
