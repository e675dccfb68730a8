package fuel_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"rosterd/plugins/wasm/fuel"
	"rosterd/plugins/wasm/module"
	"rosterd/plugins/wasm/module/asm"
)

// scanner counts the quotes in memory that no backslash stands before, as one who reads JSON does.
func scanner() []byte {
	var m asm.Module
	m.Memory(1)
	m.ExportMemory("memory")
	// locals: end, quotes, byte; parameter: position
	m.Export("run", m.Func("ii:i", "ii", code().Block().Loop().
		LocalGet(0).LocalGet(1).Op(0x4f).BrIf(1). // i32.ge_u
		LocalGet(0).Op(0x2d, 0, 0).LocalSet(3).
		LocalGet(0).I32(1).I32Add().LocalSet(0).
		Block().
		LocalGet(3).I32('\\').Op(0x46).If().LocalGet(0).I32(1).I32Add().LocalSet(0).Br(1).End().
		LocalGet(3).I32('"').Op(0x47).BrIf(0).
		LocalGet(2).I32(1).I32Add().LocalSet(2).
		End().
		Br(0).End().End().LocalGet(2)))
	return m.Bytes()
}

// likeCompiled is a module of about so many bytes, with the instructions that compilers use most.
func likeCompiled(size int) []byte {
	var m asm.Module
	m.Memory(1)
	g := m.Global('i', true, code().I32(0))
	f := m.Func("ii:i", "", code().LocalGet(0))
	body := code().GlobalGet(g).I32(16).Op(i32Sub).LocalTee(2).GlobalSet(g).
		Block().Loop().LocalGet(0).I32Load(12).LocalTee(3).Op(i32Eqz).BrIf(1).
		LocalGet(3).LocalGet(1).Call(f).LocalSet(1).
		LocalGet(2).LocalGet(1).I32Store(300).LocalGet(0).I32(8).I32Add().LocalSet(0).
		LocalGet(1).If().LocalGet(2).I64(5_000_000).Op(0x37, 3, 8).End().
		Br(0).End().End().
		LocalGet(2).I32(16).I32Add().GlobalSet(g)
	for made := 0; made < size; made += 10*len(body) + 6 {
		m.Func("ii:i", "ii", code().Repeat(10, body).LocalGet(1))
	}
	return m.Bytes()
}

func BenchmarkRewrite(b *testing.B) {
	for _, size := range []int{14_000, 110_000, 3_200_000} {
		b.Run(fmt.Sprintf("%dKB", size/1000), func(b *testing.B) {
			code := likeCompiled(size)
			b.SetBytes(int64(len(code)))
			b.ReportAllocs()
			for b.Loop() {
				m, err := module.Read(code)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := fuel.Rewrite(m, options); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRun(b *testing.B) {
	plain := scanner()
	for _, v := range []struct {
		name string
		code []byte
	}{{"plain", plain}, {"counted", rewrite(b, plain)}} {
		b.Run(v.name, func(b *testing.B) {
			ctx := context.Background()
			r := wazero.NewRuntime(ctx)
			defer r.Close(ctx)
			p := player{budget: 1 << 60, every: 2_000_000, rec: new(record)}
			p.host(b, ctx, r)
			m, err := r.Instantiate(ctx, v.code)
			if err != nil {
				b.Fatal(err)
			}
			text, _ := m.Memory().Read(0, 24_000)
			copy(text, fmt.Sprintf("%0*d", 24_000, 7))
			run := m.ExportedFunction("run")
			stack := [2]uint64{}
			b.SetBytes(24_000)
			for b.Loop() {
				stack = [2]uint64{0, 24_000}
				if err := run.CallWithStack(ctx, stack[:]); err != nil || api.DecodeI32(stack[0]) != 0 {
					b.Fatal(stack[0], err)
				}
			}
		})
	}
}
