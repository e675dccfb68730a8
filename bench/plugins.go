package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"rosterd/bench/report"
	"rosterd/bench/target"
	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/plugins"
	"rosterd/plugins/lua"
	"rosterd/plugins/wasm"
	"rosterd/plugins/worker"
)

// The examples that all do the same job: from a CRM's nested JSON to a roster.
var guests = []guest{
	{name: "Go, encoding/json", file: "", about: "no plugin"},
	{name: "C", file: ".cache/plugins/crm_c.wasm"},
	{name: "Rust", file: ".cache/plugins/crm_rust.wasm"},
	{name: "AssemblyScript", file: ".cache/plugins/crm_as.wasm"},
	{name: "Lua", file: "examples/plugins/crm/mod_crm.lua"},
	{name: "Go, stock toolchain", file: ".cache/plugins/crm_go.wasm"},
}

type guest struct{ name, file, about string }

// sizes are the contacts of the rosters.
var sizes = []int{10, 100, 1000}

// engines open plugins by the endings of their files, here as in the server.
func engines() map[string]plugins.Opener {
	return map[string]plugins.Opener{".lua": lua.Open, ".wasm": wasm.Open}
}

// placement is where a plugin runs.
type placement struct {
	name   string
	open   plugins.Opener // nil: by the ending of the file, in this process
	spread bool           // over all processors: the one that takes over has been idle, and is woken up
}

func placements() []placement {
	quiet := slog.New(slog.DiscardHandler)
	inWorker := worker.Opener(worker.Settings{Command: []string{os.Args[0], "plugin-worker"}, Log: quiet})
	return []placement{
		{name: "in the server's process"},
		{name: "in a worker", open: inWorker},
		{name: "in a worker on an idle processor", open: inWorker, spread: true},
	}
}

// cell is one figure: the CPU time of a call.
type cell struct {
	guest     guest
	placement placement
	contacts  int
}

func init() {
	scenarios = append(scenarios,
		scenario{name: "plugin", rounds: 1, play: playPlugins},
		scenario{name: "plugin load", play: playLoads})
}

// serverHeap is what a server with some thousands of sessions has on its heap: in a process that has next to nothing, most
// of what is measured would be collections.
const serverHeap = 64 << 20

