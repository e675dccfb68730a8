package wasm

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"github.com/tidwall/gjson"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/wasm/module"
)

// extismModule is what plugins made with Extism's kits import from. Extism 1.0 named it so.
const extismModule = "extism:host/env"

// isExtism tells whether a module is a plugin for Extism: its exports are called roster_fetch and so on, and all texts go
// through an arena.
func isExtism(m *module.Module) bool {
	if _, ok := m.Export(marker); ok {
		return false
	}
	for _, i := range m.Imports {
		if i.Module == extismModule {
			return true
		}
	}
	return false
}

// oldModule is where kits imported from before that, by names that began with extism_.
const oldModule = "env"

// oldExtism is what a module imports that was made with such a kit, "" if it was not.
func oldExtism(m *module.Module) string {
	for _, i := range m.Imports {
		if i.Module == oldModule && strings.HasPrefix(i.Name, "extism_") {
			return i.Name
		}
	}
	return ""
}

// extism is the function of a plugin for Extism.
func (o op) extism() string { return "roster_" + opNames[o] }

// export is the function that is called for o.
func (p *Plugin) export(o op) string {
	if p.extism {
		return o.extism()
	}
	return o.export()
}

// kernel is what a call of a plugin for Extism has beside the others, by Extism's own name for it.
type kernel struct {
	arena
	answer *plugins.HTTPResponse // the last one
	said   string                // what error_set said
}

// kernelRoom is for what the host gives a plugin besides answers of servers: options, values, header fields.
const kernelRoom = 1 << 20

// boot gives a call its kernel, with what the module is asked in it. The body of a response is a block of its own, and the
// input says where.
func (c *call) boot() {
	in, body := c.input, []byte(nil)
	if c.response != nil {
		body = c.response.Body
	}
	most := max(int(c.plugin.limits.Answer), len(body)) + len(in) + kernelRoom
	k := &kernel{arena: newArena(most), answer: c.response}
	if c.response != nil {
		at, _ := k.put(body) // there is room
		in = append(strconv.AppendUint(append(in[:len(in)-1:len(in)-1], `,"body":`...), at, 10), '}')
	}
	k.setInput(in)
	c.kernel = k
}

// extism is the kernel of the call. A module that allocates before it is asked anything, in its start function, has one of
// its own.
func (c *call) extism() *kernel {
	if c.kernel == nil {
		c.kernel = &kernel{arena: newArena(kernelRoom)}
	}
	return c.kernel
}

// halt takes what the module leaves behind. A text of error_set is a failure whatever the module returns: kits return
// different numbers for an error that nobody has caught, and none of them may be taken for "no such user".
func (c *call) halt(code int32) int32 {
	k := c.kernel
	c.kernel = nil
	if k.output.n > 0 {
		c.output = append(c.output[:0], k.result()...)
	}
	if k.said == "" {
		return code
	}
	switch code {
	case returnTemporary, returnPermanent, returnDenied:
	default:
		if c.op != opInit || code == returnOK {
			code = returnTemporary
		}
	}
	c.failed = failure{code: code, after: c.failed.after, text: k.said}
	return code
}

// ended is how an import ends a call with what it came to, where its ABI has no way to tell the module.
type ended struct{ err error }

func (e *ended) Error() string { return e.err.Error() }
func (e *ended) Unwrap() error { return e.err }

func (c *call) temporary(err error) { panic(&ended{&engine.TemporaryError{Err: err}}) }
func (c *call) permanent(err error) { panic(&ended{&engine.PermanentError{Err: err}}) }

// Functions that only touch the arena are called for every eight bytes. They do not count as calls of imports, but use
// up fuel, so that who does nothing else is stopped like who loops.
const (
	cheapFuel  = 150 // a call: what a module computes in that time
	cheapCalls = 64  // that are charged for at once
)

// enterCheap is enter for functions that only touch the arena.
func (c *call) enterCheap(mod api.Module) {
	if c.mod != mod {
		c.bind(mod)
	}
	c.extism()
	if c.cheap++; c.cheap%cheapCalls == 0 {
		c.charge(mod)
	}
}

