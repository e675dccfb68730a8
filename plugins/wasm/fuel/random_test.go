package fuel_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"

	"rosterd/plugins/wasm/fuel"
	"rosterd/plugins/wasm/module"
	"rosterd/plugins/wasm/module/asm"
)

// A writer makes valid modules out of bytes: each byte is a choice, and when there are none left it comes to an end.
// What it makes ends by itself: functions call those before them, and each entry and each round takes from a budget
// that the module keeps.
type writer struct {
	choices []byte
	m       asm.Module
	add     uint32 // imports
	note    uint32
	funcs   []signature
	inTable int // functions in the table, which only those behind them call through it
	budget  uint32
	own     []own // its globals

	locals string // of the function at hand, parameters first
	result string
	labels []string // what a branch to each open block takes, innermost last
	depth  int
}

type signature struct {
	sig   string
	index uint32
}

type own struct {
	index  uint32
	letter byte
}

func (w *writer) choose(n int) int {
	if len(w.choices) == 0 || n <= 1 {
		return 0
	}
	c := int(w.choices[0])
	w.choices = w.choices[1:]
	return c % n
}

func randomModule(choices []byte) ([]byte, []step) {
	w := &writer{choices: choices}
	var steps []step
	w.add = w.m.Import("env", "add", "ii:i")
	w.note = w.m.Import("env", "note", "i:")
	w.m.Memory(1, 3)
	w.m.ExportMemory("memory")
	w.m.Table(8)
	w.budget = w.m.Global('i', true, code().I32(2000))
	w.own = []own{
		{w.m.Global('i', true, code().I32(1)), 'i'},
		{w.m.Global('l', true, code().I64(-2)), 'l'},
		{w.m.Global('d', true, code().F64(0.5)), 'd'},
	}
	for i, g := range w.own {
		w.m.ExportGlobal("g"+string(rune('1'+i)), g.index)
	}
	w.m.PassiveData([]byte("some data to copy from"))
	w.m.DataCount()
	sigs := []string{":i", "i:i", "il:l", "d:d", "ii:", "i:il", "v:v", "li:"}
	for i := range 3 + w.choose(5) {
		sig := sigs[w.choose(len(sigs))]
		w.funcs = append(w.funcs, signature{sig, w.function(sig)})
		if i == 1 {
			w.m.Elements(0, w.funcs[0].index, w.funcs[1].index, w.add)
			w.m.ElementsRaw(append([]byte{1, 0, 2}, byte(w.funcs[0].index), byte(w.funcs[1].index)))
			w.inTable = 2
		}
	}
	for i, f := range w.funcs {
		name := "f" + string(rune('0'+i))
		if f.sig == "v:v" {
			continue // vectors cannot be passed from outside
		}
		w.m.Export(name, f.index)
		params := 0
		for ; f.sig[params] != ':'; params++ {
		}
		for range 2 {
			s := step{export: name}
			for p := range params {
				v := uint64(w.choose(256)) * 0x0101_0101
				if f.sig[p] == 'i' {
					v = uint64(uint32(v))
				}
				s.args = append(s.args, v)
			}
			steps = append(steps, s)
		}
	}
	return w.m.Bytes(), steps
}

// function adds one of the type, and is its index.
func (w *writer) function(sig string) uint32 {
	params, results := sig[:bytes.IndexByte([]byte(sig), ':')], sig[bytes.IndexByte([]byte(sig), ':')+1:]
	extra := "ilfdvi"
	w.locals, w.result, w.labels, w.depth = params+extra, results, []string{results}, 0
	c := w.spend(code(), code().Unreachable())
	c = w.statements(c)
	c = w.values(c, results)
	return w.m.Func(sig, extra, c)
}

// spend takes from the budget, and does something else if there is none left.
func (w *writer) spend(c, otherwise asm.Code) asm.Code {
	return c.GlobalGet(w.budget).Op(i32Eqz).If().Add(otherwise).End().
		GlobalGet(w.budget).I32(1).Op(i32Sub).GlobalSet(w.budget)
}

func (w *writer) values(c asm.Code, letters string) asm.Code {
	for i := range letters {
		c = w.value(c, letters[i])
	}
	return c
}

