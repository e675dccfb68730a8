package roster

import (
	"fmt"
	"strings"
	"testing"

	"rosterd/engine/addr"
)

// What is beyond the limit is counted and not kept, whether or not it could be a contact.
func TestBuilderFull(t *testing.T) {
	for name, c := range map[string]struct {
		good, bad int
		want      string
	}{
		"as many as there may be":     {3, 3, ""},
		"too many":                    {100, 0, "100 contacts, more than 3"},
		"many that are none":          {0, 100, ""},
		"too many that are none":      {0, 2 * maxBad, "200000 contacts, more than 3"},
		"too many, and some are none": {100, 2, "102 contacts, more than 3"},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBuilder(addr.MustBare("me@example.com"), Limits{Items: 3})
			for i := range c.bad {
				b.Add(fmt.Sprintf("@%d", i), Item{})
			}
			for i := range c.good {
				b.Add(fmt.Sprintf("c%d@example.com", i), Item{})
			}
			if len(b.items) > 3+1 || len(b.bad) > maxBad+1 {
				t.Errorf("%d contacts are kept, and %d named", len(b.items), len(b.bad))
			}
			r, bad, err := b.Roster()
			switch {
			case c.want == "" && (err != nil || r.Len() != c.good || len(bad) != c.bad):
				t.Errorf("%d contacts, %v: %v", r.Len(), bad, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			case b.Full() != (c.want != ""):
				t.Errorf("full: %t", b.Full())
			}
		})
	}
}