func (c *call) charge(mod api.Module) {
	c.stillWanted()
	g := c.in.fuel
	if g == nil { // it is in its start function
		g = fuelOf(mod)
	}
	g.Set(g.Get() - cheapCalls*cheapFuel)
}

// extismImports are the functions of Extism's kits: extism-pdk for Rust, go-pdk, c-pdk, as-pdk and those that are made of
// them.
func extismImports() []function {
	f := func(name, params, results string, call func(*call, args) uint64) function {
		return function{module: extismModule, name: name, params: types(params), results: types(results), call: call, kits: true}
	}
	cheap := func(name, params, results string, run func(*kernel, args) uint64) function {
		f := f(name, params, results, func(c *call, a args) uint64 { return run(c.kernel, a) })
		f.cheap = true
		return f
	}
	return []function{
		cheap("alloc", "l", "l", func(k *kernel, a args) uint64 { return k.alloc(a[0]) }),
		cheap("free", "l", "", func(k *kernel, a args) uint64 { k.free(a[0]); return 0 }),
		cheap("length", "l", "l", func(k *kernel, a args) uint64 { return k.length(a[0]) }),
		cheap("length_unsafe", "l", "l", func(k *kernel, a args) uint64 { return k.length(a[0]) }),
		cheap("load_u8", "l", "i", extismLoad8),
		cheap("load_u64", "l", "l", extismLoad64),
		cheap("store_u8", "li", "", extismStore8),
		cheap("store_u64", "ll", "", extismStore64),
		cheap("input_offset", "", "l", func(k *kernel, _ args) uint64 { return uint64(k.input.at) }),
		cheap("input_length", "", "l", func(k *kernel, _ args) uint64 { return uint64(k.input.used) }),
		cheap("input_load_u8", "l", "i", extismInput8),
		cheap("input_load_u64", "l", "l", extismInput64),
		cheap("http_status_code", "", "i", extismStatus),
		cheap("get_log_level", "", "i", func(*kernel, args) uint64 { return extismDebug }),
		f("output_set", "ll", "", extismOutput),
		f("error_set", "l", "", extismError),
		f("config_get", "l", "l", extismConfig),
		f("var_get", "l", "l", extismVarGet),
		f("var_set", "ll", "", extismVarSet),
		f("http_request", "ll", "l", extismRequest),
		f("http_headers", "", "l", extismHeaders),
		f("log_trace", "l", "", extismLog("log_trace", slog.LevelDebug)),
		f("log_debug", "l", "", extismLog("log_debug", slog.LevelDebug)),
		f("log_info", "l", "", extismLog("log_info", slog.LevelInfo)),
		f("log_warn", "l", "", extismLog("log_warn", slog.LevelWarn)),
		f("log_error", "l", "", extismLog("log_error", slog.LevelError)),
	}
}

// noFiles are functions of WASI that libraries of languages bring along, called or not. There are no files, so that there is
// none that any of them could mean.
func noFiles() (list []function) {
	for name, params := range map[string]string{
		"fd_advise": "illi", "fd_allocate": "ill", "fd_datasync": "i", "fd_fdstat_set_rights": "ill", "fd_filestat_get": "ii",
		"fd_filestat_set_size": "il", "fd_filestat_set_times": "illi", "fd_pread": "iiili", "fd_pwrite": "iiili", "fd_readdir": "iiili",
		"fd_sync": "i", "fd_tell": "ii", "path_create_directory": "iii", "path_filestat_get": "iiiii",
		"path_filestat_set_times": "iiiilli", "path_link": "iiiiiii", "path_open": "iiiiillii", "path_readlink": "iiiiii",
		"path_remove_directory": "iii", "path_rename": "iiiiii", "path_symlink": "iiiii", "path_unlink_file": "iii",
	} {
		list = append(list, function{
			module: wasiModule, name: name, params: types(params), results: types("i"), kits: true,
			call: func(*call, args) uint64 { return count(badFile) },
		})
	}
	return list
}

