package vm_test

import (
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

// run gives what the chunk returns, as text.
func run(t *testing.T, s *vm.State, code string) (got string) {
	t.Helper()
	proto, err := vm.Compile("test", []byte(code))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(t.Context(), func(l *lua.LState) error {
		l.Push(l.NewFunctionFromProto(proto))
		l.Call(0, 1)
		got = l.ToStringMeta(l.Get(-1)).String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	s := vm.New(vm.Limits{})
	defer s.Close()
	s.SetClock(func() time.Time { now = now.Add(time.Second); return now })
	for _, tt := range []struct{ code, want string }{ // Run asks once
		{`return os.date("!%H:%M:%S")`, "04:05:08"},
		{`return os.time()`, "1770091510"},
		{`return os.time() - os.time()`, "-1"},
		{`return os.clock()`, "1"},
		{`return os.clock() + os.clock()`, "3"},
	} {
		if got := run(t, s, tt.code); got != tt.want {
			t.Errorf("%s: %s, not %s", tt.code, got, tt.want)
		}
	}
}

// Each run's random numbers begin anew, whatever the one before has done with its own.
func TestEntropy(t *testing.T) {
	s := vm.New(vm.Limits{})
	defer s.Close()
	seed := byte(1)
	s.SetEntropy(func(b []byte) {
		for i := range b {
			b[i] = seed
		}
	})
	const numbers = `return math.random(1000000) .. " " .. math.random(1000000)`
	first := run(t, s, numbers)
	if again := run(t, s, numbers); again != first {
		t.Errorf("%s, then %s", first, again)
	}
	if again := run(t, s, "math.randomseed(); "+numbers); again != first {
		t.Errorf("%s, then after randomseed() %s", first, again)
	}
	chosen := run(t, s, "math.randomseed(42); "+numbers)
	if chosen == first {
		t.Error("randomseed(42) changes nothing")
	}
	if again := run(t, s, numbers); again != first {
		t.Errorf("%s, then after the run with another seed %s", first, again)
	}
	if again := run(t, s, "math.randomseed(42); "+numbers); again != chosen {
		t.Errorf("randomseed(42): %s, then %s", chosen, again)
	}
	if seed = 2; run(t, s, numbers) == first {
		t.Error("other entropy, the same numbers")
	}
}

func TestNobodyGuesses(t *testing.T) {
	s := vm.New(vm.Limits{})
	defer s.Close()
	const number = `return math.random(0)`
	if first, second := run(t, s, number), run(t, s, number); first == second {
		t.Error("two runs begin with the same random number")
	}
}
