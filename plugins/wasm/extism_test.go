package wasm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
	"rosterd/plugins/wasm"
	"rosterd/plugins/wasm/module/asm"
)

// extismSignatures are those of Extism's kits: extism.rs of extism-pdk 1.4, extism-pdk.h of c-pdk, env.ts of as-pdk 1.0.
var extismSignatures = map[string]string{
	"alloc": "l:l", "free": "l:", "length": "l:l", "length_unsafe": "l:l", "load_u8": "l:i", "load_u64": "l:l", "store_u8": "li:", "store_u64": "ll:",
	"input_offset": ":l", "input_length": ":l", "input_load_u8": "l:i", "input_load_u64": "l:l", "output_set": "ll:", "error_set": "l:",
	"config_get": "l:l", "var_get": "l:l", "var_set": "ll:", "http_request": "ll:l", "http_status_code": ":i", "http_headers": ":l",
	"log_trace": "l:", "log_debug": "l:", "log_info": "l:", "log_warn": "l:", "log_error": "l:", "get_log_level": ":i",
}

// kitted is a plugin made with one of Extism's kits, in the making. Its functions have four locals: the first one is for
// handles, the others are free.
type kitted struct {
	*guest
	entry string
	calls map[string]bool
}

func (k kitted) call(c asm.Code, name string, args ...any) asm.Code {
	k.calls[name] = true
	return k.guest.call(c, name, args...)
}

// newKitted imports all functions of the kits, and of rosterd_v1 and WASI what is named.
func newKitted(entry string, names ...string) kitted {
	g := &guest{imported: map[string]uint32{}, top: 16, texts: map[string]int32{}}
	for name, s := range extismSignatures {
		g.imported[name] = g.Import("extism:host/env", name, s)
	}
	for _, name := range names {
		g.imported["v1:"+name] = g.Import("rosterd_v1", name, signatures[name])
	}
	g.Memory(2, 64)
	g.ExportMemory("memory")
	return kitted{g, entry, map[string]bool{}}
}

// block allocates a text and leaves its handle.
func (k kitted) block(c asm.Code, text string) asm.Code {
	const handle = 0
	c = k.call(c.I64(int64(len(text))), "alloc").LocalSet(handle)
	at := func(i int) asm.Code { return asm.Code{}.LocalGet(handle).I64(int64(i)).Op(0x7c) }
	i := 0
	for ; i+8 <= len(text); i += 8 {
		c = k.call(c.Add(at(i)).I64(int64(binary.LittleEndian.Uint64([]byte(text[i:])))), "store_u64")
	}
	for ; i < len(text); i++ {
		c = k.call(c.Add(at(i)).I32(int32(text[i])), "store_u8")
	}
	return c.LocalGet(handle)
}

// is64 ends the function with 99 unless the number on the stack is the one.
func is64(c asm.Code, want int64) asm.Code {
	return c.I64(want).Op(0x52).If().I32(99).Return().End()
}

func is32(c asm.Code, want int32) asm.Code {
	return c.I32(want).Op(0x47).If().I32(99).Return().End()
}

// is compares a block with a text. Its handle is on the stack.
func (k kitted) is(c asm.Code, want string) asm.Code {
	const handle = 3
	c = is64(k.call(c.LocalTee(handle), "length"), int64(len(want)))
	for i := range len(want) {
		c = is32(k.call(c.LocalGet(handle).I64(int64(i)).Op(0x7c), "load_u8"), int32(want[i]))
	}
	return c
}

// answers sets the output.
func (k kitted) answers(c asm.Code, text string) asm.Code {
	return k.call(k.block(c, text).I64(int64(len(text))), "output_set")
}

// code is the module, whose entry does this and returns 0.
func (k kitted) code(c asm.Code) []byte {
	k.Export(k.entry, k.Func(":i", "llll", c.I32(0)))
	return k.Bytes()
}

// fetched is what a fetch of a module comes to.
func fetched(t *testing.T, code []byte, s setting, w *world) (string, error) {
	t.Helper()
	a, err := open(t, code, s, w).Fetch(t.Context(), john(t))
	if err != nil {
		return "", err
	}
	return string(a.Roster.EncodeJSON()), nil
}

// verdictOf is the kind of an error, and its text.
func verdictOf(err error) string {
	var fault *engine.FaultError
	var temporary *engine.TemporaryError
	var permanent *engine.PermanentError
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, engine.ErrUnknownUser):
		return "not found: " + err.Error()
	case errors.Is(err, engine.ErrDenied):
		return "denied: " + err.Error()
	case errors.As(err, &fault):
		return fault.Kind + ": " + err.Error()
	case errors.As(err, &temporary):
		return "temporary: " + err.Error()
	case errors.As(err, &permanent):
		return "permanent: " + err.Error()
	}
	return "other: " + err.Error()
}

