package compare

import "strings"

// An expectation is a difference that is meant: who has what the other has not, and why. docs/QUIRKS.md and
// docs/MIGRATING.md say more of each.
type expectation struct {
	has   string // software of the server that has the fact, by the beginning of its name; empty: either
	probe string // empty: any
	fact  string // what the fact begins with; empty: any
	why   string
}

const (
	prosody = "Prosody"
	rosterd = "rosterd"
)

var expectations = []expectation{}

// expected is why a server has a fact that the other one, of other software, has not; empty where nobody knows.
func expected(software, other, probe, fact string, there facts) string {
	if software == "" || strings.HasPrefix(software, rosterd) == strings.HasPrefix(other, rosterd) {
		return "" // two of a kind have no reason to differ
	}
	for _, e := range expectations {
		if strings.HasPrefix(software, e.has) && (e.probe == "" || e.probe == probe) && strings.HasPrefix(fact, e.fact) {
			return e.why
		}
	}
	return ""
}
