//go:build clients

package fuel_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// A guest is a plugin made by a compiler, with as much of rosterd around it as it needs for one roster.
type guest struct {
	mod    api.Module
	fetch  api.Function
	body   []byte
	output []byte
	used   int64
	ticks  int
	best   time.Duration
}

const (
	guestInput = `{"op":"fetch","user":"john@chat.example.com","local":"john","host":"chat.example.com","reason":"login","rev":"","module":"crm"}`
	guestURL   = "https://crm.example.com/api/people/%s/teams"
	guestTick  = 2_000_000
)

func open(t testing.TB, code, body []byte) *guest {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	compiled, err := r.CompileModule(ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{body: body, best: time.Hour}
	hosts := map[string]wazero.HostModuleBuilder{}
	for _, f := range compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		if from == wasi_snapshot_preview1.ModuleName {
			continue
		}
		if hosts[from] == nil {
			hosts[from] = r.NewHostModuleBuilder(from)
		}
		hosts[from].NewFunctionBuilder().WithGoModuleFunction(g.function(name), f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	for _, h := range hosts {
		if _, err := h.Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if g.mod, err = r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize")); err != nil {
		t.Fatal(err)
	}
	if f := g.mod.ExportedFunction("rosterd_init"); f != nil {
		if res, err := f.Call(ctx); err != nil || res[0] != 0 {
			t.Fatalf("rosterd_init: %v, %v", res, err)
		}
	}
	g.fetch = g.mod.ExportedFunction("rosterd_fetch")
	return g
}

// function is an import, as far as fetching a roster needs it.
func (g *guest) function(name string) api.GoModuleFunc {
	copyTo := func(mem api.Memory, from []byte, dst, off, n uint64) uint64 {
		from = from[min(uint32(off), uint32(len(from))):]
		from = from[:min(uint32(n), uint32(len(from)))]
		if !mem.Write(uint32(dst), from) {
			panic("the buffer is out of the memory")
		}
		return uint64(len(from))
	}
	return func(_ context.Context, in api.Module, s []uint64) {
		mem := in.Memory()
		switch name {
		case "tick":
			fuel := in.ExportedGlobal(options.Global).(api.MutableGlobal)
			g.ticks++
			g.used += guestTick
			fuel.Set(fuel.Get() + guestTick)
		case "input_len":
			s[0] = uint64(len(guestInput))
		case "input_read":
			s[0] = copyTo(mem, []byte(guestInput), s[0], s[1], s[2])
		case "config_get":
			key, _ := mem.Read(uint32(s[0]), uint32(s[1]))
			if string(key) != "crm_url" {
				s[0] = api.EncodeI32(-1)
				return
			}
			if uint32(s[3]) >= uint32(len(guestURL)) {
				mem.Write(uint32(s[2]), []byte(guestURL))
			}
			s[0] = uint64(len(guestURL))
		case "http_request":
			s[0] = 1
		case "http_status":
			s[0] = 200
		case "error_text":
			s[0] = api.EncodeI32(-1)
		case "http_close", "log":
			s[0] = 0
		case "http_body_len":
			s[0] = uint64(len(g.body))
		case "http_body_read":
			s[0] = copyTo(mem, g.body, s[1], s[2], s[3])
		case "output_write":
			out, ok := mem.Read(uint32(s[0]), uint32(s[1]))
			if !ok {
				panic("the output is out of the memory")
			}
			g.output = append(g.output, out...)
			s[0] = 0
		case "fail":
			text, _ := mem.Read(uint32(s[2]), uint32(s[3]))
			panic(fmt.Sprintf("failed: %s", text))
		default:
			panic(name + " is not for this")
		}
	}
}

// roster is one call, and how long it took at the best.
func (g *guest) roster(t testing.TB) []byte {
	t.Helper()
	g.output = g.output[:0]
	start := time.Now()
	res, err := g.fetch.Call(context.Background())
	g.best = min(g.best, time.Since(start))
	if err != nil || res[0] != 0 {
		t.Fatalf("rosterd_fetch: %v, %v", res, err)
	}
	return g.output
}

// spent is how much fuel was used so far.
func (g *guest) spent() int64 {
	return g.used - int64(g.mod.ExportedGlobal(options.Global).Get())
}

// teams is what the example plugins read, with n members in nested teams.
func teams(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"pages": 1, "teams": [`)
	for i := range n {
		if i%10 == 0 {
			if i > 0 {
				b.WriteString("]}]},\n")
			}
			fmt.Fprintf(&b, `{"id": %d, "title": "Team %d", "members": [], "teams": [{"id": "x%d", "title": "Caf\u00e9 %d", "members": [`, i, i, i, i)
		} else {
			b.WriteString(",\n  ")
		}
		fmt.Fprintf(&b, `{"login": "user%d", "since": 17%08d, "active": true, "profile": {"display_name": "Fran\u00e7ois \"%d\" van der Berg", "locale": "nl_NL", "photo": null, "phones": ["+31 20 %07d", "%d"]}}`, i, i*977, i, i, i)
	}
	b.WriteString("]}]}]}")
	return b.Bytes()
}

// What compilers make of C, Rust, AssemblyScript and Go gives the same roster rewritten, and takes the same fuel each time. The
// figures in the log are what counting costs.
func TestGuests(t *testing.T) {
	body := teams(100)
	for _, name := range []string{"crm_c", "crm_as", "crm_rust", "crm_go"} {
		t.Run(name, func(t *testing.T) {
			code, err := os.ReadFile(filepath.Join("..", "..", "..", ".cache", "plugins", name+".wasm"))
			if err != nil {
				t.Fatalf("%v: make plugins", err)
			}
			rewriting := time.Hour
			var out []byte
			for range 5 {
				start := time.Now()
				out = rewrite(t, code)
				rewriting = min(rewriting, time.Since(start))
			}
			plain, counted, again := open(t, code, body), open(t, out, body), open(t, out, body)
			want := bytes.Clone(plain.roster(t))
			if len(want) < 1000 {
				t.Fatalf("a roster of %d bytes", len(want))
			}
			for range 2 {
				if got := counted.roster(t); !bytes.Equal(got, want) {
					t.Errorf("the roster is\n%q\nrewritten\n%q", want, got)
				}
				again.roster(t)
				if counted.spent() != again.spent() {
					t.Errorf("%d units at first, %d in another instance", counted.spent(), again.spent())
				}
			}
			before, ticks := counted.spent(), counted.ticks
			counted.roster(t)
			t.Logf("%d KB, %d KB rewritten, in %v; %d units and %d ticks a roster of %d bytes JSON", len(code)>>10, len(out)>>10, rewriting, counted.spent()-before, counted.ticks-ticks, len(body))
			rounds := 100
			if name == "crm_go" {
				rounds = 30
			}
			for range rounds {
				plain.roster(t)
				counted.roster(t)
			}
			t.Logf("%v plain, %v counted: %+.1f %%", plain.best, counted.best, 100*(float64(counted.best)/float64(plain.best)-1))
		})
	}
}