func (w *writer) statements(c asm.Code) asm.Code {
	if w.depth++; w.depth < 6 {
		for range 1 + w.choose(4) {
			c = w.statement(c)
		}
	}
	w.depth--
	return c
}

func (w *writer) local(letter byte) uint32 {
	start := w.choose(len(w.locals))
	for i := range w.locals {
		if j := (start + i) % len(w.locals); w.locals[j] == letter {
			return uint32(j)
		}
	}
	panic("no local of type " + string(letter))
}

func (w *writer) inside(label string, c asm.Code, more func(asm.Code) asm.Code) asm.Code {
	w.labels = append(w.labels, label)
	c = more(c)
	w.labels = w.labels[:len(w.labels)-1]
	return c.End()
}

// A small address or length, so that most of them are good.
func (w *writer) small(c asm.Code) asm.Code {
	if w.choose(3) == 0 {
		return c.I32(int32(w.choose(200)))
	}
	return w.value(c, 'i').I32(0x3fff).Op(0x71)
}

func (w *writer) statement(c asm.Code) asm.Code {
	letter := "ilfdv"[w.choose(5)]
	switch w.choose(24) {
	case 1, 2, 3:
		return w.value(c, letter).LocalSet(w.local(letter))
	case 4:
		g := w.own[w.choose(len(w.own))]
		return w.value(c, g.letter).GlobalSet(g.index)
	case 5:
		return w.value(w.small(c), 'i').I32Store(uint32(w.choose(64)))
	case 6:
		return w.value(w.small(c), 'l').Op(0x37, 3, byte(w.choose(100)))
	case 7:
		return w.value(w.small(c), 'v').Op(0xfd, 11, 4, 0)
	case 8:
		return w.inside("", w.value(c, 'i').If(), func(c asm.Code) asm.Code { return w.statements(w.statements(c).Else()) })
	case 9:
		return w.inside("", c.Block(), w.statements)
	case 10, 11, 12:
		return w.loop(c)
	case 13:
		return w.branch(c)
	case 14:
		return w.small(w.value(w.small(c), 'i')).MemoryFill()
	case 15:
		return w.small(w.small(w.small(c))).MemoryCopy()
	case 16:
		return c.I32(int32(w.choose(50))).I32(int32(w.choose(10))).I32(int32(w.choose(16))).Op(0xfc, 8, 0, 0)
	case 17:
		return w.table(c)
	case 18:
		return w.value(c, 'i').Call(w.note)
	case 19:
		return w.value(c, letter).Drop()
	case 20:
		return w.calls(c, "")
	case 21:
		if w.choose(6) == 0 {
			return c.Unreachable()
		}
		return c.Op(1)
	case 22:
		return w.values(w.value(c, 'i').If(), w.result).Return().End()
	case 23:
		return w.value(c.Op(0xfc, 9+4*byte(w.choose(2)), 0), 'i').Drop() // data.drop, elem.drop
	}
	return c
}

// loop goes round while there is budget and a condition holds.
func (w *writer) loop(c asm.Code) asm.Code {
	if w.choose(3) == 0 { // with a parameter and a result
		return w.inside("i", w.value(c, 'i').LoopOf(w.m.Type("i:i")), func(c asm.Code) asm.Code {
			c = w.spend(c, code().Unreachable())
			c = w.statements(c.LocalSet(w.local('i')))
			return w.value(w.value(c, 'i'), 'i').I32(3).Op(0x71).Op(i32Eqz).BrIf(0)
		}).Drop()
	}
	return w.inside("", c.Loop(), func(c asm.Code) asm.Code {
		c = w.statements(w.spend(c, code().Unreachable()))
		return w.value(c, 'i').I32(7).Op(0x71).BrIf(0)
	})
}

// branch leaves for a block that is open. Loops it would enter again count their rounds.
func (w *writer) branch(c asm.Code) asm.Code {
	to := w.choose(len(w.labels))
	letters := w.labels[len(w.labels)-1-to]
	switch w.choose(3) {
	case 0:
		return w.value(w.values(c, letters), 'i').BrIf(uint32(to)).Repeat(len(letters), code().Drop())
	case 1:
		return w.values(w.value(c, 'i').If(), letters).Br(uint32(to + 1)).End()
	}
	var same []uint32
	for i := range w.labels {
		if w.labels[len(w.labels)-1-i] == letters {
			same = append(same, uint32(i+1))
		}
	}
	return w.value(w.values(w.value(c, 'i').If(), letters), 'i').BrTable(same, uint32(to+1)).End()
}