func TestExtismImports(t *testing.T) {
	secret := map[string]any{"crm_url": "https://crm.example.com/%s", "crm_pages": int64(5), "crm_list": []any{"a", "b"}, "nothing": "",
		"rosterd_plugin_secrets": map[string]any{"token": "correct horse"}}
	response := &plugins.HTTPResponse{Status: 203, Body: []byte("hello, you"), Header: http.Header{"Set-Cookie": {"a", "b"}, "Etag": {`"7"`}}}
	cases := []struct {
		name string
		body func(k kitted, c asm.Code) asm.Code
		want string // beginning and end of the error, or "ok"
	}{
		{"alloc", func(k kitted, c asm.Code) asm.Code {
			c = k.call(c.I64(10), "alloc").LocalSet(1)
			c = is64(k.call(c.LocalGet(1), "length"), 10)
			c = is64(k.call(c.LocalGet(1), "length_unsafe"), 10)
			c = is64(k.call(c.LocalGet(1).I64(1).Op(0x7c), "length"), 0) // inside
			c = is64(k.call(c.LocalGet(1).I64(8).Op(0x7c), "length_unsafe"), 0)
			return is64(k.call(c.I64(0), "alloc"), 0)
		}, "ok"},
		{"alloc too much", func(k kitted, c asm.Code) asm.Code {
			c = is64(k.call(c.I64(1<<40), "alloc"), 0)
			c = is64(k.call(c.I64(-1), "alloc"), 0)
			return is64(k.call(c.I64(8<<20), "alloc"), 0)
		}, "ok"},
		{"length of what is no block", func(k kitted, c asm.Code) asm.Code {
			c = is64(k.call(c.I64(0), "length"), 0)
			c = is64(k.call(c.I64(1<<50), "length"), 0)
			return is64(k.call(c.I64(-8), "length_unsafe"), 0)
		}, "ok"},
		{"free", func(k kitted, c asm.Code) asm.Code {
			c = k.block(c, "marie").LocalSet(1)
			c = k.call(c.LocalGet(1), "free")
			c = is64(k.call(c.LocalGet(1), "length"), 0)
			c = k.call(c.LocalGet(1), "free")
			c = k.call(c.I64(0), "free")
			return k.call(c.I64(-1), "free")
		}, "ok"},
		{"store and load", func(k kitted, c asm.Code) asm.Code {
			c = k.call(c.I64(16), "alloc").LocalSet(1)
			c = k.call(c.LocalGet(1).I64(0x0102030405060708), "store_u64")
			c = k.call(c.LocalGet(1).I64(8).Op(0x7c).I32(-1), "store_u8")
			c = is32(k.call(c.LocalGet(1), "load_u8"), 8)
			c = is32(k.call(c.LocalGet(1).I64(8).Op(0x7c), "load_u8"), 255)
			return is64(k.call(c.LocalGet(1).I64(1).Op(0x7c), "load_u64"), -0xfefdfcfbfaf9f9) // 0xff01020304050607
		}, "ok"},
		{"load_u8 of null", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(0), "load_u8").Drop() }, "trap: load_u8 at 0 "},
		{"load_u8 beyond 2^32", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(1<<32+64), "load_u8").Drop() }, "trap: load_u8 at 4294967360"},
		{"load_u64 of null", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(0), "load_u64").Drop() }, "trap: load_u64 at 0 "},
		{"load_u64 at the end of all", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(-4), "load_u64").Drop() }, "trap: load_u64 at 18446744073709551612 "},
		{"load_u64 over the end", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.call(c.I64(8), "alloc").I64(1).Op(0x7c), "load_u64").Drop()
		}, "trap: load_u64 at "},
		{"store_u8 at null", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(0).I32(1), "store_u8") }, "trap: store_u8 at 0 "},
		{"store_u64 far away", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(1<<20).I64(1), "store_u64") }, "trap: store_u64 at 1048576 "},
		{"store after alloc has failed", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.call(c.I64(9<<20), "alloc").I64(1), "store_u64")
		}, "memory: store_u64 at 0, after alloc had refused: a call may allocate 8 MiB"},
		{"input", func(k kitted, c asm.Code) asm.Code {
			c = is64(k.call(k.call(c, "input_offset"), "length").Add(k.call(nil, "input_length")).Op(0x7d), 0)
			c = is32(k.call(c.I64(0), "input_load_u8"), '{')
			c = is64(k.call(c.I64(0), "input_load_u64"), int64(binary.LittleEndian.Uint64([]byte(`{"op":"f`))))
			c = is64(k.call(k.call(c, "input_offset"), "load_u64"), int64(binary.LittleEndian.Uint64([]byte(`{"op":"f`))))
			c = is64(k.call(k.call(c, "input_length").I64(8).Op(0x7d), "input_load_u64"), int64(binary.LittleEndian.Uint64([]byte(`"rev":""}`)[1:])))
			return is32(k.call(k.call(c, "input_length").I64(1).Op(0x7d), "input_load_u8"), '}')
		}, "ok"},
		{"input_load_u8 over the end", func(k kitted, c asm.Code) asm.Code { return k.call(k.call(c, "input_length"), "input_load_u8").Drop() }, "trap: input_load_u8 at "},
		{"input_load_u8 at -1", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(-1), "input_load_u8").Drop() }, "trap: input_load_u8 at 18446744073709551615 "},
		{"input_load_u64 over the end", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.call(c, "input_length").I64(7).Op(0x7d), "input_load_u64").Drop()
		}, "trap: input_load_u64 at "},
		{"input_load_u64 at -8", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(-8), "input_load_u64").Drop() }, "trap: input_load_u64 at 18446744073709551608 "},
		{"input that was freed", func(k kitted, c asm.Code) asm.Code {
			c = k.call(k.call(c, "input_offset"), "free")
			c = is64(k.call(c, "input_length"), 0)
			return k.call(c.I64(0), "input_load_u64").Drop()
		}, "trap: input_load_u64 at 0 of an input of 0 bytes"},
		{"output_set in the middle", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.block(c, "xx"+empty+"x").I64(2).Op(0x7c).I64(int64(len(empty))), "output_set")
		}, "ok"},
		{"output that is freed", func(k kitted, c asm.Code) asm.Code {
			c = k.call(k.answers(c, empty).LocalGet(0), "free")
			return k.block(c, strings.Repeat("x", len(empty))).Drop()
		}, "ok"},
		{"output_set of nothing", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(0).I64(0), "output_set") }, "protocol: roster_fetch wrote nothing"},
		{"output_set of null", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(0).I64(5), "output_set") }, "trap: output_set: 5 bytes at 0 lead out"},
		{"output_set over the end", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.call(c.I64(8), "alloc").I64(9), "output_set")
		}, "trap: output_set: 9 bytes at "},
		{"output_set of too much", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(64).I64(1<<33), "output_set") }, "protocol: output_set: 8589934592 bytes"},
		{"error_set", func(k kitted, c asm.Code) asm.Code {
			c = k.call(k.block(c, "the CRM is asleep"), "error_set")
			return k.call(c.LocalGet(0), "free")
		}, "temporary: the CRM is asleep"},
		{"error_set and back", func(k kitted, c asm.Code) asm.Code {
			c = k.call(k.block(c, "the CRM is asleep"), "error_set")
			return k.answers(k.call(c.I64(0), "error_set"), empty)
		}, "ok"},
		{"error_set of no block", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(100000), "error_set") }, "trap: error_set: no block is at 100000"},
		{"config_get", func(k kitted, c asm.Code) asm.Code {
			c = k.is(k.call(k.block(c, "crm_url"), "config_get"), "https://crm.example.com/%s")
			c = k.is(k.call(k.block(c, "crm_pages"), "config_get"), "5")
			c = k.is(k.call(k.block(c, "crm_list"), "config_get"), `["a","b"]`)
			c = is64(k.call(k.block(c, "nothing"), "config_get"), 0)
			c = is64(k.call(c.I64(0), "config_get"), 0)
			return is64(k.call(k.block(c, "crm_nothing"), "config_get"), 0)
		}, "ok"},
		{"config_get of secrets", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.block(c, "rosterd_plugin_secrets"), "config_get").Drop()
		}, "permanent: "},
		{"config_get of no block", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(77), "config_get").Drop() }, "trap: config_get: no block is at 77"},
		{"var", func(k kitted, c asm.Code) asm.Code {
			c = is64(k.call(k.block(c, "since"), "var_get"), 0)
			c = k.block(c, "monday").LocalSet(1)
			c = k.call(k.block(c, "since").LocalGet(1), "var_set")
			c = k.is(k.call(k.block(c, "since"), "var_get"), "monday")
			c = k.call(k.block(c, "since").I64(0), "var_set")
			return is64(k.call(k.block(c, "since"), "var_get"), 0)
		}, "ok"},
		{"var_set of no block", func(k kitted, c asm.Code) asm.Code { return k.call(k.block(c, "since").I64(3), "var_set") }, "trap: var_set: no block is at 3"},
		{"var_get of what was freed", func(k kitted, c asm.Code) asm.Code {
			c = k.call(k.block(c, "since"), "free")
			return k.call(c.LocalGet(0), "var_get").Drop()
		}, "trap: var_get: no block is at "},
		{"http", func(k kitted, c asm.Code) asm.Code {
			c = is32(k.call(c, "http_status_code"), 0)
			c = is64(k.call(c, "http_headers"), 0)
			c = k.block(c, `{"url":"https://crm.example.com/","headers":null,"method":null}`).I64(0)
			c = k.is(k.call(c, "http_request"), "hello, you")
			c = is32(k.call(c, "http_status_code"), 203)
			return k.is(k.call(c, "http_headers"), `{"etag":"\"7\"","set-cookie":"a, b"}`)
		}, "ok"},
		{"http_request that is no JSON", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.block(c, `https://crm.example.com/`).I64(0), "http_request").Drop()
		}, "protocol: http_request: the request: "},
		{"http_request without URL", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.block(c, `{"url":null}`).I64(0), "http_request").Drop()
		},
			"protocol: http_request: the request has no url"},
		{"http_request with more", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.block(c, `{"url":"https://crm.example.com/","proxy":"x"}`).I64(0), "http_request").Drop()
		}, `protocol: http_request: the request: a field "proxy" is not known`},
		{"http_request of null", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(0).I64(0), "http_request").Drop() }, "protocol: http_request: the request is empty"},
		{"http_request with a body that is none", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.block(c, `{"url":"https://crm.example.com/"}`).I64(1), "http_request").Drop()
		}, "trap: http_request: no block is at 1"},
		{"http_request that nobody answers", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.block(c, `{"url":"https://down.example.com/"}`).I64(0), "http_request").Drop()
		}, "temporary: connection refused"},
		{"http_request that is refused", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.block(c, `{"url":"https://elsewhere.example.com/"}`).I64(0), "http_request").Drop()
		}, "permanent: refused by policy: no option names elsewhere"},
		{"http_request nine times", func(k kitted, c asm.Code) asm.Code {
			c = k.block(c, `{"url":"https://crm.example.com/"}`).LocalSet(1)
			return c.Repeat(9, k.call(asm.Code{}.LocalGet(1).I64(0), "http_request").Drop())
		}, "protocol: more than 8 HTTP requests in one call"},
		{"http_request with much to say", func(k kitted, c asm.Code) asm.Code {
			c = k.block(c, `{"url":"https://crm.example.com/"}`)
			return k.call(k.call(c.I64(256<<10+1), "alloc"), "http_request").Drop()
		}, "protocol: http_request: a body of 262145 bytes, more than 256 KiB"},
		{"an answer that is empty", func(k kitted, c asm.Code) asm.Code {
			c = k.block(c, `{"url":"https://empty.example.com/","method":"HEAD"}`).I64(0)
			c = is64(k.call(c, "http_request"), 0)
			return is32(k.call(c, "http_status_code"), 204)
		}, "ok"},
		{"get_log_level", func(k kitted, c asm.Code) asm.Code { return is32(k.call(c, "get_log_level"), 1) }, "ok"},
		{"log of no block", func(k kitted, c asm.Code) asm.Code { return k.call(c.I64(5), "log_warn") }, "trap: log_warn: no block is at 5"},
		{"log of nothing", func(k kitted, c asm.Code) asm.Code {
			for _, name := range []string{"log_trace", "log_debug", "log_info", "log_warn", "log_error"} {
				c = k.call(c.I64(0), name)
			}
			return c
		}, "ok"},
		{"beside rosterd_v1", func(k kitted, c asm.Code) asm.Code {
			return k.call(k.call(c, "v1:now_ms").Drop(), "v1:fail", 3, 0, "as in rosterd_v1").I32(3).Return()
		}, "permanent: as in rosterd_v1"},
	}
	calls := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := &world{http: func(_ context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
				switch {
				case strings.Contains(r.URL, "down."):
					return nil, errors.New("connection refused")
				case strings.Contains(r.URL, "elsewhere."):
					return nil, fmt.Errorf("%w: no option names elsewhere", plugins.ErrRefused)
				case strings.Contains(r.URL, "empty."):
					return &plugins.HTTPResponse{Status: 204}, nil
				}
				return response, nil
			}}
			k := newKitted("roster_fetch", "now_ms", "fail")
			body := c.body(k, nil)
			if !strings.Contains(c.name, "output") {
				body = k.answers(body, empty)
			}
			maps.Copy(calls, k.calls)
			got, err := fetched(t, k.code(body), setting{options: secret}, w)
			if err == nil && got != "{}" {
				t.Errorf("got %s", got)
			}
			kind, rest, _ := strings.Cut(c.want, ": ")
			if said := verdictOf(err); !strings.HasPrefix(said, kind) || !strings.Contains(said, rest) {
				t.Errorf("got  %s\nwant %s", said, c.want)
			}
		})
	}
	for name := range extismSignatures {
		if !calls[name] {
			t.Errorf("%s is in no case", name)
		}
	}
}