// playPlugins measures a call of each guest in each placement, one after the other.
func playPlugins(ctx context.Context, _ target.Kind, add func(report.Result)) (err error) {
	defer func() { err = errors.Join(err, target.UseAll()) }()
	cache, err := os.MkdirTemp("", "rosterd-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	heap := make([]byte, serverHeap)
	defer runtime.KeepAlive(heap)
	for _, c := range cells() {
		use := target.UseOne
		if c.placement.spread {
			use = target.UseAll
		}
		if err := use(); err != nil {
			return err
		}
		took, err := c.measure(ctx, cache)
		if err != nil {
			return fmt.Errorf("%s, %d contacts, %s: %w", c.guest.name, c.contacts, c.placement.name, err)
		}
		add(report.Result{Scenario: "plugin", Server: target.Rosterd, Values: []report.Value{report.Took("cpu", took)},
			Params: report.Params("language", c.guest.name, "where", cmp.Or(c.guest.about, c.placement.name), "contacts", c.contacts)})
	}
	return nil
}

// cells are all figures.
func cells() (list []cell) {
	for _, g := range guests {
		for _, p := range placements() {
			for _, n := range sizes {
				if g.file != "" || p.open == nil {
					list = append(list, cell{g, p, n})
				}
			}
		}
	}
	return list
}

// source is the code of a guest.
func (g guest) source() (plugins.Source, error) {
	code, err := os.ReadFile(g.file)
	if err != nil {
		return plugins.Source{}, fmt.Errorf("%w (make plugins builds the examples)", err)
	}
	return plugins.Source{Name: "crm", File: g.file, Code: code}, nil
}

func (g guest) open(ctx context.Context, open plugins.Opener, cache string, body []byte) (plugins.Plugin, error) {
	src, err := g.source()
	if err != nil {
		return nil, err
	}
	if open == nil {
		open = engines()[filepath.Ext(g.file)]
	}
	options := plugins.NewOptions(plugins.ConfigFunc(func(name string) (any, string, bool) {
		return "https://crm.example/teams/%s", "bench:1", name == "crm_url"
	}))
	return open(ctx, src, plugins.Host{Name: "example.com", Cache: cache}, options, canned{body})
}

var asked = engine.Request{User: addr.MustBare("jim@example.com"), Reason: engine.ReasonTest}

// measure is the CPU time of one call, the worker's with it.
func (c cell) measure(ctx context.Context, cache string) (time.Duration, error) {
	body := teams(c.contacts)
	fetch := func() (engine.Answer, error) { return natively(body) }
	taking := []int{0} // the processes that take part; 0 is what clock_gettime takes for this one
	if c.guest.file != "" {
		before := target.Family(os.Getpid())
		p, err := c.guest.open(ctx, c.placement.open, cache, body)
		if err != nil {
			return 0, err
		}
		defer p.Close()
		for _, pid := range target.Family(os.Getpid()) {
			if !slices.Contains(before, pid) {
				taking = append(taking, pid)
			}
		}
		if c.placement.open != nil && len(taking) == 1 {
			return 0, errors.New("the worker cannot be found")
		}
		fetch = func() (engine.Answer, error) { return p.Fetch(ctx, asked) }
	}
	used := func() (all time.Duration) {
		for _, pid := range taking {
			all += target.CPU(pid)
		}
		return all
	}
	calls := func(n int) error {
		for range n {
			if a, err := fetch(); err != nil || a.Roster.Len() != c.contacts {
				return fmt.Errorf("%d contacts: %w", a.Roster.Len(), cmp.Or(err, errors.New("not as many as there are")))
			}
		}
		return nil
	}
	if err := calls(3); err != nil {
		return 0, err
	}
	n := 1
	for {
		runtime.GC()
		start := used()
		if err := calls(n); err != nil {
			return 0, err
		}
		took := used() - start
		if took > time.Duration(float64(100*time.Millisecond)**scale) {
			return took / time.Duration(n), nil
		}
		n *= 2
	}
}

// team is the CRM's form, as far as the job is concerned.
type team struct {
	Title   string   `json:"title"`
	Members []member `json:"members"`
	Teams   []team   `json:"teams,omitempty"`
}

type member struct {
	Login   string  `json:"login"`
	Profile profile `json:"profile"`
}

type profile struct {
	DisplayName string `json:"display_name"`
}

// natively does the job without any plugin, as one would write it in Go.
func natively(body []byte) (engine.Answer, error) {
	var page struct {
		Pages int    `json:"pages"`
		Teams []team `json:"teams"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return engine.Answer{}, err
	}
	found := map[string]*roster.Item{}
	var order []string
	var add func(teams []team)
	add = func(teams []team) {
		for _, t := range teams {
			for _, m := range t.Members {
				jid := m.Login + "@example.com"
				i := found[jid]
				if i == nil {
					i = &roster.Item{Name: m.Profile.DisplayName, Subscription: roster.Both}
					found[jid] = i
					order = append(order, jid)
				}
				i.Groups = append(i.Groups, t.Title)
			}
			add(t.Teams)
		}
	}
	add(page.Teams)
	b := roster.NewBuilder(asked.User, roster.Limits{})
	for _, jid := range order {
		b.Add(jid, *found[jid])
	}
	r, dropped, err := b.Roster()
	return engine.Answer{Roster: r, Dropped: dropped}, err
}

// teams is what the CRM says of n people, some 240 bytes each, of which most is of no interest.
func teams(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"pages":1,"generated":"2026-11-22T10:00:00Z","teams":[`)
	for first := 0; first < n; first += 25 {
		if first > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"title":"Équipe %d","members":[`, first, first/25)
		for i := first; i < min(first+20, n); i++ {
			people(&b, i, i > first)
		}
		fmt.Fprintf(&b, `],"teams":[{"id":%d,"title":"Équipe %d, \"nord\"","members":[`, first+1, first/25)
		for i := first + 20; i < min(first+25, n); i++ {
			people(&b, i, i > first+20)
		}
		b.WriteString(`]}]}`)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func people(b *bytes.Buffer, i int, more bool) {
	if more {
		b.WriteByte(',')
	}
	fmt.Fprintf(b, `{"id":%d,"login":"person.%d","profile":{"display_name":"J\u00fcrgen M\u00fcller-%d","first":"Jürgen","mail":"person.%d@example.com","phone":["+33 1 23 45 %d"],"title":null},"state":"active","labels":["vip","paris"],"since":%d,"score":0.75}`, i, i, i, i, i, 1700000000+i)
}

// canned are services whose backend answers at once, so that what is left is the plugin's own work.
type canned struct{ body []byte }

func (c canned) HTTP(_ context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
	return &plugins.HTTPResponse{Method: http.MethodGet, URL: r.URL, Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: c.body}, nil
}

func (canned) Load(context.Context, string, string) ([]byte, bool, error)        { return nil, false, nil }
func (canned) Save(context.Context, string, string, []byte, time.Duration) error { return nil }
func (canned) Refresh(context.Context, []string) (plugins.Refreshed, error) {
	return plugins.Refreshed{}, nil
}
func (canned) Random([]byte)                                   {}
func (canned) Log(context.Context, slog.Level, string, ...any) {}
func (canned) Now() time.Time                                  { return time.Now() }
func (canned) Close()                                          {}

// playLoads is what it takes to open each guest, compiled anew and from the cache.
func playLoads(ctx context.Context, _ target.Kind, add func(report.Result)) error {
	for _, g := range guests {
		if g.file == "" {
			continue
		}
		src, err := g.source()
		if err != nil {
			return err
		}
		took, err := g.loads(ctx)
		if err != nil {
			return err
		}
		add(report.Result{Scenario: "plugin load", Params: report.Params("language", g.name), Server: target.Rosterd, Values: []report.Value{
			report.One("size", "B", float64(len(src.Code))),
			report.Took("opened for the first time", took[0]), report.Took("opened again, from the cache", min(took[1], took[2])),
		}})
	}
	return nil
}

// loads opens a guest three times, with a new cache.
func (g guest) loads(ctx context.Context) (took [3]time.Duration, err error) {
	cache, err := os.MkdirTemp("", "rosterd-bench-")
	if err != nil {
		return took, err
	}
	defer os.RemoveAll(cache)
	for i := range took {
		runtime.GC()
		start := target.CPU(0)
		p, err := g.open(ctx, nil, cache, nil)
		if err != nil {
			return took, err
		}
		took[i] = target.CPU(0) - start
		if err := p.Close(); err != nil {
			return took, err
		}
	}
	return took, nil
}