func (w *writer) table(c asm.Code) asm.Code {
	entry := func(c asm.Code) asm.Code { return c.I32(int32(w.choose(9))) }
	ref := func(c asm.Code) asm.Code {
		if w.inTable == 0 || w.choose(2) == 0 {
			return c.RefNull()
		}
		return c.RefFunc(w.funcs[w.choose(w.inTable)].index)
	}
	switch w.choose(4) {
	case 0:
		return ref(entry(c)).Indexed(0x26, 0)
	case 1:
		return entry(ref(entry(c))).Op(0xfc, 17, 0)
	case 2:
		return entry(entry(entry(c))).Op(0xfc, 14, 0, 0)
	}
	if w.inTable == 0 {
		return c
	}
	return entry(entry(entry(c))).Op(0xfc, 12, 1, 0)
}

// calls calls a function before this one with these results, if there is one.
func (w *writer) calls(c asm.Code, results string) asm.Code {
	for i := range w.funcs {
		f := w.funcs[(i+w.choose(len(w.funcs)))%len(w.funcs)]
		colon := bytes.IndexByte([]byte(f.sig), ':')
		if f.sig[colon+1:] != results {
			continue
		}
		c = w.values(c, f.sig[:colon])
		if w.inTable > 0 && len(w.funcs) > w.inTable && w.choose(2) == 0 {
			return c.I32(int32(w.choose(4))).CallIndirect(w.m.Type(f.sig))
		}
		return c.Call(f.index)
	}
	if results == "" {
		return c
	}
	return w.constant(c, results[0])
}

func (w *writer) constant(c asm.Code, letter byte) asm.Code {
	n := int32(w.choose(256)) - 100
	switch letter {
	case 'i':
		return c.I32(n * (1 + int32(w.choose(3))*1000003))
	case 'l':
		return c.I64(int64(n) * (1 + int64(w.choose(3))*1000000000007))
	case 'f':
		return c.Op(0x43, 0, 0, byte(n)&0x7f, 0x40)
	case 'd':
		return c.F64(float64(n) / 8)
	}
	return c.Op(0xfd, 12).Op(bytes.Repeat([]byte{byte(n)}, 16)...)
}

// value leaves one of the type on the stack.
func (w *writer) value(c asm.Code, letter byte) asm.Code {
	if w.depth++; w.depth > 8 {
		w.depth--
		return c.LocalGet(w.local(letter))
	}
	defer func() { w.depth-- }()
	types := map[byte]byte{'i': 0x7f, 'l': 0x7e, 'f': 0x7d, 'd': 0x7c, 'v': 0x7b}
	switch w.choose(10) {
	case 0:
		return w.constant(c, letter)
	case 1, 2:
		return c.LocalGet(w.local(letter))
	case 3:
		return w.inside(string(letter), c.Op(0x02, types[letter]), func(c asm.Code) asm.Code {
			return w.value(w.statements(c), letter)
		})
	case 4:
		return w.inside(string(letter), w.value(c, 'i').Op(0x04, types[letter]), func(c asm.Code) asm.Code {
			return w.value(w.value(c, letter).Else(), letter)
		})
	case 5:
		return w.value(w.value(w.value(c, letter), letter), 'i').Op(0x1c, 1, types[letter])
	case 6:
		return w.calls(c, string(letter))
	case 7:
		return w.value(c, letter).LocalTee(w.local(letter))
	}
	return w.operator(c, letter)
}

