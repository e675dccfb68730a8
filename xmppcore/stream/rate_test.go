package stream

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestRate(t *testing.T) {
	at := time.Unix(1000, 0)
	r := newRate(1000, 2*time.Second)
	r.at = at
	for _, step := range []struct {
		name  string
		after time.Duration
		n     int
		want  time.Duration
	}{
		{"what was saved up", 0, 2000, 0},
		{"nothing left", 0, 500, 500 * time.Millisecond},
		{"debts add up", 0, 500, time.Second},
		{"paid for", time.Second, 0, 0},
		{"as fast as allowed", time.Second, 1000, 0},
		{"no more than burst is saved", time.Hour, 2500, 500 * time.Millisecond},
	} {
		at = at.Add(step.after)
		if got := r.spend(step.n, at); got != step.want {
			t.Errorf("%s: wait %v, want %v", step.name, got, step.want)
		}
	}
}

func TestRatePauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRate(100, time.Second)
		begin := time.Now()
		r.Pause(100)
		if took := time.Since(begin); took != 0 {
			t.Errorf("waited %v for what was saved up", took)
		}
		r.Pause(1000)
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("waited %v, want 10s", took)
		}
		time.AfterFunc(time.Second, r.Lift)
		r.Pause(1000)
		if took := time.Since(begin); took != 11*time.Second {
			t.Errorf("waited until %v although nobody was to wait any longer", took)
		}
		r.Lift()
	})
}

func TestNoRate(t *testing.T) {
	l := Limits{}.Defaults()
	if newRate(l.Rate, l.Burst) != nil {
		t.Error("there is a limit by default")
	}
	newRate(l.Rate, l.Burst).Pause(1 << 30)
	newRate(l.Rate, l.Burst).Lift()
}

func TestLimits(t *testing.T) {
	l := Limits{Stanza: 5000, PerAddress: -1, WriteStall: -1, Attempts: 5}.Defaults()
	if l.Stanza != 10000 || l.PerAddress != countless || l.WriteStall != endless || l.Attempts != 5 {
		t.Errorf("%+v", l)
	}
	l = Limits{}.Defaults()
	if l.Unauthenticated != 2000 || l.PerAddress != 20 || l.Negotiation != 16384 || l.Authenticate != 15*time.Second ||
		l.Bind != 15*time.Second || l.Attempts != 3 || l.Stanza != 262144 || l.WriteStall != 20*time.Second || l.Close != 5*time.Second {
		t.Errorf("%+v", l)
	}
}