func TestExtismLog(t *testing.T) {
	k, w := newKitted("roster_fetch"), &world{}
	var c asm.Code
	for _, level := range []string{"trace", "debug", "info", "warn", "error"} {
		c = k.call(k.block(c, "a line of "+level), "log_"+level)
	}
	long := k.block(nil, strings.Repeat("l", 2000))
	for range 70 {
		c = k.call(c.Add(long), "log_info")
	}
	if _, err := fetched(t, k.code(k.answers(c, empty)), setting{}, w); err != nil {
		t.Fatal(err)
	}
	said := w.said()
	want := []string{"DEBUG a line of trace", "DEBUG a line of debug", "INFO a line of info", "WARN a line of warn", "ERROR a line of error"}
	for i, line := range want {
		if !strings.HasPrefix(said[i], line) || !strings.Contains(said[i], "john@example.com") {
			t.Errorf("line %d: %q", i, said[i])
		}
	}
	if len(said) != 64 || strings.Count(said[63], "l") > 1100 {
		t.Errorf("%d lines, of which the last one has %d bytes", len(said), len(said[63]))
	}
}

// What a plugin returns, and what error_set has said: kits return 1 or -1 for whatever nobody has caught.
func TestExtismVerdict(t *testing.T) {
	for _, c := range []struct {
		name    string
		returns int32
		said    string
		want    string
	}{
		{"fine", 0, "", "ok"},
		{"not found", 1, "", "not found: "},
		{"temporary", 2, "", "temporary: crm.wasm says so"},
		{"permanent", 3, "", "permanent: crm.wasm says so"},
		{"denied", 4, "", "denied: "},
		{"no number of ours", 5, "", "protocol: "},
		{"an error without a text", -1, "", "protocol: "},
		{"0 with a text", 0, "oh", "temporary: oh"},
		{"what the kit for Go teaches", 1, "oh", "temporary: oh"},
		{"temporary with a text", 2, "oh", "temporary: oh"},
		{"permanent with a text", 3, "oh", "permanent: oh"},
		{"denied with a text", 4, "oh", "denied: "},
		{"Rust's Err, JavaScript's throw", -1, "oh", "temporary: oh"},
		{"something else with a text", 134, "oh", "temporary: oh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKitted("roster_fetch")
			code := k.answers(nil, empty)
			if c.said != "" {
				code = k.call(k.block(code, c.said), "error_set")
			}
			_, err := fetched(t, k.code(code.I32(c.returns).Return()), setting{}, &world{})
			if said := verdictOf(err); !strings.HasPrefix(said, c.want) || !strings.Contains(said, c.said) {
				t.Errorf("got  %s\nwant %s", said, c.want)
			}
		})
	}
}

