package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/scanner"

	"rosterd/plugins/wasm/module/asm"
)

// The text that attacks are written in: instructions by their names, in the order in which they run, and for what is
// common something shorter. A number is a constant, a text in quotes is its address and its length, the name of a
// function is a call of it. Functions follow one another, each after "func NAME PARAMETERS:RESULTS", where "i" is an i32
// and "l" an i64; the first, which has no such head, is the one that is attacked with. Each has the locals 0 to 7, i32,
// after its parameters, and 8 and 9, i64, if it has no parameters.

// signatures of what modules import, in the order of docs/PLUGINS.md.
var signatures = map[string]string{
	"input_len": ":i", "input_read": "iii:i", "output_write": "ii:i", "fail": "iiii:", "error_text": "ii:i",
	"config_get": "iiii:i", "http_request": "iiii:i", "http_status": "i:i", "http_header": "iiiii:i", "http_rev": "iii:i",
	"http_body_len": "i:i", "http_body_read": "iiii:i", "http_close": "i:i", "kv_get": "iiii:i", "kv_set": "iiiii:i",
	"kv_delete": "ii:i", "log": "iii:", "now_ms": ":l", "random": "ii:i",

	"args_get": "ii:i", "args_sizes_get": "ii:i", "clock_res_get": "ii:i", "clock_time_get": "ili:i", "environ_get": "ii:i",
	"environ_sizes_get": "ii:i", "fd_close": "i:i", "fd_fdstat_get": "ii:i", "fd_fdstat_set_flags": "ii:i",
	"fd_prestat_dir_name": "iii:i", "fd_prestat_get": "ii:i", "fd_read": "iiii:i", "fd_seek": "ilii:i", "fd_write": "iiii:i",
	"poll_oneoff": "iiii:i", "proc_exit": "i:", "random_get": "ii:i", "sched_yield": ":i",
}

// ours are the functions of rosterd_v1; the others are of WASI.
var ours = strings.Fields("input_len input_read output_write fail error_text config_get http_request http_status http_header http_rev " +
	"http_body_len http_body_read http_close kv_get kv_set kv_delete log now_ms random")

// opcodes of what attacks use, with those of their immediates that are always the same.
var opcodes = map[string]string{
	"unreachable": "\x00", "nop": "\x01", "block": "\x02\x40", "loop": "\x03\x40", "if": "\x04\x40", "else": "\x05", "end": "\x0b",
	"return": "\x0f", "drop": "\x1a", "select": "\x1b",
	"load": "\x28\x00\x00", "load64": "\x29\x00\x00", "load8": "\x2d\x00\x00", "store": "\x36\x00\x00", "store64": "\x37\x00\x00", "store8": "\x3a\x00\x00",
	"memory.size": "\x3f\x00", "memory.grow": "\x40\x00", "eqz": "\x45", "eq": "\x46", "ne": "\x47", "lt_s": "\x48", "lt_u": "\x49", "ge_s": "\x4e",
	"add": "\x6a", "sub": "\x6b", "mul": "\x6c", "div_s": "\x6d", "div_u": "\x6e", "rem_u": "\x70", "shl": "\x74",
	"add64": "\x7c", "wrap": "\xa7", "extend": "\xad", "trunc_f64": "\xaa", "nan": "\x44\x00\x00\x00\x00\x00\x00\xf8\x7f",
	"memory.copy": "\xfc\x0a\x00\x00", "memory.fill": "\xfc\x0b\x00", "table.copy": "\xfc\x0e\x00\x00", "table.fill": "\xfc\x11\x00", "ref.null": "\xd0\x70",
	"table.grow": "\xfc\x0f\x00", "table.size": "\xfc\x10\x00", "table.get": "\x25\x00", "return_call": "\x12",
	"br": "\x0c", "br_if": "\x0d", "get": "\x20", "set": "\x21", "tee": "\x22", "call_indirect": "\x11",
}

// immediates are how many numbers follow an instruction.
var immediates = map[string]int{"br": 1, "br_if": 1, "get": 1, "set": 1, "tee": 1, "call_indirect": 1}

