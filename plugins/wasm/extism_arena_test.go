package wasm

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestArena(t *testing.T) {
	a := newArena(1 << 20)
	if at := a.alloc(0); at != 0 {
		t.Errorf("nothing is at %d", at)
	}
	one, two := a.alloc(5), a.alloc(9)
	for _, c := range []struct {
		name     string
		at       uint64
		length   uint64
		readable bool
	}{
		{"null", 0, 0, false},
		{"before the first", one - 1, 0, false},
		{"the first", one, 5, true},
		{"inside of the first", one + 1, 0, true},
		{"the second", two, 9, true},
		{"its last byte", two + 15, 0, true},
		{"behind the last", two + 16, 0, false},
		{"near 2^32", 1<<32 - 1, 0, false},
		{"at 2^32", 1<<32 + one, 0, false},
		{"negative", 1<<64 - 8, 0, false},
		{"wraps", 1<<64 - 1, 0, false},
	} {
		if n := a.length(c.at); n != c.length {
			t.Errorf("%s has %d bytes", c.name, n)
		}
		if _, ok := a.load8(c.at); ok != c.readable {
			t.Errorf("%s: load8 %v", c.name, ok)
		}
		if ok := a.store8(c.at, 0); ok != c.readable {
			t.Errorf("%s: store8 %v", c.name, ok)
		}
		if _, ok := a.load64(c.at - 7); c.at > 7 && ok != (c.readable && c.at >= arenaStart+7) {
			t.Errorf("%s: load64 that ends there: %v", c.name, ok)
		}
		if ok := a.store64(c.at, 0); ok && !c.readable {
			t.Errorf("%s: store64", c.name)
		}
	}
	if !a.store64(one, 0x0807060504030201) {
		t.Fatal("store64")
	}
	if b, ok := a.block(one); !ok || !bytes.Equal(b, []byte{1, 2, 3, 4, 5}) {
		t.Errorf("%v %v", b, ok)
	}
}

// What is freed is used again, of the same size and of others, but not what is the output.
func TestArenaFree(t *testing.T) {
	a := newArena(1 << 20)
	large := a.alloc(1000)
	a.alloc(8)
	a.free(large)
	a.free(large) // which is no block any more
	a.free(1234567)
	if n := a.length(large); n != 0 {
		t.Errorf("freed, and %d bytes long", n)
	}
	if at := a.alloc(900); at != large || a.length(at) != 900 {
		t.Errorf("a smaller one is at %d, not %d", at, large)
	}
	if at := a.alloc(900); at == large {
		t.Error("one place for two")
	}
	out := a.alloc(100)
	if !a.setOutput(out, 100) {
		t.Fatal("no output")
	}
	a.free(out)
	if at := a.alloc(100); at == out {
		t.Error("the output is used again")
	}
	inside := a.alloc(100)
	a.setOutput(inside+10, 5)
	a.free(inside)
	if at := a.alloc(100); at == inside {
		t.Error("a block with the output in it is used again")
	}
	for range 1_000_000 { // what is given back costs nothing
		if a.free(a.alloc(4096)); a.refused {
			t.Fatal("refused")
		}
	}
}

func TestArenaLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		size uint64
		most uint64 // blocks
	}{
		{"bytes", 1, arenaLimit / (8 + blockCost)},
		{"pages", 64 << 10, arenaLimit / (64<<10 + blockCost)},
		{"all at once", arenaLimit - blockCost, 1},
		{"a byte more", arenaLimit - blockCost + 1, 0},
		{"4 GiB", 1 << 32, 0},
		{"4 GiB and a byte", 1<<32 + 1, 0},
		{"half of all", 1 << 63, 0},
		{"all there is", 1<<64 - 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newArena(0)
			n := uint64(0)
			for a.alloc(c.size) != 0 {
				n++
			}
			if n != c.most || !a.refused {
				t.Errorf("%d blocks, not %d; refused %v", n, c.most, a.refused)
			}
			if len(a.bytes) > arenaLimit+arenaStart {
				t.Errorf("%d bytes", len(a.bytes))
			}
		})
	}
}

