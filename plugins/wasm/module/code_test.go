package module_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"rosterd/plugins/wasm/module"
	"rosterd/plugins/wasm/module/asm"
)

// show writes instructions as "op[start:end] index/other block depth", leaving out what is zero.
func show(code []byte) (string, error) {
	r := module.FunctionCode(code)
	var b strings.Builder
	for r.Next() {
		fmt.Fprintf(&b, "%x[%d:%d]", uint16(r.Op), r.Start, r.End)
		if r.Index != 0 || r.Other != 0 {
			fmt.Fprintf(&b, " %d/%d", r.Index, r.Other)
		}
		if r.Op == module.OpBlock || r.Op == module.OpLoop || r.Op == module.OpIf {
			fmt.Fprintf(&b, " type %d", r.Block)
		}
		if r.Depth != 0 {
			fmt.Fprintf(&b, " depth %d", r.Depth)
		}
		b.WriteString("; ")
	}
	return strings.TrimSuffix(b.String(), "; "), r.Err()
}

func TestInstructions(t *testing.T) {
	for _, c := range []struct {
		name string
		code []byte
		want string
	}{
		{"nothing", []byte{0x0b}, "b[0:1]"},
		{"indices", []byte{0x20, 0x05, 0x10, 0x80, 0x01, 0x11, 0x02, 0x01, 0x0b}, "20[0:2] 5/0; 10[2:5] 128/0; 11[5:8] 2/1; b[8:9]"},
		{"blocks", []byte{0x02, 0x40, 0x03, 0x7f, 0x04, 0x07, 0x05, 0x0b, 0x0b, 0x01, 0x0b, 0x0b},
			"2[0:2] type -64; 3[2:4] type -1 depth 1; 4[4:6] type 7 depth 2; 5[6:7] depth 2; b[7:8] depth 2; b[8:9] depth 1; 1[9:10] depth 1; b[10:11]; b[11:12]"},
		{"block types", []byte{0x02, 0x80, 0x01, 0x02, 0x3f, 0x02, 0x70, 0x0b, 0x0b, 0x0b, 0x0b}, "2[0:3] type 128; 2[3:5] type 63 depth 1; 2[5:7] type -16 depth 2; b[7:8] depth 2; b[8:9] depth 1; b[9:10]; b[10:11]"},
		{"br_table", []byte{0x0e, 0x03, 0x01, 0x85, 0x01, 0x00, 0x02, 0x0b}, "e[0:7] 2/133; b[7:8]"},
		{"constants", []byte{0x41, 0xff, 0x00, 0x42, 0x80, 0x80, 0x01, 0x43, 1, 2, 3, 4, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, 0x0b}, "41[0:3]; 42[3:7]; 43[7:12]; 44[12:21]; b[21:22]"},
		{"memory", []byte{0x28, 0x02, 0x80, 0x08, 0x3f, 0x00, 0x40, 0x00, 0x0b}, "28[0:4]; 3f[4:6]; 40[6:8]; b[8:9]"},
		{"bulk", []byte{0xfc, 8, 1, 0, 0xfc, 10, 0, 0, 0xfc, 11, 0, 0xfc, 12, 1, 2, 0xfc, 14, 3, 4, 0xfc, 15, 1, 0x0b},
			"fc08[0:4] 1/0; fc0a[4:8]; fc0b[8:11]; fc0c[11:15] 1/2; fc0e[15:19] 3/4; fc0f[19:22] 1/0; b[22:23]"},
		{"vectors", append(append([]byte{0xfd, 12}, make([]byte, 16)...), 0xfd, 0x15, 3, 0xfd, 0x54, 0, 9, 2, 0xfd, 0x80, 0x01, 0x0b),
			"fd0c[0:18]; fd15[18:21] 3/0; fd54[21:26] 2/0; fd80[26:29]; b[29:30]"},
		{"select of a type", []byte{0x1c, 1, 0x6f, 0x0b}, "1c[0:3]; b[3:4]"},
		{"references", []byte{0xd0, 0x70, 0xd1, 0xd2, 0x04, 0x0b}, "d0[0:2]; d1[2:3]; d2[3:5] 4/0; b[5:6]"},
		{"numbers longer than need be", []byte{0x20, 0x85, 0x80, 0x80, 0x80, 0x00, 0x0b}, "20[0:6] 5/0; b[6:7]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := show(c.code)
			if err != nil || got != c.want {
				t.Errorf("got  %s %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestInstructionsMalformed(t *testing.T) {
	for _, c := range []struct {
		name string
		code []byte
		want string
	}{
		{"empty", nil, "offset 0: unexpected end"},
		{"no end", []byte{0x01}, "offset 1: unexpected end"},
		{"one end too few", []byte{0x02, 0x40, 0x0b}, "offset 3: unexpected end"},
		{"behind the end", []byte{0x0b, 0x01}, "offset 0: code behind the last end"},
		{"immediate missing", []byte{0x01, 0x20}, "offset 1: unexpected end"},
		{"index of 33 bits", []byte{0x20, 0xff, 0xff, 0xff, 0xff, 0x1f, 0x0b}, "offset 0: malformed number"},
		{"index of six bytes", []byte{0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x0b}, "offset 0: malformed number"},
		{"i32.const of six bytes", []byte{0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x0b}, "malformed number"},
		{"i64.const of eleven bytes", append(append([]byte{0x42}, bytes.Repeat([]byte{0x80}, 10)...), 0, 0x0b), "malformed number"},
		{"br_table of four billion", []byte{0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b}, "unexpected end"},
		{"try", []byte{0x06, 0x40, 0x0b, 0x0b}, "unknown instruction 0x6"},
		{"return_call", []byte{0x12, 0x00, 0x0b}, "unknown instruction 0x12"},
		{"atomics", []byte{0xfe, 0x00, 0x0b}, "unknown instruction 0xfe"},
		{"misc beyond", []byte{0xfc, 18, 0x0b}, "unknown instruction 0xfc12"},
		{"misc in two bytes", []byte{0xfc, 0x8b, 0x00, 0x00, 0x0b}, "unknown instruction"},
		{"vector hole", []byte{0xfd, 0x9a, 0x01, 0x0b}, "unknown instruction 0xfd9a"},
		{"relaxed vectors", []byte{0xfd, 0x80, 0x02, 0x0b}, "malformed number"},
		{"vector in two bytes that needs one", []byte{0xfd, 0x8c, 0x00, 0x0b}, "malformed number"},
		{"second memory", []byte{0x28, 0x42, 0x01, 0x00, 0x0b}, "alignment"},
		{"reserved byte", []byte{0x40, 0x01, 0x0b}, "reserved byte"},
		{"select of two", []byte{0x1c, 2, 0x7f, 0x7f, 0x0b}, "more than one type"},
		{"unknown block type", []byte{0x02, 0x41, 0x0b, 0x0b}, "block type"},
		{"negative block type in two bytes", []byte{0x02, 0xff, 0x7f, 0x0b, 0x0b}, "malformed number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := show(c.code); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("read %s, %v; want an error with %q", got, err, c.want)
			}
		})
	}
}

func TestConstantCode(t *testing.T) {
	r := module.ConstantCode([]byte{0x23, 0x02, 0x0b, 0xaa, 0xbb})
	end := 0
	for r.Next() {
		end = r.End
	}
	if err := r.Err(); err != nil || end != 3 {
		t.Errorf("the expression ends at %d, %v; want 3", end, err)
	}
}

// Whatever bytes follow an opcode, the compiler and we must agree where the instruction ends. In code that is not reached
// all operands are of the right type, and as long as zeros are instructions themselves, so many as are missing decide.
func TestInstructionsAsCompiled(t *testing.T) {
	immediates := [][]byte{{}, {0x70}, {1, 0x7f}, {0x0b}, {0x40, 0x0b}, {1}, {0, 1}}
	for range 18 {
		last := immediates[len(immediates)-1]
		immediates = append(immediates, append(bytes.Repeat([]byte{0}, len(last)-1), 0))
	}
	var opcodes [][]byte
	for op := range 256 {
		if op < 0x80 {
			opcodes = append(opcodes, []byte{byte(op)}, []byte{0xfc, byte(op)}, []byte{0xfd, byte(op)})
		} else {
			opcodes = append(opcodes, []byte{byte(op)}, []byte{0xfd, byte(op), 1})
		}
	}
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer runtime.Close(ctx)
	accepted := map[bool]int{}
	for _, op := range opcodes {
		for _, i := range immediates {
			code := append(asm.Code{0x00}, op...)
			code = append(code, i...)
			code = append(code, 0x00, 0x00, 0x0b)
			_, err := show(code)
			compiled, compileErr := runtime.CompileModule(ctx, everything(code))
			if compileErr == nil {
				compiled.Close(ctx)
			}
			// What only types could tell is the compiler's.
			if (err == nil) != (compileErr == nil) && (err != nil || !typing(compileErr)) {
				t.Errorf("% x: read %v, compiled %v", code, err, compileErr)
			}
			accepted[err == nil]++
		}
	}
	if accepted[true] < 1000 || accepted[false] < 1000 {
		t.Errorf("%v of both kinds: the test shows little", accepted)
	}
}

// everything is a module in which each index 0 leads to something, with the code as a function.
func everything(code []byte) []byte {
	var m asm.Module
	f := m.FuncRaw("i:", append([]byte{0}, code...))
	m.Memory(1, 1)
	m.Table(1, 1)
	m.Global('i', true, asm.Code{}.I32(0))
	m.Elements(0, f)
	m.PassiveData([]byte("x"))
	m.DataCount()
	return m.Bytes()
}

// typing says whether the compiler only minds types or what an index leads to.
func typing(err error) bool {
	for _, s := range []string{"type mismatch", "memory alignment", "too many results", "else instruction", "index", "param given for br", "not found", "unknown function"} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}

func FuzzInstructions(f *testing.F) {
	f.Add([]byte{0x02, 0x40, 0x20, 0x00, 0x0d, 0x00, 0x0b, 0x0b})
	f.Add([]byte{0x0e, 0x02, 0x00, 0x80, 0x01, 0x00, 0xfc, 0x0a, 0x00, 0x00, 0x0b})
	f.Add([]byte{0xfd, 0x54, 0x00, 0x10, 0x03, 0xfd, 0x80, 0x01, 0x42, 0xff, 0x00, 0x0b})
	f.Fuzz(func(t *testing.T, code []byte) {
		r := module.FunctionCode(code)
		end := 0
		for r.Next() {
			if r.Start != end || r.End <= r.Start || r.End > len(code) {
				t.Fatalf("an instruction from %d to %d, and the one before ended at %d of %d", r.Start, r.End, end, len(code))
			}
			end = r.End
		}
		if r.Err() == nil && end != len(code) {
			t.Fatalf("read up to %d of %d", end, len(code))
		}
		if r.Next() {
			t.Fatal("goes on behind the end")
		}
	})
}

func BenchmarkInstructions(b *testing.B) {
	code := asm.Code{}.Repeat(10_000, asm.Code{}.LocalGet(0).I32(1000).I32Add().LocalSet(0).Block().LocalGet(0).BrIf(0).LocalGet(0).I32Load(8).Drop().End()).End()
	b.SetBytes(int64(len(code)))
	for b.Loop() {
		r := module.FunctionCode(code)
		for r.Next() {
		}
		if r.Err() != nil {
			b.Fatal(r.Err())
		}
	}
}