// leb is a number in LEB128 without a sign.
func leb(n int) []byte { return asm.Uint(uint64(n)) }

// lengthy is bytes after their number.
func lengthy[T string | []byte](b T) []byte { return asm.Name(string(b)) }

// vector is parts after their number.
func vector(parts ...[]byte) []byte {
	b := leb(len(parts))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Sections, in the order in which they stand in a module.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
)

// magic is what every module begins with.
const magic = "\x00asm\x01\x00\x00\x00"

// assembly is a module that is made of text.
type assembly struct {
	types     []string
	imports   []string
	functions []function
	data      []byte // from dataAt on
	exports   [][]byte
	memory    []byte          // its limits
	tables    [][]byte        // with their types
	start     string          // the function of the start section
	extra     map[byte][]byte // sections that take the place of ours, or stand beside them
	err       error
}

type function struct {
	name, signature string
	locals          []byte
	code            []byte
}

// dataAt is where texts are; from freeAt on attacks have the memory to themselves.
const dataAt, freeAt = 16, 64 << 10

func newAssembly() *assembly {
	return &assembly{memory: []byte{0, 4}, extra: map[byte][]byte{}}
}

func (a *assembly) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

// typeOf is the index of a function type.
func (a *assembly) typeOf(signature string) int {
	for i, t := range a.types {
		if t == signature {
			return i
		}
	}
	a.types = append(a.types, signature)
	return len(a.types) - 1
}

// importAll makes all functions that a text names known, before the indexes of its own are given.
func (a *assembly) importAll(text string) {
	for _, token := range tokens(text) {
		if _, ok := signatures[token]; ok && a.importIndex(token) < 0 {
			a.imports = append(a.imports, token)
		}
	}
}

func (a *assembly) importIndex(name string) int {
	for i, n := range a.imports {
		if n == name {
			return i
		}
	}
	return -1
}

// index is that of a function, of those that are imported and those that are not.
func (a *assembly) index(name string) (int, bool) {
	if i := a.importIndex(name); i >= 0 {
		return i, true
	}
	for i, f := range a.functions {
		if f.name == name {
			return len(a.imports) + i, true
		}
	}
	return 0, false
}

// tokens of a text.
func tokens(text string) (all []string) {
	var s scanner.Scanner
	s.Init(strings.NewReader(text))
	s.Mode = scanner.ScanStrings
	s.Whitespace = scanner.GoWhitespace
	plain := ""
	flush := func() {
		if plain != "" {
			all = append(all, plain)
		}
		plain = ""
	}
	s.Whitespace = 0
	for t := s.Scan(); t != scanner.EOF; t = s.Scan() {
		switch {
		case t == scanner.String:
			flush()
			all = append(all, s.TokenText())
		case t == ' ' || t == '\t' || t == '\n':
			flush()
		default:
			plain += s.TokenText()
		}
	}
	flush()
	return all
}

// add assembles functions. The first has the name and signature given here.
func (a *assembly) add(name, signature, text string) {
	all := tokens(text)
	type part struct {
		function
		tokens []string
	}
	parts := []part{{function: function{name: name, signature: signature}}}
	for i := 0; i < len(all); i++ {
		if all[i] == "func" {
			if i+2 >= len(all) {
				a.fail("a function without name and signature")
				return
			}
			parts = append(parts, part{function: function{name: all[i+1], signature: all[i+2]}})
			i += 2
			continue
		}
		p := &parts[len(parts)-1]
		p.tokens = append(p.tokens, all[i])
	}
	first := len(a.functions)
	for _, p := range parts {
		a.functions = append(a.functions, p.function)
	}
	for i, p := range parts {
		f := &a.functions[first+i]
		f.locals = []byte{2, 8, 0x7f, 2, 0x7e}
		f.code = append(a.assemble(p.name, p.tokens), 0x0b)
	}
}