func (w *writer) operator(c asm.Code, letter byte) asm.Code {
	pick := func(ops ...byte) byte { return ops[w.choose(len(ops))] }
	switch letter {
	case 'i':
		switch w.choose(9) {
		case 0:
			return w.value(w.value(c, 'i'), 'i').Op(pick(0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x46, 0x48, 0x49, 0x6d, 0x70))
		case 1:
			return w.small(c).I32Load(uint32(w.choose(64)))
		case 2:
			return w.value(w.value(c, 'l'), 'l').Op(pick(0x51, 0x53, 0x54))
		case 3:
			return w.value(w.value(c, 'd'), 'd').Op(pick(0x61, 0x63, 0x65))
		case 4:
			return w.value(c, 'l').Op(i32Wrap)
		case 5:
			return w.value(c, 'v').Op(0xfd, 27, byte(w.choose(4)))
		case 6:
			return c.I32(int32(w.choose(2))).MemoryGrow().Op(0x3f, 0).I32Add()
		case 7:
			return w.value(c, 'd').Op(0xfc, byte(2+w.choose(2)))
		}
		return c.I32(int32(w.choose(8))).Indexed(0x25, 0).Op(0xd1)
	case 'l':
		switch w.choose(3) {
		case 0:
			return w.value(w.value(c, 'l'), 'l').Op(pick(0x7c, 0x7d, 0x7e, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x7f))
		case 1:
			return w.value(c, 'i').Op(pick(0xac, i64Extend))
		}
		return w.small(c).Op(0x29, 3, 8)
	case 'f':
		return w.value(c, 'i').Op(pick(0xb2, 0xb3))
	case 'd':
		if w.choose(2) == 0 {
			return w.value(w.value(c, 'd'), 'd').Op(pick(0xa0, 0xa1, 0xa2))
		}
		return w.value(c, 'i').Op(pick(0xb7, 0xb8))
	}
	if w.choose(2) == 0 {
		return w.value(c, 'i').Op(0xfd, 0x11)
	}
	return w.value(w.value(c, 'v'), 'v').Op(0xfd, pick(0xae, 0xb1), 1)
}

// A module that is rewritten computes what it does as it is: results, traps, memory, globals, and what it tells the host.
func TestRandom(t *testing.T) {
	ended := map[bool]int{}
	for seed := range uint64(80) {
		choices := make([]byte, 600)
		r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
		r.Read(choices)
		code, steps := randomModule(choices)
		original, _ := both(t, code, steps...)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		for _, c := range original.calls {
			ended[bytes.Contains([]byte(c), []byte(" = "))]++
		}
	}
	if ended[true] < 100 || ended[false] < 50 {
		t.Errorf("%d calls came to an end and %d trapped: the test shows little", ended[true], ended[false])
	}
}

func FuzzSame(f *testing.F) {
	f.Add([]byte{})
	for seed := range byte(20) {
		choices := make([]byte, 300)
		rand.NewChaCha8([32]byte{seed, 1}).Read(choices)
		f.Add(choices)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) > 4000 {
			return
		}
		code, steps := randomModule(choices)
		both(t, code, steps...)
	})
}

// Whatever bytes there are: an error or a module, and what the compiler takes it takes rewritten.
func FuzzRewrite(f *testing.F) {
	for seed := range byte(5) {
		choices := make([]byte, 200)
		rand.NewChaCha8([32]byte{seed, 2}).Read(choices)
		code, _ := randomModule(choices)
		f.Add(code)
	}
	var m asm.Module
	m.Import("env", "add", "ii:i")
	m.Table(4)
	m.Memory(1)
	m.Global('r', false, asm.Code{}.RefFunc(0))
	m.ElementsRaw(append(append([]byte{6, 0}, asm.Code{}.I32(0).End()...), append([]byte{0x70, 1}, asm.Code{}.RefFunc(1).End()...)...))
	m.Func("i:i", "", code().LocalGet(0).If().I32(0).I32(1).LocalGet(0).MemoryFill().End().LocalGet(0))
	m.FuncNames("a", "b")
	f.Add(m.Bytes())
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(64))
	f.Cleanup(func() { r.Close(ctx) })
	f.Fuzz(func(t *testing.T, code []byte) {
		m, err := module.Read(code)
		if err != nil {
			return
		}
		out, err := fuel.Rewrite(m, options)
		if err != nil {
			return
		}
		plain, err := r.CompileModule(ctx, code)
		if err != nil {
			return
		}
		defer plain.Close(ctx)
		rewritten, err := r.CompileModule(ctx, out)
		if err != nil {
			t.Fatalf("rewritten it is refused: %v", err)
		}
		rewritten.Close(ctx)
	})
}
