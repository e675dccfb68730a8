package plugins_test

import (
	"strings"
	"testing"
	"time"

	"rosterd/plugins"
	"rosterd/plugins/trial"
)

// TestFuzz: whoever tries rosterd plugin fuzz on an example finds nothing, and no case of it is a fault already.
func TestFuzz(t *testing.T) {
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
			var cases []*trial.Case
			for _, file := range files {
				c, err := subject.Load(file)
				if err != nil {
					t.Fatal(err)
				}
				cases = append(cases, c)
			}
			if done := fuzzed(t, subject, cases); len(done.LeftOut) > 0 {
				t.Errorf("left out: %v", done.LeftOut)
			}
		})
	}
}

// fuzzed has a plugin read a few hundred changed answers, always the same. It ends when they are read, and not with a time.
func fuzzed(t *testing.T, subject trial.Subject, cases []*trial.Case) trial.Fuzzed {
	t.Helper()
	const hour = time.Hour
	f := trial.Fuzz{
		Subject: subject, Cases: cases, Seed: 7, Count: 400, Time: hour, Limit: hour,
		Manager: func() *plugins.Manager { return &plugins.Manager{Engines: engines(), Cache: native} },
	}
	done, err := f.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range done.Findings {
		t.Errorf("call %d, of case %s: %v\n%s", x.Call, x.From, x.Err, strings.Join(x.Record.Shown(), "\n"))
	}
	return done
}