// badFile is EBADF, as WASI numbers it.
const badFile = 8

// extismDebug is what get_log_level answers: 0 is trace, 1 debug, and so on. We have no trace.
const extismDebug = 1

// outside ends a call that has loaded or stored where nothing is. Kits store at 0 if they were given no memory.
func (k *kernel) outside(name string, at uint64) {
	if k.refused && at < arenaStart {
		trapf("memory", "%s at %d, after alloc had refused: a call may allocate %d MiB", name, at, arenaLimit>>20)
	}
	trapf("trap", "%s at %d leads out of what was allocated", name, at)
}

func extismLoad8(k *kernel, a args) uint64 {
	v, ok := k.load8(a[0])
	if !ok {
		k.outside("load_u8", a[0])
	}
	return uint64(v)
}

func extismLoad64(k *kernel, a args) uint64 {
	v, ok := k.load64(a[0])
	if !ok {
		k.outside("load_u64", a[0])
	}
	return v
}

func extismStore8(k *kernel, a args) uint64 {
	if !k.store8(a[0], uint8(a.u32(1))) {
		k.outside("store_u8", a[0])
	}
	return 0
}

func extismStore64(k *kernel, a args) uint64 {
	if !k.store64(a[0], a[1]) {
		k.outside("store_u64", a[0])
	}
	return 0
}

func extismInput8(k *kernel, a args) uint64 {
	if a[0] >= uint64(k.input.used) {
		trapf("trap", "input_load_u8 at %d of an input of %d bytes", a[0], k.input.used)
	}
	v, _ := k.load8(uint64(k.input.at) + a[0])
	return uint64(v)
}

func extismInput64(k *kernel, a args) uint64 {
	if n := uint64(k.input.used); n < 8 || a[0] > n-8 {
		trapf("trap", "input_load_u64 at %d of an input of %d bytes", a[0], n)
	}
	v, _ := k.load64(uint64(k.input.at) + a[0])
	return v
}

func extismStatus(k *kernel, _ args) uint64 {
	if k.answer == nil {
		return count(0)
	}
	return count(k.answer.Status)
}

// text is what stands in a block; offset 0 is the empty text.
func (c *call) block(name string, at uint64) []byte {
	if at == 0 {
		return nil
	}
	b, ok := c.extism().block(at)
	if !ok {
		trapf("trap", "%s: no block is at %d", name, at)
	}
	return b
}

// offer makes a block of what an import answers.
func (c *call) offer(name string, b []byte) uint64 {
	at, ok := c.extism().put(b)
	if !ok {
		trapf("memory", "%s: answers of more than %d bytes in one call", name, c.plugin.limits.Answer)
	}
	return at
}

func extismOutput(c *call, a args) uint64 {
	if most := c.plugin.limits.Answer; a[1] > uint64(most) {
		trapf("protocol", "output_set: %d bytes, more than %d", a[1], most)
	}
	if !c.extism().setOutput(a[0], a[1]) {
		trapf("trap", "output_set: %d bytes at %d lead out of what was allocated", a[1], a[0])
	}
	return 0
}

// extismError keeps the text at once: kits free it before they return.
func extismError(c *call, a args) uint64 {
	text := c.block("error_set", a[0])
	c.extism().said = brief(string(text[:min(len(text), maxLine+1)]))
	return 0
}

func extismConfig(c *call, a args) uint64 {
	value, code, err := c.option(string(c.block("config_get", a[0])))
	switch {
	case err == nil:
		return c.offer("config_get", []byte(value))
	case code != codeAbsent:
		c.permanent(err)
	}
	return 0
}

func extismVarGet(c *call, a args) uint64 {
	key := string(c.block("var_get", a[0]))
	c.notInInit("var_get")
	value, _, err := c.plugin.svc.Load(c.Context, kvStore, key)
	if err != nil {
		c.storeFailed("var_get", err)
	}
	return c.offer("var_get", value)
}