func TestExtismRequest(t *testing.T) {
	var got []plugins.HTTPRequest
	w := &world{http: func(_ context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
		got = append(got, r)
		return &plugins.HTTPResponse{Status: 200, Body: []byte("{}")}, nil
	}}
	k := newKitted("roster_fetch")
	c := k.call(k.block(nil, `{"url":"https://crm.example.com/1","method":"GET","headers":{"accept":"text/csv"}}`).I64(0), "http_request").Drop()
	c = k.block(c, "a body").LocalSet(1)
	c = k.call(k.block(c, `{"url":"https://crm.example.com/2","method":"POST","header":{"X":"y"},"timeout_ms":1500}`).LocalGet(1), "http_request").Drop()
	if _, err := fetched(t, k.code(k.answers(c, empty)), setting{}, w); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].URL != "https://crm.example.com/1" || got[0].Method != "GET" || got[0].Header.Get("Accept") != "text/csv" || got[0].Body != nil ||
		got[1].Method != "POST" || string(got[1].Body) != "a body" || got[1].Header.Get("X") != "y" || got[1].Timeout != 1500*time.Millisecond {
		t.Errorf("asked %+v", got)
	}
}

// Answers have room of their own, and no more than the operator gives them.
func TestExtismAnswers(t *testing.T) {
	w := &world{http: func(context.Context, plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
		return &plugins.HTTPResponse{Status: 200, Body: make([]byte, 3<<20)}, nil
	}}
	for _, c := range []struct {
		name    string
		answers int
		between string
		want    string
	}{
		{"two", 2, "", "ok"},
		{"two, and all that it may allocate itself", 2, "alloc", "ok"},
		{"four", 4, "", "memory: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKitted("roster_fetch")
			code := k.block(nil, `{"url":"https://crm.example.com/"}`).LocalSet(1)
			code = code.Repeat(c.answers, is64(k.call(k.call(asm.Code{}.LocalGet(1).I64(0), "http_request"), "length"), 3<<20))
			if c.between != "" {
				code = k.call(code.I64(7<<20), "alloc").Op(0x50).If().I32(99).Return().End() // i64.eqz
			}
			_, err := fetched(t, k.code(k.answers(code, empty)), setting{host: plugins.Host{Limits: plugins.Limits{Answer: 6 << 20}}}, w)
			if said := verdictOf(err); !strings.HasPrefix(said, c.want) {
				t.Error(said)
			}
		})
	}
}

