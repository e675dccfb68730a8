//go:build clients

// Package sdk_test has what the SDKs for C and AssemblyScript read compared with what Go does.
package sdk_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// patience bounds what must not hang.
const patience = 2 * time.Minute

// reader is an SDK: it tells what is in a text, as testdata/json.c does.
type reader interface {
	read(t testing.TB, text []byte) string
}

// readers are C as it runs in rosterd, with and without a C library, and on a machine that notices what is read past the end;
// and AssemblyScript.
func readers(t testing.TB) map[string]reader {
	t.Helper()
	compile.Do(func() { compileAll(t) })
	file := func(name string) string { return filepath.Join(compiled, name) }
	return map[string]reader{
		"c":         open(t, content(t, file("c.wasm"))),
		"c, libc":   open(t, content(t, file("libc.wasm"))),
		"c, native": start(t, file("native")),
		"as":        open(t, content(t, file("as.wasm"))),
	}
}

// compiled is the folder of what is compiled, once for all tests.
var (
	compiled string
	compile  sync.Once
)

// inherited names the folder to the processes that fuzz: they need not compile again.
const inherited = "ROSTERD_SDK_COMPILED"

func TestMain(m *testing.M) {
	if compiled = os.Getenv(inherited); compiled != "" {
		compile.Do(func() {})
		os.Exit(m.Run())
	}
	var err error
	if compiled, err = os.MkdirTemp("", "rosterd-sdk"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(compiled); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func compileAll(t testing.TB) {
	t.Helper()
	file := func(name string) string { return filepath.Join(compiled, name) }
	strict := []string{"-Wall", "-Wextra", "-Werror", "-Ic"}
	with := func(args ...string) []string { return append(args, strict...) }
	run(t, "clang", with("--target=wasm32", "-ffreestanding", "-mbulk-memory", "-O2", "-c", "testdata/json.c", "-o", file("c.o"))...)
	run(t, "wasm-ld", "--no-entry", "-z", "stack-size=65536", file("c.o"), "-o", file("c.wasm"))
	run(t, "clang", with("--target=wasm32-wasi", "-DWITH_LIBC", "-O2", "-c", "testdata/json.c", "-o", file("libc.o"))...)
	run(t, "clang", "--target=wasm32-wasi", "-mexec-model=reactor", file("libc.o"), "-o", file("libc.wasm"))
	// The compiler that the race detector needs as well.
	run(t, "cc", with("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "testdata/native.c", "-o", file("native"))...)
	asc := filepath.Join("assemblyscript", "node_modules", "assemblyscript", "bin", "asc.js")
	if _, err := os.Stat(asc); err != nil {
		t.Fatalf("%v: make plugins", err)
	}
	run(t, "node", asc, "testdata/json.ts", "-O3", "--runtime", "minimal", "--noAssert", "--use", "abort=", "-o", file("as.wasm"))
	if err := os.Setenv(inherited, compiled); err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	} else if len(out) > 0 {
		t.Errorf("%s %s says\n%s", name, strings.Join(args, " "), out)
	}
}

func content(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// program is a reader that runs as a process: texts go in and lines come out, each behind its length.
type program struct {
	in  io.Writer
	out *bufio.Reader
	err *bytes.Buffer
}

func start(t testing.TB, file string) *program {
	t.Helper()
	p := &program{err: &bytes.Buffer{}}
	cmd := exec.Command(file)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = p.err
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0") // its memory is for the next text
	p.in, p.out = in, bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, p.err)
		}
	})
	return p
}

func (p *program) read(t testing.TB, text []byte) string {
	t.Helper()
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	_, err := p.in.Write(append(size, text...))
	if err == nil {
		_, err = io.ReadFull(p.out, size)
	}
	out := make([]byte, binary.LittleEndian.Uint32(size))
	if err == nil {
		_, err = io.ReadFull(p.out, out)
	}
	if err != nil {
		t.Fatalf("%v, with %q", err, brief(text))
	}
	return string(out)
}

