package fuel_test

import (
	"fmt"
	"testing"

	"rosterd/plugins/wasm/module/asm"
)

const mebibyte = 1 << 20

// long is a module of four mebibytes, not one like the other, that fills and copies what it is told to.
func long() []byte {
	var m asm.Module
	m.Memory(64)
	m.ExportMemory("memory")
	m.Export("fill", m.Func("iii:", "", code().LocalGet(0).LocalGet(1).LocalGet(2).MemoryFill()))
	m.Export("copy", m.Func("iii:", "", code().LocalGet(0).LocalGet(1).LocalGet(2).MemoryCopy()))
	// Each word is its own address, times a prime.
	m.Export("mark", m.Func(":", "i", code().Loop().
		LocalGet(0).LocalGet(0).I32(16777619).Op(0x6c).I32Store(0).
		LocalGet(0).I32(4).I32Add().LocalTee(0).I32(4*mebibyte).Op(0x49).BrIf(0).End()))
	return m.Bytes()
}

// What is done in pieces has the same outcome as what is done at once, wherever it begins and ends.
func TestPieces(t *testing.T) {
	lengths := []uint64{0, 1, mebibyte - 1, mebibyte, mebibyte + 1, 2 * mebibyte, 2*mebibyte + 7, 3*mebibyte + 1, 4 * mebibyte, 1 << 31, 1<<32 - 1}
	places := []uint64{0, 1, 5, mebibyte, mebibyte + 3, 4*mebibyte - 1, 4 * mebibyte, 1<<32 - 1}
	fill, copies := []step{call("mark")}, []step{call("mark")}
	for _, n := range lengths {
		for _, at := range places {
			fill = append(fill, call("fill", at, n%251, n))
			for _, from := range places {
				copies = append(copies, call("copy", at, from, n))
			}
		}
	}
	m := long()
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"fill", fill}, {"copy", copies},
		{"copy to the next byte", []step{call("mark"), call("copy", 1, 0, 4*mebibyte-1)}},
		{"copy to the byte before", []step{call("mark"), call("copy", 0, 1, 4*mebibyte-1)}},
		{"copy by a piece and a byte", []step{call("mark"), call("copy", mebibyte+1, 0, 3*mebibyte-1), call("copy", 0, mebibyte+1, 3*mebibyte-1)}},
	} {
		t.Run(c.name, func(t *testing.T) { both(t, m, c.steps...) })
	}
}

// Others get their turn between two pieces, and the whole is paid for.
func TestPiecesTick(t *testing.T) {
	for _, s := range []step{
		call("fill", 0, 1, 4*mebibyte), call("copy", 0, 1, 4*mebibyte-1), call("copy", 1, 0, 4*mebibyte-1),
	} {
		t.Run(fmt.Sprint(s.export, s.args), func(t *testing.T) {
			out := rewrite(t, long())
			rec := (&player{budget: 1 << 40, every: 1000}).play(t, out, s)
			if units := s.args[2] / 8; rec.ticks < 4 || rec.used < int64(units) || rec.used > int64(units)+500 {
				t.Errorf("%d ticks, %d units for %d", rec.ticks, rec.used, units)
			}
			short := (&player{budget: mebibyte / 8, every: 1000}).play(t, out, s)
			if want := fmt.Sprintf("%s%v: no fuel left", s.export, s.args); short.calls[0] != want {
				t.Errorf("with fuel for a piece: %s", short.calls[0])
			}
		})
	}
}