func (a *assembly) assemble(name string, tokens []string) (code []byte) {
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		if n, err := strconv.ParseInt(strings.TrimSuffix(t, "L"), 0, 64); err == nil {
			if strings.HasSuffix(t, "L") {
				code = append(append(code, 0x42), asm.Int(n)...)
			} else {
				code = append(append(code, 0x41), asm.Int(int64(int32(n)))...)
			}
			continue
		}
		if strings.HasPrefix(t, `"`) {
			s, err := strconv.Unquote(t)
			if err != nil {
				a.fail("%s: %s: %v", name, t, err)
			}
			code = append(append(code, 0x41), asm.Int(int64(dataAt+len(a.data)))...)
			code = append(append(code, 0x41), asm.Int(int64(len(s)))...)
			a.data = append(a.data, s...)
			continue
		}
		if op, ok := opcodes[t]; ok {
			code = append(code, op...)
			for range immediates[t] {
				i++
				n, err := strconv.Atoi(tokens[min(i, len(tokens)-1)])
				if err != nil {
					a.fail("%s: %s: %v", name, t, err)
				}
				code = append(code, leb(n)...)
			}
			if t == "call_indirect" {
				code = append(code, 0)
			}
			continue
		}
		f, ok := a.index(t)
		if !ok {
			a.fail("%s: %s is neither an instruction nor a function", name, t)
		}
		code = append(append(code, 0x10), leb(f)...)
	}
	return code
}

// export has one of the functions called from outside.
func (a *assembly) export(as, function string) {
	i, ok := a.index(function)
	if !ok {
		a.fail("no function %s to export as %s", function, as)
	}
	a.exports = append(a.exports, append(append(lengthy(as), 0), leb(i)...))
}

// valueTypes are those of a part of a signature.
func valueTypes(letters string) []byte {
	b := leb(len(letters))
	for _, l := range letters {
		b = append(b, map[rune]byte{'i': 0x7f, 'l': 0x7e}[l])
	}
	return b
}

// module is all of it.
func (a *assembly) module() ([]byte, error) {
	if least := byte(2 + len(a.data)>>16); a.memory[0] == 0 && len(a.memory) == 2 {
		a.memory[1] = max(a.memory[1], least) // of less than 128
	}
	var imports, functions, codes, types [][]byte
	for _, name := range a.imports {
		from := "wasi_snapshot_preview1"
		for _, n := range ours {
			if n == name {
				from = "rosterd_v1"
			}
		}
		imports = append(imports, append(append(append(lengthy(from), lengthy(name)...), 0), leb(a.typeOf(signatures[name]))...))
	}
	for _, f := range a.functions {
		functions = append(functions, leb(a.typeOf(f.signature)))
		codes = append(codes, lengthy(append(append([]byte{}, f.locals...), f.code...)))
	}
	for _, t := range a.types {
		params, results, _ := strings.Cut(t, ":")
		types = append(types, append(append([]byte{0x60}, valueTypes(params)...), valueTypes(results)...))
	}
	exports := append([][]byte{append(lengthy("memory"), 2, 0)}, a.exports...)
	sections := map[byte][]byte{
		sectionType: vector(types...), sectionImport: vector(imports...), sectionFunction: vector(functions...),
		sectionMemory: vector(a.memory), sectionExport: vector(exports...), sectionCode: vector(codes...),
	}
	if len(a.tables) > 0 {
		sections[sectionTable] = vector(a.tables...)
	}
	if a.start != "" {
		i, ok := a.index(a.start)
		if !ok {
			a.fail("no function %s to start with", a.start)
		}
		sections[sectionStart] = leb(i)
	}
	if len(a.data) > 0 {
		segment := append([]byte{0, 0x41}, asm.Int(dataAt)...)
		sections[sectionData] = vector(append(append(segment, 0x0b), lengthy(a.data)...))
	}
	for id, content := range a.extra {
		sections[id] = content
	}
	b := []byte(magic)
	for _, id := range []byte{sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal, sectionExport, sectionStart, sectionElement, sectionDataCount, sectionCode, sectionData, sectionCustom} {
		if content, ok := sections[id]; ok {
			b = append(b, asm.Section(id, content)...)
		}
	}
	return b, a.err
}
