package wasm_test

import (
	"slices"
	"strings"
	"testing"

	"rosterd/plugins"
	"rosterd/plugins/wasm"
	"rosterd/plugins/wasm/module/asm"
)

// TestRefused is about modules that are not opened, and why. Describe says the same.
func TestRefused(t *testing.T) {
	plain := func() *guest { return newGuest().export("rosterd_fetch", asm.Code{}.I32(3)) }
	tests := []struct {
		name string
		make func() []byte
		want []string // "": a line that may say what it likes
	}{
		{"nothing", func() []byte { return nil }, []string{"crm.wasm: "}},
		{"a script", func() []byte { return []byte("print 'hello'") }, []string{"crm.wasm: "}},
		{"what is needed and not there", func() []byte {
			g := &guest{imported: map[string]uint32{}}
			g.Import("env", "printf", "ii:i")
			g.Import("rosterd_v1", "http_get", "ii:i")
			g.Import("wasi_snapshot_preview1", "path_open", "iiiiillii:i")
			g.Import("extism:host/env", "alloc", "l:l")
			g.Memory(1)
			g.ExportMemory("memory")
			g.Export("rosterd_abi_v1", g.Func(":", "", nil))
			return g.export("rosterd_fetch", asm.Code{}.I32(3)).Bytes()
		}, []string{
			"crm.wasm: needs env.printf, which rosterd does not have", "crm.wasm: needs rosterd_v1.http_get, which rosterd does not have",
			"crm.wasm: needs wasi_snapshot_preview1.path_open, which rosterd does not have", "crm.wasm: needs extism:host/env.alloc, which rosterd does not have",
		}},
		{"a kit of Extism before 1.0", func() []byte {
			g := &guest{}
			g.Import("env", "extism_input_length", ":l")
			g.Import("env", "extism_alloc", "l:l")
			return g.export("roster_fetch", asm.Code{}.I32(3)).Bytes()
		}, []string{"crm.wasm: is made with a kit of Extism from before 1.0: it imports env.extism_input_length; build it with version 1.0 of the kit (PDK) or a later one, which imports from extism:host/env"}},
		{"an import of another type", func() []byte {
			g := &guest{imported: map[string]uint32{}}
			g.Import("rosterd_v1", "now_ms", ":i")
			g.Memory(1)
			g.ExportMemory("memory")
			g.Export("rosterd_abi_v1", g.Func(":", "", nil))
			return g.export("rosterd_fetch", asm.Code{}.I32(3)).Bytes()
		}, []string{"crm.wasm: imports rosterd_v1.now_ms as () -> (i32), and it is () -> (i64)"}},
		{"nothing that rosterd calls", func() []byte { return newGuest().Bytes() }, []string{"crm.wasm: exports none of rosterd_transform, rosterd_fetch, rosterd_auth, rosterd_webhook"}},
		{"rosters twice", func() []byte { return plain().export("rosterd_transform", asm.Code{}.I32(3)).Bytes() }, []string{"crm.wasm: exports rosterd_transform and rosterd_fetch, and there may be only one of them"}},
		{"no marker, no memory", func() []byte {
			return (&guest{}).export("rosterd_fetch", asm.Code{}.I32(3)).Bytes()
		}, []string{"crm.wasm: does not export a memory under the name memory", "crm.wasm: does not export the function rosterd_abi_v1"}},
		{"an export of another type", func() []byte {
			g := newGuest()
			g.Export("rosterd_auth", g.Func("ii:i", "", asm.Code{}.I32(0)))
			return g.Bytes()
		}, []string{"crm.wasm: exports rosterd_auth as (i32, i32) -> (i32), and it must be () -> (i32)"}},
		{"the fuel", func() []byte {
			g := plain()
			g.ExportGlobal("rosterd_fuel", g.Global('l', true, asm.Code{}.I64(1<<60)))
			return g.Bytes()
		}, []string{"crm.wasm: exports rosterd_fuel, a name that rosterd keeps for itself"}},
		{"the tick", func() []byte {
			g := &guest{imported: map[string]uint32{}}
			g.Import("rosterd_fuel", "tick", ":")
			g.Memory(1)
			g.ExportMemory("memory")
			g.Export("rosterd_abi_v1", g.Func(":", "", nil))
			return g.export("rosterd_fetch", asm.Code{}.I32(3)).Bytes()
		}, []string{"crm.wasm: imports rosterd_fuel.tick, a name that rosterd keeps for itself"}},
		{"more memory than there is", func() []byte {
			g := &guest{imported: map[string]uint32{}}
			g.Memory(17)
			g.ExportMemory("memory")
			g.Export("rosterd_abi_v1", g.Func(":", "", nil))
			return g.export("rosterd_fetch", asm.Code{}.I32(3)).Bytes()
		}, []string{"crm.wasm: its memory begins with 1088 KiB, and it may have 1024 KiB"}},
		{"tables that grow", func() []byte {
			g := newGuest()
			g.Table(1)
			return g.export("rosterd_fetch", asm.Code{}.RefNull().I32(1).TableGrow()).Bytes()
		}, []string{"crm.wasm: function 1"}},
		{"code that is none", func() []byte { return newGuest().export("rosterd_fetch", asm.Code{}.I32(1).I32(2)).Bytes() }, []string{"crm.wasm: "}},
	}
	host := plugins.Host{Limits: plugins.Limits{Memory: 1 << 20}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code := tt.make()
			_, err := tryOpen(t, code, setting{host: host}, &world{})
			if err == nil {
				t.Fatal("opened")
			}
			lines := strings.Split(err.Error(), "\n")
			for i := range lines {
				lines[i], _, _ = strings.Cut(lines[i], ", at byte ")
			}
			if len(lines) != len(tt.want) {
				t.Fatalf("%d reasons: %q", len(lines), lines)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("%q, want %q", lines[i], want)
				}
			}
			o := wasm.Describe("crm.wasm", code, host)
			if old := strings.HasPrefix(tt.name, "a kit of Extism"); old != (o.ABI == "Extism") || old && o.Strange != nil {
				t.Errorf("ABI %q, strange are %q", o.ABI, o.Strange)
			}
			for _, problem := range o.Problems {
				if !strings.Contains(err.Error(), problem) {
					t.Errorf("Describe says %q, and Open %v", problem, err)
				}
			}
		})
	}
}

