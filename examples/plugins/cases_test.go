package plugins_test

import (
	"testing"

	"rosterd/plugins"
	"rosterd/plugins/trial"
)

// TestCases runs the cases of every example, as rosterd plugin test does.
func TestCases(t *testing.T) {
	for _, name := range examples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			subject, err := trial.Find(name, ".lua")
			if err != nil {
				t.Fatal(err)
			}
			files, err := subject.Cases()
			if err != nil {
				t.Fatal(err)
			}
			if len(files) < 5 {
				t.Errorf("%d cases: the good answer, the unknown user, the outage, the refused token, the one that is not as agreed", len(files))
			}
			for _, file := range files {
				c, err := trial.Load(name, file)
				if err != nil {
					t.Error(err)
					continue
				}
				t.Run(c.Name(), func(t *testing.T) {
					p, err := trial.Trial{Subject: subject, Case: c, Manager: &plugins.Manager{Engines: engines()}}.Open(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					defer p.Close()
					out, err := p.Call(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					for _, problem := range c.Judge(out) {
						t.Error(problem)
					}
				})
			}
		})
	}
}
