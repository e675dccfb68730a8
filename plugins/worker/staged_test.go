//go:build linux

package worker

import (
	"log/slog"
	"testing"
	"time"

	"rosterd/plugins"
)

// theatre has a clock and a chance of its own.
type theatre struct {
	world
	n byte
}

func (w *theatre) Now() time.Time { return time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC) }

func (w *theatre) Random(b []byte) {
	for i := range b {
		w.n++
		b[i] = w.n
	}
}

// TestStaged: a trial sets the clock and the chance of a child, and nobody else does.
func TestStaged(t *testing.T) {
	for _, set := range []bool{true, false} {
		open := Opener(Settings{Log: slog.New(slog.DiscardHandler), Staged: set})
		p, err := open(t.Context(), plugins.Source{Name: "stage", File: "mod_stage.stage"}, plugins.Host{Name: "example.com"}, plugins.NewOptions(nil), &theatre{})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"2026-02-03T04:05:06.000000007Z 01020304", "2026-02-03T04:05:06.000000007Z 05060708"} {
			_, err := p.Fetch(t.Context(), as("when"))
			if err == nil || (err.Error() == want) != set {
				t.Errorf("staged %v: %v, want %s", set, err, want)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		await(t, p.(*Plugin).done, "the end of the worker")
	}
}