// TestDescribe looks at a module without running it.
func TestDescribe(t *testing.T) {
	g := newGuest("output_write", "wasi:fd_write", "http_request")
	g.export("rosterd_webhook", asm.Code{}.Unreachable())
	g.export("rosterd_fetch", asm.Code{}.Unreachable())
	for _, name := range []string{"helper", "rosterd_fetsch", "roster_auth", "roster_to_json"} {
		g.export(name, asm.Code{}.Unreachable())
	}
	g.FuncNames("a", "b")
	code := g.Bytes()
	o := wasm.Describe("crm.wasm", code, plugins.Host{})
	if o.ABI != "rosterd_v1" || o.Size != len(code) || o.Functions != 7 || o.Memory != 2<<16 || o.MaxMemory != 4<<20 || !o.Named || o.Problems != nil {
		t.Errorf("%+v", o)
	}
	if want := []string{"rosterd_fetch", "rosterd_webhook"}; !slices.Equal(o.Exports, want) {
		t.Errorf("exports %q, want %q", o.Exports, want)
	}
	if want := []string{"rosterd_fetsch", "roster_auth"}; !slices.Equal(o.Strange, want) {
		t.Errorf("strange are %q, want %q", o.Strange, want)
	}
	if len(o.Imports) != 2 || o.Imports[0].Module != "rosterd_v1" || !slices.Equal(o.Imports[0].Names, []string{"output_write", "http_request"}) || o.Imports[0].Unknown != nil {
		t.Errorf("imports %+v", o.Imports)
	}
}