// module is a reader that runs as rosterd has it run, with a host around it that answers every request with the text.
type module struct {
	fetch  api.Function
	memory api.Memory
	text   []byte
	out    []byte
}

const input = `{"op":"fetch"}`

func open(t testing.TB, code []byte) *module {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(64<<20>>16))
	t.Cleanup(func() {
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	compiled, err := r.CompileModule(ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	m := &module{}
	hosts := map[string]wazero.HostModuleBuilder{}
	for _, f := range compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		if hosts[from] == nil {
			hosts[from] = r.NewHostModuleBuilder(from)
		}
		hosts[from].NewFunctionBuilder().WithGoModuleFunction(m.function(name), f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	for _, h := range hosts {
		if _, err := h.Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	in, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	if in.ExportedFunction("rosterd_abi_v1") == nil {
		t.Fatal("the module has no mark of its ABI")
	}
	m.fetch, m.memory = in.ExportedFunction("rosterd_fetch"), in.Memory()
	return m
}

// function is an import, as far as reading JSON needs it.
func (m *module) function(name string) api.GoModuleFunc {
	copyTo := func(mem api.Memory, from []byte, dst, off, n uint64) uint64 {
		from = from[min(uint32(off), uint32(len(from))):]
		from = from[:min(uint32(n), uint32(len(from)))]
		if !mem.Write(uint32(dst), from) {
			panic("the buffer is out of the memory")
		}
		return uint64(len(from))
	}
	return func(_ context.Context, in api.Module, s []uint64) {
		switch name {
		case "input_len":
			s[0] = uint64(len(input))
		case "input_read":
			s[0] = copyTo(in.Memory(), []byte(input), s[0], s[1], s[2])
		case "http_request":
			s[0] = 1
		case "http_status":
			s[0] = 200
		case "http_body_len":
			s[0] = uint64(len(m.text))
		case "http_body_read":
			s[0] = copyTo(in.Memory(), m.text, s[1], s[2], s[3])
		case "output_write":
			out, ok := in.Memory().Read(uint32(s[0]), uint32(s[1]))
			if !ok {
				panic("the output is out of the memory")
			}
			m.out = append(m.out, out...)
			s[0] = 0
		default:
			panic(name + " is not for this")
		}
	}
}

func (m *module) read(t testing.TB, text []byte) string {
	t.Helper()
	m.text, m.out = text, nil
	res, err := m.fetch.Call(context.Background())
	if err != nil {
		t.Fatalf("%v, with %q", err, brief(text))
	}
	if res[0] != 0 {
		t.Fatalf("rosterd_fetch returns %d, with %q", res[0], brief(text))
	}
	return string(m.out)
}

func brief(text []byte) []byte { return text[:min(len(text), 300)] }

// maxDepth is how deep the SDKs let values be in one another.
const maxDepth = 64

var errDepth = errors.New("nested too deep")

// reference is what a reader should tell.
func reference(text []byte) (lines []string, err error) {
	if !json.Valid(text) {
		return nil, errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	depth := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			if depth > maxDepth {
				return nil, errDepth
			}
			lines = append(lines, v.String())
		case string:
			lines = append(lines, quoted(v))
		case json.Number:
			f, err := v.Float64()
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				return nil, err
			}
			lines = append(lines, fmt.Sprintf("#%s %016x", integer(v.String(), f), math.Float64bits(f)))
		case nil:
			lines = append(lines, "null")
		default:
			lines = append(lines, fmt.Sprint(v))
		}
	}
}

func quoted(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

// integer is a number if it is whole and an SDK can have it, else "-".
func integer(s string, f float64) string {
	if len(strings.TrimPrefix(s, "-")) <= 18 {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return strconv.FormatInt(n, 10)
		}
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return "-"
}

// check compares what a reader tells with what it should.
func check(t testing.TB, name string, r reader, text []byte) {
	t.Helper()
	got := strings.Split(strings.TrimSuffix(r.read(t, text), "\n"), "\n")
	want, err := reference(text)
	refused := strings.HasPrefix(got[0], "!not JSON: ")
	switch {
	case err != nil && !refused:
		t.Fatalf("%s reads what is wrong, %v: %q", name, err, brief(text))
	case err != nil:
		return
	case refused:
		t.Fatalf("%s refuses %q: %s", name, brief(text), got[0])
	case len(got) != len(want):
		t.Fatalf("%s tells %q of %q, not %q", name, got[:min(len(got), 50)], brief(text), want[:min(len(want), 50)])
	}
	for i := range got {
		if !like(got[i], want[i]) {
			t.Fatalf("%s tells %q of %q, not %q", name, got[i], brief(text), want[i])
		}
	}
}

// like allows the last digits of a fraction not to be exact.
func like(got, want string) bool {
	if got == want || !strings.HasPrefix(got, "#") || !strings.HasPrefix(want, "#") {
		return got == want
	}
	gi, gf := split(got)
	wi, wf := split(want)
	if math.Abs(gf-wf) > 1e-13*math.Abs(wf) && math.Abs(wf) > 1e-290 && math.Abs(wf) < 1e290 {
		return false
	}
	return gi == wi || strings.ContainsAny(strconv.FormatFloat(wf, 'g', -1, 64), ".e") // near a whole number
}

func split(line string) (string, float64) {
	i, bits, _ := strings.Cut(line[1:], " ")
	u, err := strconv.ParseUint(bits, 16, 64)
	if err != nil {
		return line, math.NaN()
	}
	return i, math.Float64frombits(u)
}

// texts are what must be read, and what must not, each as it is.
var texts = []string{
	"", " ", "\t\r\n", "null", "true", "false", "nul", "truE", "falsey", "nulll", "tru", "f", "0", "-", "-0", "01", "1.", ".5", "1.5", "1e", "1e+", "1E5", "1e-5",
	"-1.25e+3", "+1", "0x1", "1e999", "-1e-999", "123456789012345678", "1234567890123456789", "12345678901234567890", "9007199254740993", "1.0", "2e3", "0.1",
	"3.14159265358979", "1e22", "1e23", "0.000001", "2.2250738585072014e-300", "99999999999999999999999999", `"`, `""`, `"a`, `"a"`, `"a" `, `"a"b`, "\"\x00\"", "\"\x1f\"", "\"\n\"",
	"\"\x7f\"", `"\`, `"\"`, `"\\"`, `"\"\\\/\b\f\n\r\t"`, `"\a"`, `"\u"`, `"\u12"`, `"\u123"`, `"\u1234"`, `"\u123g"`, `"\uABCD\uabcd"`, `"\u0000"`,
	`"\ud83d\ude00"`, `"\ud83d"`, `"\ude00"`, `"\ud83d\u0041"`, `"\ud83dx"`, `"\ud83d\ud83d\ude00"`, `"\ud83d\n"`, `"\ud83d\u12"`, `"\ud83d\`, `"\uD83D\u`,
	"\"ä\"", "\"€\"", "\"😀\"", "\"\xff\"", "\"\xc3\"", "\"\xe2\x82\"", "\"\xf0\x9f\x98\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"a\xffb\\n\"",
	"\"\xe0\x80\x80\"", "\"\xf0\x80\x80\x80\"", "\"\xc2", "\"\xf0\x9f", "\xff", "\xef\xbb\xbf{}", "\"12345678\"", "\"1234567\"", "\"123456789\"", "\"1234567\xff9\"",
	"[", "]", "[]", "[ ]", "[,]", "[1,]", "[1 2]", "[1,2]", "[ 1 , 2 ]", "[1", "[1,", "[[]", "[[],[[]],[]]", "[}", "[1}", "{", "}", "{}", "{ }", "{]", `{"a"}`, `{"a":}`, `{"a":1`,
	`{"a":1,`, `{"a":1,}`, `{"a":1 "b":2}`, `{"a":1,"b":2}`, `{ "a" : 1 , "b" : { } }`, `{a:1}`, `{1:1}`, `{"a":1]`, `{"a":1,"a":2,"b":3,"a":4}`, `{"\u0061":1,"a":2}`, `{"a":2,"\u0061":1}`,
	`{"ä":1,"ae":2}`, "{\"a\xff\":1}", `{"":0}`, `{"a":[{"b":[{"c":null}]}],"d":[[],{}]}`, `[] x`, `{} {}`, `[]]`, `1 2`, "[1]\x00", "//", "[1]//", "'a'", "NaN", "Infinity",
	"{\n        \"a\": 1,\n        \"b\": [\n                1\n        ]\n}", "[" + strings.Repeat(" ", 7) + "]", strings.Repeat(" ", 8), strings.Repeat(" ", 8) + "1",
	strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
	strings.Repeat(`{"a":`, maxDepth) + "1" + strings.Repeat("}", maxDepth), strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1),
	strings.Repeat("[", 100_000), strings.Repeat("{\"a\":", 100_000), `"` + strings.Repeat("a", 70_000) + `"`, `"` + strings.Repeat(`\n`, 70_000) + `"`,
	"[" + strings.Repeat("1,", 100_000) + "1]", `"` + strings.Repeat("\xff", 10_000) + `"`, strings.Repeat("1", 5000), "1e" + strings.Repeat("0", 5000) + "1",
}

func TestJSON(t *testing.T) {
	for name, r := range readers(t) {
		t.Run(name, func(t *testing.T) {
			for _, text := range texts {
				check(t, name, r, []byte(text))
			}
			// A million values are enough: they take sixteen times as much memory as text.
			if got := r.read(t, []byte("["+strings.Repeat("[],", 1_000_000)+"[]]")); !strings.HasPrefix(got, "!not JSON: too many values") {
				t.Errorf("of a million values and one it tells %.100q", got)
			}
		})
	}
}

// TestMutants: whatever is done to a text, it is read like Go does or refused.
func TestMutants(t *testing.T) {
	const whole = `{"pages": 2, "te\u0061ms": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": "M\u00e4rie \"C\" 😀 \ud83d\ude00"}},
		{"id": -12.5e3, "tags": [true, false, null, [], {}], "login": "ä"}], "teams": []}]}`
	rnd := rand.New(rand.NewPCG(3, 4))
	mutants := [][]byte{[]byte(whole)}
	for n := range len(whole) {
		mutants = append(mutants, []byte(whole[:n]), []byte(whole[n:]))
	}
	const likely = "{}[]\",:\\u0123dDeE+-. \xff\xc3\x00\n"
	for range 3000 {
		b := []byte(whole)
		for range 1 + rnd.IntN(3) {
			at := rnd.IntN(len(b))
			switch c := likely[rnd.IntN(len(likely))]; rnd.IntN(4) {
			case 0:
				b = append(b[:at], b[at+1:]...)
			case 1:
				b = append(b[:at], append([]byte{c}, b[at:]...)...)
			case 2:
				b[at] = byte(rnd.IntN(256))
			default:
				b[at] = c
			}
		}
		mutants = append(mutants, b)
	}
	for name, r := range readers(t) {
		t.Run(name, func(t *testing.T) {
			for _, text := range mutants {
				check(t, name, r, text)
			}
		})
	}
}

// TestMemory: what is read is not kept.
func TestMemory(t *testing.T) {
	text := []byte("[" + strings.Repeat(`{"a": "b\n", "c": [1, 2, 3]}, `, 300) + "0]")
	for name, r := range readers(t) {
		m, ok := r.(*module)
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var settled uint32
			for i := range 1000 {
				m.read(t, text)
				if i == 200 { // with a C library there are some more blocks until then
					settled = m.memory.Size()
				}
			}
			if now := m.memory.Size(); now > settled {
				t.Errorf("%d bytes after 200 calls, %d after 1000", settled, now)
			}
		})
	}
}

func FuzzJSON(f *testing.F) {
	for _, text := range texts {
		if len(text) < 1000 {
			f.Add([]byte(text))
		}
	}
	all := readers(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, r := range all {
			check(t, name, r, text)
		}
	})
}
