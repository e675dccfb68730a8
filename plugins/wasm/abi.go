package wasm

import (
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero/api"
)

const (
	abiModule = "rosterd_v1"
	marker    = "rosterd_abi_v1"
)

// function is an import: what a module may call of ours.
type function struct {
	module, name    string
	params, results []api.ValueType
	call            func(c *call, a args) uint64 // as a result is on the stack, where there is one; nil if the runtime has it
	cheap           bool                         // called for every few bytes: it does not count, but uses up fuel
	kits            bool                         // for modules made with Extism's kits only
}

// types are value types, a letter each: i for i32, l for i64.
func types(letters string) []api.ValueType {
	list := make([]api.ValueType, len(letters))
	for i, c := range []byte(letters) {
		if list[i] = api.ValueTypeI32; c == 'l' {
			list[i] = api.ValueTypeI64
		}
	}
	return list
}

// imports are all functions that a module may import.
var imports = slices.Concat(rosterdImports(), wasiImports(), extismImports(), noFiles())

// rosterdImports are those of the ABI, as docs/PLUGINS.md lists them.
func rosterdImports() []function {
	f := func(name, params, results string, call func(*call, args) uint64) function {
		return function{module: abiModule, name: name, params: types(params), results: types(results), call: call}
	}
	return []function{
		f("input_len", "", "i", inputLen),
		f("input_read", "iii", "i", inputRead),
		f("output_write", "ii", "i", outputWrite),
		f("fail", "iiii", "", fail),
		f("error_text", "ii", "i", errorText),
		f("config_get", "iiii", "i", configGet),
		f("http_request", "iiii", "i", httpRequest),
		f("http_status", "i", "i", httpStatus),
		f("http_header", "iiiii", "i", httpHeader),
		f("http_rev", "iii", "i", httpRev),
		f("http_body_len", "i", "i", httpBodyLen),
		f("http_body_read", "iiii", "i", httpBodyRead),
		f("http_close", "i", "i", httpClose),
		f("kv_get", "iiii", "i", kvGet),
		f("kv_set", "iiiii", "i", kvSet),
		f("kv_delete", "ii", "i", kvDelete),
		f("log", "iii", "", logLine),
		f("now_ms", "", "l", nowMS),
		f("random", "ii", "i", random),
	}
}

// known tells whether there is an import of this name.
func known(module, name string, extism bool) bool {
	return slices.ContainsFunc(imports, func(f function) bool { return f.module == module && f.name == name && (extism || !f.kits) })
}

// host is f for the runtime: it looks at the limits of the call before each one.
func (f function) host() api.GoModuleFunction {
	if f.call == nil {
		return ofRuntime(f.name)
	}
	run, results := f.call, len(f.results) > 0
	enter := (*call).enter
	if f.cheap {
		enter = (*call).enterCheap
	}
	return api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		c := callOf(ctx)
		enter(c, mod)
		result := run(c, stack)
		if results {
			stack[0] = result
		}
	})
}

// args are the arguments of an import, each an i32 unless it says so.
type args []uint64

func (a args) u32(i int) uint32 { return api.DecodeU32(a[i]) }

// The results of imports that are errors.
const (
	codeAbsent   int32 = -1
	codeRefused  int32 = -2
	codeLimit    int32 = -3
	codeNetwork  int32 = -4
	codeArgument int32 = -5
	codeTime     int32 = -6
)

// fails is the result of an import that did not work, and keeps why for error_text.
func (c *call) fails(code int32, err error) uint64 {
	c.lastErr = err
	return api.EncodeI32(code)
}

func (c *call) failsf(code int32, format string, a ...any) uint64 {
	return c.fails(code, fmt.Errorf(format, a...))
}

// count is the result of an import that says how many.
func count(n int) uint64 { return api.EncodeI32(int32(n)) }

// view is a part of the module's memory, until it runs again. One that leads out of it ends the call.
func (c *call) view(ptr, n uint32) []byte {
	b, ok := c.mem.Read(ptr, n)
	if !ok {
		trapf("trap", "a pointer that leads out of the memory: %d bytes at %d, of %d", n, ptr, c.mem.Size())
	}
	c.weigh(len(b))
	return b
}

// weigh is for what takes its time: it ends a call that nobody waits for any more.
func (c *call) weigh(bytes int) {
	if c.weight += bytes; c.weight > 1<<20 {
		c.weight = 0
		c.stillWanted()
	}
}

// maxText is more than any name, key or value may have that a module hands in.
const maxText = 128 << 10

// text is a copy of what stands in memory, or of as much of it as makes it too long for everybody.
func (c *call) text(a args, ptr int) string {
	b := c.view(a.u32(ptr), a.u32(ptr+1))
	return string(b[:min(len(b), maxText)])
}

// give answers (dst, cap): the whole length, and the bytes if they fit.
func give[T string | []byte](c *call, a args, dst int, what T) uint64 {
	room := c.view(a.u32(dst), a.u32(dst+1))
	if len(what) <= len(room) {
		copy(room, what)
	}
	return count(len(what))
}

// part answers (dst, off, len): what of it there is, and how much.
func part(c *call, a args, dst int, what []byte) uint64 {
	off := a.u32(dst + 1)
	room := c.view(a.u32(dst), a.u32(dst+2))
	if uint64(off) >= uint64(len(what)) {
		return count(0)
	}
	return count(copy(room, what[off:]))
}