// What the host has to say takes nothing of what the plugin may allocate, and is bounded itself.
func TestArenaHost(t *testing.T) {
	a := newArena(10_000)
	if at, ok := a.put(nil); at != 0 || !ok {
		t.Error("nothing is somewhere")
	}
	at, ok := a.put(bytes.Repeat([]byte("x"), 9000))
	if !ok || a.length(at) != 9000 {
		t.Fatalf("%d bytes, %v", a.length(at), ok)
	}
	if _, ok := a.put(make([]byte, 1000)); ok {
		t.Error("more than the host may")
	}
	if a.alloc(arenaLimit-blockCost) == 0 {
		t.Error("what the host has put is missing")
	}
	if a.alloc(1) != 0 {
		t.Error("what the host may put is the plugin's")
	}
	if !a.setInput([]byte(`{"op":"init"}`)) || a.input.used != 13 {
		t.Errorf("input of %d bytes", a.input.used)
	}
	a.free(uint64(a.input.at))
	if a.input.used != 0 {
		t.Errorf("input of %d bytes that was freed", a.input.used)
	}
}

// FuzzArena does what somebody might do who knows everything, and compares it with blocks that are apart.
func FuzzArena(f *testing.F) {
	f.Add([]byte{0, 100, 0, 200, 1, 0, 0, 50, 2, 1, 0, 3, 4, 1, 1, 1, 0, 9})
	f.Add(bytes.Repeat([]byte{0, 255}, 100))
	f.Add(bytes.Repeat([]byte{0, 16, 1, 0}, 100))
	f.Fuzz(func(t *testing.T, ops []byte) {
		a := newArena(1 << 12)
		type copied struct {
			at  uint64
			was []byte
		}
		var live []copied
		for i := 0; i+1 < len(ops); i += 2 {
			v := ops[i+1]
			pick := func() int { return int(v) % len(live) }
			switch op := ops[i] % 6; {
			case op == 0, len(live) == 0:
				n := uint64(v) * 3
				at := a.alloc(n)
				if at == 0 {
					if n != 0 && !a.refused {
						t.Fatalf("%d bytes: 0, and nothing was refused", n)
					}
					continue
				}
				if a.length(at) != n || at%8 != 0 {
					t.Fatalf("%d bytes at %d are %d", n, at, a.length(at))
				}
				for k := range n {
					if !a.store8(at+k, v) {
						t.Fatalf("byte %d of %d at %d", k, n, at)
					}
				}
				live = append(live, copied{at, bytes.Repeat([]byte{v}, int(n))})
			case op == 1:
				k := pick()
				a.free(live[k].at)
				if a.length(live[k].at) != 0 {
					t.Fatal("freed, and still there")
				}
				live = append(live[:k], live[k+1:]...)
			case op == 2:
				if b := live[pick()]; len(b.was) >= 8 {
					binary.LittleEndian.PutUint64(b.was, uint64(v)<<32)
					if !a.store64(b.at, uint64(v)<<32) {
						t.Fatal("store64 in a block")
					}
				}
			case op == 3:
				b := live[pick()]
				if !a.setOutput(b.at, uint64(len(b.was))) || !bytes.Equal(a.result(), b.was) {
					t.Fatal("output")
				}
			case op == 4:
				if at, ok := a.put(ops[:i]); ok && at != 0 {
					live = append(live, copied{at, bytes.Clone(ops[:i])})
				}
			case op == 5: // anywhere
				at := binary.LittleEndian.Uint64(append(bytes.Clone(ops[i:]), make([]byte, 8)...))
				if x, ok := a.load64(at); ok != a.store64(at, x) || ok && at < arenaStart {
					t.Fatalf("load and store at %d", at)
				}
				a.free(at | 1) // blocks begin at even offsets
			}
			for _, b := range live {
				if got, ok := a.block(b.at); !ok || !bytes.Equal(got, b.was) {
					t.Fatalf("block at %d: %v %q, not %q", b.at, ok, got, b.was)
				}
			}
		}
	})
}