func extismVarSet(c *call, a args) uint64 {
	key := string(c.block("var_set", a[0]))
	var value []byte // nil removes it, and so does offset 0
	if a[1] != 0 {
		value = append([]byte{}, c.block("var_set", a[1])...)
	}
	c.notInInit("var_set")
	if err := c.plugin.svc.Save(c.Context, kvStore, key, value, 0); err != nil {
		c.storeFailed("var_set", err)
	}
	return 0
}

func (c *call) storeFailed(name string, err error) {
	if errors.Is(err, plugins.ErrLimit) {
		trapf("protocol", "%s: %w", name, err)
	}
	c.stillWanted()
	c.temporary(err)
}

// notInInit ends a call that may not wait.
func (c *call) notInInit(name string) {
	if c.op == opInit {
		trapf("protocol", "%s in %s, which runs for each instance anew", name, opInit.extism())
	}
}

// extismRequest sends a request and waits for the answer. That there is none cannot be said to the module: it is what the
// call came to.
func extismRequest(c *call, a args) uint64 {
	r, err := readExtismRequest(c.block("http_request", a[0]))
	if err != nil {
		trapf("protocol", "http_request: %w", err)
	}
	c.notInInit("http_request")
	body := c.block("http_request", a[1])
	switch {
	case c.asked >= maxRequests:
		trapf("protocol", "more than %d HTTP requests in one call", maxRequests)
	case len(body) > maxRequestBody:
		trapf("protocol", "http_request: a body of %d bytes, more than %d KiB", len(body), maxRequestBody>>10)
	}
	if len(body) > 0 {
		r.Body = append([]byte(nil), body...)
	}
	c.asked++
	res, err := c.exchange(r)
	if err != nil {
		c.httpErr = err
		c.stillWanted()
		if errors.Is(err, plugins.ErrRefused) {
			c.permanent(err)
		}
		c.temporary(err)
	}
	k := c.extism()
	k.answer = res
	return c.offer("http_request", res.Body)
}

// readExtismRequest reads { url, method, headers }. Kits write null for what is not set, and Extism takes "header" too.
func readExtismRequest(text []byte) (r plugins.HTTPRequest, err error) {
	err = object("the request", text, func(name string, v gjson.Result) error {
		switch {
		case v.Type == gjson.Null:
			return nil
		case name == "header":
			name = "headers"
		}
		return requestField(&r, name, v)
	})
	if err == nil && r.URL == "" {
		err = errors.New("the request has no url")
	}
	return r, err
}

// extismHeaders gives the header of the last answer as JSON, names in small letters.
func extismHeaders(c *call, _ args) uint64 {
	res := c.extism().answer
	if res == nil {
		return 0
	}
	return c.offer("http_headers", appendHeader(nil, res.Header))
}

func extismLog(name string, level slog.Level) func(*call, args) uint64 {
	return func(c *call, a args) uint64 {
		line := c.block(name, a[0])
		c.log(level, string(line[:min(len(line), maxLine+1)]))
		return 0
	}
}

// startExtism calls what a module for Extism has to have called before anything else: constructors, and Haskell's runtime.
func (in *instance) startExtism(c context.Context) error {
	first := in.mod.ExportedFunction(constructors)
	haskell := in.mod.ExportedFunction(haskellInit)
	if first == nil || haskell != nil {
		first = in.mod.ExportedFunction(initialize)
	}
	if first != nil {
		if _, err := first.Call(c); err != nil {
			return named(first, err)
		}
	}
	if haskell != nil {
		if _, err := haskell.Call(c, 0, 0); err != nil {
			return named(haskell, err)
		}
	}
	return nil
}

const (
	constructors = "__wasm_call_ctors"
	haskellInit  = "hs_init"
)

func named(f api.Function, err error) error {
	return &stacked{err: err, text: cmp.Or(f.Definition().ExportNames()[0], "") + ": " + plain(err).Error()}
}
