package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
	"rosterd/plugins/worker"
)

// The server's process may grow by this much for a moment while a module attacks: what one call may have, 64 MiB, once
// more while it grows, the stack, and what the others and the collector need. Beside a worker it is frames and answers.
const moduleGrowthInside, moduleGrowthBeside = 320 << 20, 128 << 20

// moduleAttack is a module that tries to take time or memory, to get at what is not its own, or to break whoever reads
// what it returns. It is what one function does for the attacker, while the others have a roster of one contact; or a
// module that is made in another way.
type moduleAttack struct {
	name  string
	code  string          // see assembly; the first function is what rosterd_fetch does
	each  []string        // or: several things that it does in one call each, and which end alike
	at    string          // it is this one instead: "start", "_initialize", "rosterd_init"
	edit  func(*assembly) // changes the module around it
	file  string          // the module is this one in testdata/attacks
	whole func() []byte   // the module is this one
	want  string          // how it ends in both placements, see ending, or "refused", or "opened" and never called
	apart string          // how it ends in a worker, if not so
	never bool            // it waits for what does not come
	stack bool            // it needs the whole stack that there is
}

// friend is the answer that innocent users get, in the flat form.
const friend = "RF\x01\x00\x01\x00\x00\x00\x03\x12\x00friend@example.com\x00\x00\x00"

// attackerLength is how many bytes of input tell an attacker from others: he has a long name.
const attackerLength = 600

func attacker(variant int) addr.Bare {
	return addr.MustBare("attacker" + strings.Repeat("x", attackerLength/2) + fmt.Sprintf("~%02d@example.com", variant))
}

// module is the attack as a module whose backend is at url.
func (a moduleAttack) module(url string) ([]byte, error) {
	switch {
	case a.file != "":
		return os.ReadFile(filepath.Join("testdata", "attacks", a.file+".wasm"))
	case a.whole != nil:
		return a.whole(), nil
	}
	code := strings.ReplaceAll(a.variants(), "URL", url)
	m := newAssembly()
	others := `"{\"url\":\"` + url + `/roster\"}" 0 0 http_request drop ` + strconv.Quote(friend) + ` output_write`
	asked := `"url" 0 0 config_get drop 0`
	choose := fmt.Sprintf("input_len %d lt_u if friend return end attack", attackerLength)
	m.importAll(code + " " + others + " " + asked + " " + choose + " " + why)
	m.functions = append(m.functions, function{name: "marker", signature: ":", locals: []byte{0}, code: []byte{0x0b}})
	m.export("rosterd_abi_v1", "marker")
	m.add("why", ":i", why)
	m.add("friend", ":i", others)
	init := "asked"
	switch a.at {
	case "":
		m.add("attack", ":i", code)
		m.add("fetch", ":i", choose)
	case "start", "_initialize":
		m.add("attack", ":", code)
		m.add("fetch", ":i", "friend")
	case "rosterd_init":
		m.add("attack", ":i", code)
		m.add("fetch", ":i", "friend")
		init = "attack"
	default:
		return nil, fmt.Errorf("no attacks are made at %s", a.at)
	}
	m.add("asked", ":i", asked)
	m.export("rosterd_init", init)
	m.export("rosterd_fetch", "fetch")
	switch a.at {
	case "start":
		m.start = "attack"
	case "_initialize":
		m.export("_initialize", "attack")
	}
	if a.edit != nil {
		a.edit(m)
	}
	return m.module()
}

// variants is code that does one thing of several: the one that the attacker's name says.
func (a moduleAttack) variants() string {
	if len(a.each) == 0 {
		return a.code
	}
	var choice, code strings.Builder
	choice.WriteString("number set 0 ")
	for i, c := range a.each {
		fmt.Fprintf(&choice, "get 0 %d eq if variant%d return end ", i, i)
		fmt.Fprintf(&code, " func variant%d :i %s", i, c)
	}
	// The number follows the first ~ of the input.
	return choice.String() + "unreachable func number :i 65536 0 4096 input_read drop 65536 set 0 " +
		"loop get 0 1 add tee 0 load8 126 ne br_if 0 end get 0 1 add load8 48 sub 10 mul get 0 2 add load8 48 sub add" + code.String()
}

// why fails with the text of the last error.
const why = `3 0 65536 65536 4096 error_text tee 0 0 lt_s if 0 set 0 end 3 0 65536 get 0 fail drop drop`

// moduleField is a server with a backend that does what attacks want.
type moduleField struct {
	manager *plugins.Manager
	url     string
	dir     string
	config  attackConfig
}

func newModuleField(t *testing.T, isolate plugins.Opener) *moduleField {
	t.Helper()
	f := &moduleField{url: hostileBackend(t), dir: t.TempDir()}
	f.config = attackConfig{
		"url": f.url, "rosterd_plugin_secrets": map[string]any{"token": theSecret},
		"rosterd_backend_headers": map[string]any{"Authorization": "Bearer " + theSecret},
	}
	f.manager = &plugins.Manager{
		Version: "test", Engines: engines(), Paths: []string{f.dir}, Isolate: isolate, Log: slog.New(slog.DiscardHandler),
	}
	return f
}