// 44,000 calls for eight bytes each, which is an input of 350 KB there and back, and ten times more, are no flood.
func TestExtismManyCalls(t *testing.T) {
	for _, n := range []int64{44_000, 120_000} {
		k := newKitted("roster_fetch")
		c := k.block(nil, "12345678").LocalSet(1).I64(n).LocalSet(2)
		c = k.call(k.call(c.Loop().LocalGet(1).LocalGet(1), "load_u64"), "store_u64")
		c = c.LocalGet(2).I64(1).Op(0x7d).LocalTee(2).Op(0x50, 0x45).BrIf(0).End()
		p := open(t, k.code(k.answers(c, empty)), setting{}, &world{})
		if _, err := p.Fetch(t.Context(), john(t)); err != nil {
			t.Fatal(err)
		}
		if used := p.Instructions(); used < 2*n*100 {
			t.Errorf("%d calls have cost %d units", 2*n, used)
		}
		// Ten write the eight bytes and the answer.
		if calls := p.HostCalls(); calls != 2*n+10 {
			t.Errorf("%d calls, and counted %d", 2*n, calls)
		}
	}
}

func TestExtismFlood(t *testing.T) {
	for _, c := range []struct {
		name string
		body func(k kitted) asm.Code
		want string
	}{
		{"load_u64", func(k kitted) asm.Code { return k.call(asm.Code{}.LocalGet(1), "load_u64").Drop() }, "deadline: "},
		{"alloc and free", func(k kitted) asm.Code { return k.call(k.call(asm.Code{}.I64(4096), "alloc"), "free") }, "deadline: "},
		{"alloc", func(k kitted) asm.Code { return k.call(asm.Code{}.I64(1), "alloc").Drop() }, "deadline: "},
		{"log", func(k kitted) asm.Code { return k.call(asm.Code{}.LocalGet(1), "log_info") }, "instructions: "},
		{"var_get", func(k kitted) asm.Code { return k.call(asm.Code{}.LocalGet(1), "var_get").Drop() }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKitted("roster_fetch")
			p := open(t, k.code(k.block(nil, "12345678").LocalSet(1).Loop().Add(c.body(k)).Br(0).End()), setting{}, &world{})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := p.Fetch(ctx, john(t))
			if said := verdictOf(err); err == nil || !strings.HasPrefix(said, c.want) && !strings.HasPrefix(said, "deadline: ") {
				t.Error(said)
			}
		})
	}
}

