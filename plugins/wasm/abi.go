package wasm

import (
	"context"
	"fmt"

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
	call            func(c *call, a args) uint64 // as a result is on the stack; nobody looks at it where there is none
}

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// imports are all functions that a module may import, but those of WASI.
var imports = rosterdImports()

// rosterdImports are those of the ABI, as docs/PLUGINS.md lists them.
func rosterdImports() []function {
	f := func(name string, params int, results []api.ValueType, call func(*call, args) uint64) function {
		list := make([]api.ValueType, params)
		for i := range list {
			list[i] = i32
		}
		return function{abiModule, name, list, results, call}
	}
	one := []api.ValueType{i32}
	return []function{
		f("input_len", 0, one, inputLen),
		f("input_read", 3, one, inputRead),
		f("output_write", 2, one, outputWrite),
		f("fail", 4, nil, fail),
		f("error_text", 2, one, errorText),
		f("config_get", 4, one, configGet),
		f("http_request", 4, one, httpRequest),
		f("http_status", 1, one, httpStatus),
		f("http_header", 5, one, httpHeader),
		f("http_rev", 3, one, httpRev),
		f("http_body_len", 1, one, httpBodyLen),
		f("http_body_read", 4, one, httpBodyRead),
		f("http_close", 1, one, httpClose),
		f("kv_get", 4, one, kvGet),
		f("kv_set", 5, one, kvSet),
		f("kv_delete", 2, one, kvDelete),
		f("log", 3, nil, logLine),
		f("now_ms", 0, []api.ValueType{i64}, nowMS),
		f("random", 2, one, random),
	}
}

// host is f for the runtime: it looks at the limits of the call before each one.
func (f function) host() api.GoModuleFunc {
	run, results := f.call, len(f.results) > 0
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		c := callOf(ctx)
		c.enter(mod)
		result := run(c, stack)
		if results {
			stack[0] = result
		}
	}
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
	return b
}

// text is a copy of what stands in memory.
func (c *call) text(a args, ptr int) string { return string(c.view(a.u32(ptr), a.u32(ptr+1))) }

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