// call is what becomes of an attack in a module that is open.
func (f *moduleField) call(t *testing.T, p plugins.Plugin, a moduleAttack, variant int) (h hit, err error) {
	limit := tooLate
	if a.want == "stopped" || a.never {
		limit = attackTime
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	start := time.Now()
	_, err = p.Fetch(ctx, engine.Request{User: attacker(variant), Reason: engine.ReasonTest})
	return hit{ending: ending(err), took: time.Since(start)}, err
}

func (f *moduleField) open(t *testing.T, code []byte) (plugins.Plugin, error) {
	t.Helper()
	return f.openWithin(t, code, tooLate)
}

// openWithin is open, for modules that never get ready.
func (f *moduleField) openWithin(t *testing.T, code []byte, limit time.Duration) (plugins.Plugin, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, "arsenal.wasm"), code, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return f.manager.Open(ctx, "arsenal", "example.com", f.config)
}

// strike is one attack, while other users of the same module have their rosters fetched, and the collector runs again and
// again: it waits for whoever does not let himself be interrupted.
func (f *moduleField) strike(t *testing.T, a moduleAttack) (h hit) {
	t.Helper()
	code, err := a.module(f.url)
	if err != nil {
		t.Fatal(err)
	}
	debug.FreeOSMemory()
	pulse := feel(resident)
	collected := collect()
	start := time.Now()
	limit := tooLate
	if a.never && a.want == "refused" {
		limit = 5 * attackTime
	}
	p, err := f.openWithin(t, code, limit)
	switch {
	case err != nil:
		h = hit{ending: "refused", took: time.Since(start)}
	case a.want == "opened":
		innocent(t, p, "without an attack")
		h = hit{ending: "opened", took: time.Since(start)}
	default:
		err = amongOthers(t, p, func() (err error) {
			for variant := range max(1, len(a.each)) {
				var one hit
				one, err = f.call(t, p, a, variant)
				if h.took = max(h.took, one.took); h.ending == "" || h.ending == a.want {
					h.ending = one.ending
				}
				if one.ending != a.want && len(a.each) > 0 {
					t.Logf("variant %d ended as %q: %v", variant, one.ending, err)
				}
				checkError(t, err)
			}
			return err
		})
	}
	if h.ending != "refused" {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	var fault *engine.FaultError
	if errors.As(err, &fault) {
		h.kind = fault.Kind
	}
	collected()
	h.pause, h.growth = pulse.stop()
	t.Logf("%s: pause %v, growth %d MiB, %.300q", h, h.pause.Round(time.Millisecond), h.growth>>20, strings.ReplaceAll(fmt.Sprint(err), "xxx", ""))
	checkError(t, err)
	return h
}

// collect runs the collector every few milliseconds until it is told to stop.
func collect() (stop func()) {
	var running sync.WaitGroup
	end := make(chan struct{})
	running.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				runtime.GC()
			}
		}
	})
	return func() {
		close(end)
		running.Wait()
	}
}

// TestModuleAttacks has every attack in the server's own process and in a worker: it ends as it should and in time, the
// server goes on, and so do the other users of the same module. With -update it writes the table of docs/PLUGINS.md.
func TestModuleAttacks(t *testing.T) {
	var table strings.Builder
	table.WriteString("| what the module tries | in the server | in a worker | longest pause of the server | its growth |\n| --- | --- | --- | --- | --- |\n")
	gzipBomb()
	partly := false
	here, there := newModuleField(t, nil), newModuleField(t, worker.Opener(worker.Settings{Log: slog.New(slog.DiscardHandler), Load: tooLate}))
	for i, a := range moduleAttacks() {
		if i%slower != 0 { // the race detector sees some of them; make test has all of them without it
			partly = true
			continue
		}
		var inside, beside hit
		t.Run(a.name+"/inproc", func(t *testing.T) {
			inside = steady(t, func() hit { return here.strike(t, a) })
			judge(t, inside, a.want, moduleGrowthInside)
		})
		t.Run(a.name+"/process", func(t *testing.T) {
			beside = steady(t, func() hit { return there.strike(t, a) })
			want := a.want
			if a.apart != "" {
				want = a.apart
			}
			if shadowed && beside.kind == "memory" && want != beside.ending {
				want, partly = beside.ending, true
			}
			judge(t, beside, want, moduleGrowthBeside)
		})
		partly = partly || inside.ending == "" || beside.ending == "" // by -run
		fmt.Fprintf(&table, "| %s | %s | %s | %d ms | %d MiB |\n", a.name, inside, beside,
			max(inside.pause, beside.pause).Milliseconds(), max(inside.growth, beside.growth)>>20)
	}
	if !partly {
		checkAttackTable(t, "module attacks", table.String())
	}
}

// resident is what this process has of the machine's memory. Linear memory and native code are not the Go heap's.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil || shadowed {
		return held() // not on this system; or the race detector's own memory is in it, which does not go away
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return held()
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return held()
	}
	return pages * int64(os.Getpagesize())
}