// A call sees nothing of the one before it, in the arena that is.
func TestExtismForgets(t *testing.T) {
	k := newKitted("roster_fetch")
	c := k.call(asm.Code{}.I64(4096), "alloc").LocalSet(1)
	c = c.I64(0).LocalSet(2).Loop()
	c = is64(k.call(c.LocalGet(1).LocalGet(2).Op(0x7c), "load_u64"), 0)
	c = k.call(c.LocalGet(1).LocalGet(2).Op(0x7c).I64(-1), "store_u64")
	c = c.LocalGet(2).I64(8).Op(0x7c).LocalTee(2).I64(4096).Op(0x54).BrIf(0).End() // i64.lt_u
	p := open(t, k.code(k.answers(c, empty)), setting{}, &world{})
	for i := range 3 {
		if _, err := p.Fetch(t.Context(), john(t)); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
}

// The body of an answer, and of a request from outside, is a block, which the input names.
func TestExtismBodies(t *testing.T) {
	body := `[{"login":"marie"}]`
	// atBody looks for ,"body": at the end of the input and leaves the number behind it, as it must be by the time.
	atBody := func(k kitted, want string) asm.Code {
		// The block was allocated before the input, so that it is the first one.
		c := k.call(k.is(asm.Code{}.I64(64), want), "input_length").I64(4).Op(0x7d).LocalSet(2)
		for i, ch := range []byte(`:64}`) {
			c = is32(k.call(c.LocalGet(2).I64(int64(i)).Op(0x7c), "input_load_u8"), int32(ch))
		}
		return c
	}
	t.Run("transform", func(t *testing.T) {
		k := newKitted("roster_transform")
		c := is32(k.call(atBody(k, body), "http_status_code"), 200)
		c = k.is(k.call(c, "http_headers"), `{"x-pages":"1"}`)
		w := &world{http: func(_ context.Context, r plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
			return &plugins.HTTPResponse{Status: 200, URL: r.URL, Header: http.Header{"X-Pages": {"1"}}, Body: []byte(body)}, nil
		}}
		got, err := fetched(t, k.code(k.answers(c, `{"items":[{"jid":"marie@example.com"}]}`)), setting{options: map[string]any{"crm_url": "https://crm.example.com/%s"}}, w)
		if err != nil || got != `{"marie@example.com":{"subscription":"both"}}` {
			t.Errorf("%s %v", got, err)
		}
	})
	t.Run("webhook", func(t *testing.T) {
		k := newKitted("roster_webhook")
		p := open(t, k.code(k.answers(atBody(k, "changed"), `{"status":202,"body":"thank you"}`)), setting{}, &world{})
		if info := p.Info(); info.Roster || info.Auth || info.Path != "/crm" {
			t.Errorf("%+v", info)
		}
		r, err := p.Handle(t.Context(), plugins.Call{Route: 1, Method: "POST", Path: "/crm", Host: "example.com", Body: []byte("changed")})
		if err != nil || r.Status != 202 || string(r.Body) != "thank you" {
			t.Errorf("%+v %v", r, err)
		}
	})
}

func TestExtismAuth(t *testing.T) {
	for _, c := range []struct {
		returns int32
		said    string
		want    string
	}{
		{0, "", "ok"}, {1, "", "not found: "}, {4, "", "denied: "}, {4, "no such password", "denied: "}, {0, "the CRM is asleep", "temporary: "}, {-1, "oh", "temporary: "},
	} {
		k := newKitted("roster_auth")
		var code asm.Code
		if c.said != "" {
			code = k.call(k.block(nil, c.said), "error_set")
		}
		p := open(t, k.code(code.I32(c.returns).Return()), setting{}, &world{})
		if said := verdictOf(p.Authenticate(t.Context(), user(t, "john@example.com"), "secret")); !strings.HasPrefix(said, c.want) {
			t.Errorf("%d %q: %s", c.returns, c.said, said)
		}
	}
}

func TestExtismInit(t *testing.T) {
	for _, c := range []struct {
		name string
		body func(k kitted) asm.Code
		want string
	}{
		{"an option", func(k kitted) asm.Code { return k.is(k.call(k.block(nil, "crm_pages"), "config_get"), "5") }, ""},
		{"allocates much", func(k kitted) asm.Code { return k.call(asm.Code{}.I64(8<<19), "alloc").Drop() }, ""},
		{"refuses", func(k kitted) asm.Code { return asm.Code{}.I32(3).Return() }, "crm.wasm: roster_init returned 3: it refuses the configuration"},
		{"says why", func(k kitted) asm.Code { return k.call(k.block(nil, "no crm_url"), "error_set").I32(3).Return() }, "crm.wasm: roster_init returned 3: no crm_url"},
		{"an error and 0", func(k kitted) asm.Code { return k.call(k.block(nil, "no crm_url"), "error_set") }, "no crm_url"},
		{"-1", func(k kitted) asm.Code { return k.call(k.block(nil, "no crm_url"), "error_set").I32(-1).Return() }, "crm.wasm: roster_init returned -1: no crm_url"},
		{"a variable", func(k kitted) asm.Code { return k.call(k.block(nil, "x"), "var_get").Drop() }, "var_get in roster_init"},
		{"keeps a variable", func(k kitted) asm.Code { return k.call(k.block(nil, "x").I64(0), "var_set") }, "var_set in roster_init"},
		{"a request", func(k kitted) asm.Code {
			return k.call(k.block(nil, `{"url":"https://crm.example.com/"}`).I64(0), "http_request").Drop()
		}, "http_request in roster_init"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKitted("roster_init")
			k.Export("roster_fetch", k.Func(":i", "llll", k.answers(nil, empty).I32(0)))
			p, err := tryOpen(t, k.code(c.body(k)), setting{options: map[string]any{"crm_pages": int64(5)}}, &world{})
			switch {
			case c.want == "" && err == nil:
				if _, err := p.Fetch(t.Context(), john(t)); err != nil {
					t.Error(err)
				}
			case c.want == "" || err == nil || !strings.Contains(err.Error(), c.want):
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// What is called before anything else, and in which order: each function adds a digit to a number, which fetch returns.
func TestExtismStart(t *testing.T) {
	for _, c := range []struct {
		name    string
		exports []string
		want    int32
	}{
		{"nothing", nil, 0},
		{"reactor", []string{"_initialize"}, 1},
		{"constructors", []string{"__wasm_call_ctors"}, 2},
		{"both", []string{"_initialize", "__wasm_call_ctors"}, 2},
		{"Haskell", []string{"_initialize", "hs_init"}, 13},
		{"Haskell with constructors", []string{"__wasm_call_ctors", "_initialize", "hs_init"}, 13},
		{"Haskell without WASI", []string{"hs_init"}, 3},
		{"a command", []string{"_start"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKitted("roster_fetch")
			n := k.Global('i', true, asm.Code{}.I32(0))
			add := func(digit int32) asm.Code {
				// In a constructor a kit may allocate.
				return k.call(asm.Code{}.I64(10), "alloc").Drop().GlobalGet(n).I32(10).Op(0x6c).I32(digit).I32Add().GlobalSet(n)
			}
			for _, name := range c.exports {
				switch name {
				case "hs_init":
					k.Export(name, k.Func("ii:", "", add(3)))
				case "__wasm_call_ctors":
					k.Export(name, k.Func(":", "", add(2)))
				default:
					k.Export(name, k.Func(":", "", add(1)))
				}
			}
			if _, err := fetched(t, k.code(k.answers(asm.Code{}.GlobalGet(n).I32(c.want).Op(0x47).If().I32(99).Return().End(), empty)), setting{}, &world{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A start function runs before there is an instance.
func TestExtismInStart(t *testing.T) {
	k := newKitted("roster_fetch")
	many := k.call(asm.Code{}.I64(1000).LocalSet(0).Loop().I64(8), "alloc").Drop().LocalGet(0).I64(1).Op(0x7d).LocalTee(0).Op(0x50, 0x45).BrIf(0).End()
	k.Start(k.Func(":", "l", many))
	if got, err := fetched(t, k.code(k.answers(nil, empty)), setting{}, &world{}); err != nil || got != "{}" {
		t.Errorf("%s %v", got, err)
	}
}

// The deadline of a call is nobody's refusal.
func TestExtismDeadline(t *testing.T) {
	w := &world{http: func(ctx context.Context, _ plugins.HTTPRequest) (*plugins.HTTPResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	k := newKitted("roster_fetch")
	p := open(t, k.code(k.call(k.block(nil, `{"url":"https://crm.example.com/"}`).I64(0), "http_request").Drop()), setting{}, w)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := p.Fetch(ctx, john(t))
	if said := verdictOf(err); !strings.HasPrefix(said, "temporary: ") || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(said)
	}
}

func TestExtismStore(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails error
		want  string
	}{
		{"no room", fmt.Errorf("%w: a value of 70000 bytes", plugins.ErrLimit), "protocol: "},
		{"no database", errors.New("disk I/O error"), "temporary: disk I/O error"},
	} {
		for _, name := range []string{"var_get", "var_set"} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				k := newKitted("roster_fetch")
				code := k.block(nil, "since")
				if name == "var_set" {
					code = k.call(code.I64(0), name)
				} else {
					code = k.call(code, name).Drop()
				}
				_, err := fetched(t, k.code(code), setting{}, &world{fails: c.fails})
				if said := verdictOf(err); !strings.HasPrefix(said, c.want) {
					t.Error(said)
				}
			})
		}
	}
}

// Which modules are Extism's is told by what they import, unless they say that they are rosterd's.
func TestExtismOutline(t *testing.T) {
	k := newKitted("roster_fetch")
	k.Export("rosterd_fetch", k.Func(":i", "", asm.Code{}.I32(0)))
	out := wasm.Describe("crm.wasm", k.code(nil), plugins.Host{})
	if out.Imports[0].Module != "extism:host/env" || len(out.Imports[0].Names) != len(extismSignatures) || out.Imports[0].Unknown != nil {
		t.Errorf("%+v", out)
	}
	if out.ABI != "Extism" || !slices.Equal(out.Exports, []string{"roster_fetch"}) {
		t.Errorf("%s, %q", out.ABI, out.Exports)
	}
}

// BenchmarkExtismCall is a load and a store of eight bytes.
func BenchmarkExtismCall(b *testing.B) {
	k := newKitted("roster_fetch")
	const n = 100_000
	c := k.block(nil, "12345678").LocalSet(1).I64(n / 2).LocalSet(2)
	c = k.call(k.call(c.Loop().LocalGet(1).LocalGet(1), "load_u64"), "store_u64")
	c = c.LocalGet(2).I64(1).Op(0x7d).LocalTee(2).Op(0x50, 0x45).BrIf(0).End()
	p := open(b, k.code(k.answers(c, empty)), setting{}, &world{})
	for b.Loop() {
		if _, err := p.Fetch(b.Context(), john(b)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/call")
}

var fileFunctions = map[string]string{
	"fd_advise": "illi", "fd_allocate": "ill", "fd_datasync": "i", "fd_fdstat_set_rights": "ill", "fd_filestat_get": "ii",
	"fd_filestat_set_size": "il", "fd_filestat_set_times": "illi", "fd_pread": "iiili", "fd_pwrite": "iiili", "fd_readdir": "iiili",
	"fd_sync": "i", "fd_tell": "ii", "path_create_directory": "iii", "path_filestat_get": "iiiii", "path_filestat_set_times": "iiiilli",
	"path_link": "iiiiiii", "path_open": "iiiiillii", "path_readlink": "iiiiii", "path_remove_directory": "iii", "path_rename": "iiiiii",
	"path_symlink": "iiiii", "path_unlink_file": "iii",
}

// Libraries of languages bring functions for files along. That there are none is what each of them says.
func TestExtismNoFiles(t *testing.T) {
	calls := func(g *guest, fd int32) (c asm.Code) {
		for _, name := range slices.Sorted(maps.Keys(fileFunctions)) {
			for i, p := range fileFunctions[name] {
				switch {
				case i == 0:
					c = c.I32(fd)
				case p == 'l':
					c = c.I64(0)
				default:
					c = c.I32(0)
				}
			}
			c = is32(c.Call(g.imported[name]), 8) // EBADF
		}
		return c
	}
	for _, fd := range []int32{0, 1, 2, 3, -1} {
		k := kitted{&guest{imported: map[string]uint32{}, top: 16, texts: map[string]int32{}}, "roster_fetch", map[string]bool{}}
		for name, params := range fileFunctions {
			k.imported[name] = k.Import("wasi_snapshot_preview1", name, params+":i")
		}
		for name, s := range extismSignatures {
			k.imported[name] = k.Import("extism:host/env", name, s)
		}
		k.Memory(1)
		k.ExportMemory("memory")
		if _, err := fetched(t, k.code(k.answers(calls(k.guest, fd), empty)), setting{}, &world{}); err != nil {
			t.Errorf("file %d: %v", fd, err)
		}
	}
}

// What a module needs that is not there is listed when it is opened, and by those who only look at it.
func TestExtismRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		imports [][3]string
		marked  bool
		want    []string
	}{
		{"custom host functions", [][3]string{{"extism:host/env", "alloc", "l:l"}, {"extism:host/user", "crm_list", "l:l"}, {"extism:host/user", "pay", "l:"}}, false,
			[]string{"extism:host/user", "crm_list", "pay"}},
		{"functions of later kits", [][3]string{{"extism:host/env", "alloc", "l:l"}, {"extism:host/env", "stack_push", ":"}, {"extism:host/env", "input_set", "ll:"}}, false,
			[]string{"stack_push", "input_set"}},
		{"functions of kits before 1.0", [][3]string{{"extism:host/env", "alloc", "l:l"}, {"env", "extism_alloc", "l:l"}}, false, []string{"extism_alloc"}},
		{"another type", [][3]string{{"extism:host/env", "alloc", "i:i"}}, false, []string{"alloc"}},
		{"sockets", [][3]string{{"extism:host/env", "alloc", "l:l"}, {"wasi_snapshot_preview1", "sock_accept", "iii:i"}}, false, []string{"sock_accept"}},
		{"a module of rosterd's", [][3]string{{"extism:host/env", "alloc", "l:l"}}, true, []string{"extism:host/env"}},
		{"files in a module of rosterd's", [][3]string{{"wasi_snapshot_preview1", "path_open", "iiiiillii:i"}}, true, []string{"path_open"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m asm.Module
			for _, i := range c.imports {
				m.Import(i[0], i[1], i[2])
			}
			m.Memory(1)
			m.ExportMemory("memory")
			m.Export("roster_fetch", m.Func(":i", "", asm.Code{}.I32(0)))
			if c.marked {
				m.Export("rosterd_abi_v1", m.Func(":", "", nil))
				m.Export("rosterd_fetch", m.Func(":i", "", asm.Code{}.I32(0)))
			}
			_, err := tryOpen(t, m.Bytes(), setting{}, &world{})
			if err == nil {
				t.Fatal("it was opened")
			}
			seen := strings.Join(wasm.Describe("crm.wasm", m.Bytes(), plugins.Host{}).Problems, "\n")
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) || !strings.Contains(seen, want) {
					t.Errorf("%q is not in\n%v\nand\n%s", want, err, seen)
				}
			}
		})
	}
}

// TestExtismDocumented: docs/PLUGINS.md explains each function, and no other.
func TestExtismDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/PLUGINS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Plugins made with Extism's kits\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, table, _ := strings.Cut(section, "\n| import | here |\n| --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	documented := map[string]bool{}
	for row := range strings.SplitSeq(table, "\n") {
		names, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for name := range strings.SplitSeq(names, ", ") {
			name = strings.Trim(name, "`")
			documented[name] = true
			if _, ok := extismSignatures[name]; !ok {
				t.Errorf("the page has %q", name)
			}
		}
	}
	for name := range extismSignatures {
		if !documented[name] {
			t.Errorf("the page has no %s", name)
		}
	}
	for name := range fileFunctions {
		if prefix, _, _ := strings.Cut(name, "_"); prefix != "path" && !strings.Contains(section, "`"+name+"`") {
			t.Errorf("the page has no %s", name)
		}
	}
}
