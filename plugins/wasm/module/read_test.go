package module_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"rosterd/plugins/wasm/module"
	"rosterd/plugins/wasm/module/asm"
)

func TestWhatIsNoModule(t *testing.T) {
	for _, c := range []struct{ name, code, want string }{
		{"nothing", "", "no WebAssembly module"},
		{"ELF", "\x7fELF\x02\x01\x01\x00", "no WebAssembly module"},
		{"text", "(module (memory 1))", "as text"},
		{"component", "\x00asm\x0d\x00\x01\x00", "component"},
		{"version 2", "\x00asm\x02\x00\x00\x00", "another version"},
		{"cut in the version", "\x00asm\x01", "another version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := module.Read([]byte(c.code))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Read says %v, want %q", err, c.want)
			}
		})
	}
}

// sections is a module of raw sections: number, data, number, data.
func sections(parts ...any) []byte {
	code := []byte("\x00asm\x01\x00\x00\x00")
	for i := 0; i < len(parts); i += 2 {
		code = append(code, asm.Section(byte(parts[i].(int)), []byte(parts[i+1].(string)))...)
	}
	return code
}

func TestReadErrors(t *testing.T) {
	const (
		lie  = "\xff\xff\xff\xff\x0f" // 2³²-1
		one  = "\x01\x60\x00\x00"     // a type section with () -> ()
		body = "\x01\x02\x00\x0b"     // a code section with an empty function
	)
	for _, c := range []struct {
		name string
		code []byte
		want string
		at   int
	}{
		{"a section that goes on", []byte("\x00asm\x01\x00\x00\x00\x01\x05\x00"), "5 bytes of a section are announced in 1 bytes", 9},
		{"a section without length", []byte("\x00asm\x01\x00\x00\x00\x01"), "it ends too early", 9},
		{"a length of six bytes", []byte("\x00asm\x01\x00\x00\x00\x01\x80\x80\x80\x80\x80\x00"), "no number of 32 bits", 9},
		{"a length beyond 32 bits", []byte("\x00asm\x01\x00\x00\x00\x01\xff\xff\xff\xff\x1f"), "no number of 32 bits", 9},
		{"section 14", sections(14, ""), "there is no section number 14", 8},
		{"types twice", sections(1, one, 1, one), "the type section is there twice", 14},
		{"memory before functions", sections(5, "\x00", 3, "\x00"), "the function section is there twice, or after the memory section", 11},
		{"code before the data count", sections(10, "\x00", 12, "\x00"), "the data count section", 11},
		{"bytes behind the types", sections(1, one+"x"), "1 bytes follow the end of the type section", 14},
		{"types that lie", sections(1, lie), "4294967295 types are announced in 0 bytes", 10},
		{"parameters that lie", sections(1, "\x01\x60"+lie), "4294967295 parameters are announced in 0 bytes", 12},
		{"a type of garbage collection", sections(1, "\x01\x5f\x00\x00"), "type 0 is not that of a function", 11},
		{"no value type", sections(1, "\x01\x60\x01\x69\x00"), "there is no value type 0x69", 13},
		{"imports that lie", sections(2, lie), "imports are announced", 10},
		{"a name that lies", sections(2, "\x01"+lie+"xx"), "bytes of a name are announced", 11},
		{"a name that is no text", sections(2, "\x01\x01\xff\x00\x00\x00"), "a name that is not UTF-8", 11},
		{"an import of no type", sections(2, "\x01\x00\x00\x00\x00"), "it names type 0, and there are 0", 14},
		{"an import of kind 5", sections(2, "\x01\x00\x00\x05\x00"), "an import of kind 5", 13},
		{"functions that lie", sections(3, lie), "functions are announced", 10},
		{"a function of no type", sections(1, one, 3, "\x01\x01"), "it names type 1, and there are 1", 17},
		{"a function without code", sections(1, one, 3, "\x01\x00"), "it declares 1 functions and has the code of 0", 18},
		{"code without a function", sections(10, body), "it declares 0 functions and has the code of 1", 14},
		{"tables that lie", sections(4, lie), "tables are announced", 10},
		{"a table of numbers", sections(4, "\x01\x7f\x00\x00"), "i32 is no type of references", 11},
		{"a maximum below the minimum", sections(5, "\x01\x01\x05\x04"), "the maximum 4 is less than the minimum 5", 11},
		{"limits of a kind unheard of", sections(5, "\x01\x08\x00"), "no limits with flags 0x8", 11},
		{"globals that lie", sections(6, lie), "globals are announced", 10},
		{"a global that may be mutable", sections(6, "\x01\x7f\x02\x41\x00\x0b"), "this is 2", 12},
		{"a global of another type", sections(6, "\x01\x7e\x00\x41\x00\x0b"), "gives i32 where i64 is wanted", 13},
		{"a global that takes a global of its own", sections(6, "\x02\x7f\x00\x41\x00\x0b\x7f\x00\x23\x00\x0b"), "it names imported global 0, and there are 0", 19},
		{"a global that is computed", sections(6, "\x01\x7f\x00\x41\x00\x41\x00\x6a\x0b"), "more than one instruction", 13},
		{"a constant of 33 bits", sections(6, "\x01\x7f\x00\x41\xff\xff\xff\xff\x4f\x0b"), "no signed number of 32 bits", 14},
		{"a global from a global that changes", sections(2, "\x01\x00\x00\x03\x7f\x01", 6, "\x01\x7f\x00\x23\x00\x0b"), "a global that can change", 21},
		{"exports that lie", sections(7, lie), "exports are announced", 10},
		{"an export of nothing", sections(7, "\x01\x01m\x02\x00"), "it names memory 0, and there are 0", 14},
		{"two exports of a name", sections(5, "\x01\x00\x00", 7, "\x02\x01m\x02\x00\x01m\x02\x00"), "two exports have the name m", 20},
		{"a start that is not there", sections(8, "\x00"), "it names function 0, and there are 0", 10},
		{"elements that lie", sections(9, lie), "element segments are announced", 10},
		{"elements without a table", sections(9, "\x01\x00\x41\x00\x0b\x00"), "elements are put into table 0, and there are 0", 12},
		{"elements in form 8", sections(9, "\x01\x08\x00\x00\x00"), "no form 8 of element segments", 11},
		{"items that lie", sections(9, "\x01\x01\x00"+lie), "elements are announced", 13},
		{"an element that is no function", sections(9, "\x01\x01\x00\x01\x07"), "it names function 7, and there are 0", 14},
		{"elements of another type than their table's", sections(4, "\x01\x6f\x00\x01", 9, "\x01\x00\x41\x00\x0b\x00"), "elements of type funcref are put into a table of externref", 17},
		{"code that lies", sections(10, lie), "function bodies are announced", 10},
		{"a body that lies", sections(1, one, 3, "\x01\x00", 10, "\x01"+lie+"\x00"), "bytes of a function body are announced", 21},
		{"locals that lie", sections(1, one, 3, "\x01\x00", 10, "\x01\x06"+lie+"\x0b"), "groups of locals are announced", 22},
		{"a body without end", sections(1, one, 3, "\x01\x00", 10, "\x01\x02\x00\x01"), "does not end with end", 24},
		{"data that lie", sections(11, lie), "data segments are announced", 10},
		{"data without a memory", sections(11, "\x01\x00\x41\x00\x0b\x00"), "data are put into memory 0, and there are 0", 12},
		{"data in form 3", sections(11, "\x01\x03\x00"), "no form 3 of data segments", 11},
		{"bytes of data that lie", sections(11, "\x01\x01"+lie), "bytes of data are announced", 12},
		{"another number of data", sections(12, "\x02", 11, "\x01\x01\x00"), "it declares 2 data segments and has 1", 16},
		{"a custom section without name", sections(0, ""), "it ends too early", 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := allocated()
			m, err := module.Read(c.code)
			took := allocated() - before
			var at *module.Error
			if m != nil || !errors.As(err, &at) || !strings.Contains(at.Text, c.want) || at.Offset != c.at {
				t.Errorf("Read says %v, want %q at 0x%x", err, c.want, c.at)
			}
			if took > 64<<10 {
				t.Errorf("%d bytes allocated for %d", took, len(c.code))
			}
		})
	}
}

// What a module is made of again is the same module.
func TestSections(t *testing.T) {
	for name, code := range seeds() {
		m, err := module.Read(code)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again := slices.Clone(code[:8])
		for _, s := range m.Sections {
			again = append(again, asm.Section(byte(s.ID), s.Data)...)
		}
		if !slices.Equal(again, code) {
			t.Errorf("%s: its sections are another module", name)
		}
	}
}

func TestRead(t *testing.T) {
	var b asm.Module
	tick := b.Import("env", "tick", ":")
	b.ImportGlobal("env", "base", 'i', false)
	b.FuncRaw("il:f", append(append([]byte{2, 3, 0x7e}, 1, 0x7b), 0x00, 0x0b))
	b.Table(1, 2)
	b.Memory(3)
	b.Global('i', true, asm.Code{}.GlobalGet(0))
	b.Global('r', false, asm.Code{}.RefFunc(1))
	b.Export("f", 1)
	b.Start(tick)
	b.Elements(-1, 1, 0)
	b.Data(7, []byte("abc"))
	b.FuncNames("tick", "work")
	code := b.Bytes()
	m, err := module.Read(code)
	if err != nil {
		t.Fatal(err)
	}
	body, export, element, data := m.Code[0], m.Exports[0], m.Elements[0], m.Data[0]
	for _, c := range []struct {
		what string
		ok   bool
	}{
		{"the import", m.Imports[0].Module == "env" && m.Imports[0].Name == "tick" && m.ImportedFuncs() == 1},
		{"the imported global", m.ImportedGlobals() == 1 && m.GlobalAt(0) == module.GlobalType{Type: module.I32}},
		{"the type", m.FuncType(1).String() == "(i32, i64) -> (f32)" && m.FuncType(0).String() == "() -> ()"},
		{"the locals", slices.Equal(body.Locals, []module.LocalGroup{{Count: 3, Type: module.I64}, {Count: 1, Type: module.V128}}) && body.LocalCount() == 4},
		{"the code", string(body.Code) == "\x00\x0b" && string(code[body.Offset:body.Offset+2]) == "\x00\x0b" && len(body.Raw) == 7},
		{"the table", m.Tables[0] == module.TableType{Elem: module.FuncRef, Limits: module.Limits{Min: 1, Max: 2, HasMax: true}}},
		{"the memory", m.Memories[0] == module.Limits{Min: 3}},
		{"a global from another", m.Globals[0].Mutable && m.Globals[0].Init.Op == module.GlobalGet && m.GlobalAt(1).Mutable},
		{"a global of a function", m.Globals[1].Init.Op == module.RefFunc && m.Globals[1].Init.Index == 1 && len(m.Globals[1].Init.Raw) == 3},
		{"the export", export.Name == "f" && export.Kind == module.Func && export.Index == 1},
		{"the start", m.HasStart && m.Start == 0},
		{"the elements", element.Place.Value == -1 && slices.Equal(element.Funcs, []uint32{1, 0})},
		{"the data", data.Mode == module.Active && data.Place.Value == 7 && string(data.Init) == "abc"},
		{"the names", m.FuncName(0) == "tick" && m.FuncName(1) == "work"},
	} {
		if !c.ok {
			t.Errorf("%s: not as it was written: %+v", c.what, m)
		}
	}
}

func TestFuncName(t *testing.T) {
	var b asm.Module
	b.Import("env", "tick", ":")
	b.Func(":", "", nil)
	b.Func(":", "", nil)
	b.Export("work", 1)
	m, err := module.Read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"env.tick", "work", "", ""} {
		if got := m.FuncName(uint32(i)); got != want {
			t.Errorf("function %d is %q, want %q", i, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       string // of the error; "" for none
	}{
		{"a module's", "\x00\x02\x01m", ""},
		{"those of functions", "\x01\x07\x02\x00\x01a\x01\x01b", ""},
		{"those of locals", "\x02\x05\x01\x00\x01\x00\x00", ""},
		{"those of what comes later", "\x04\x01\x00\x09\x02ab", ""},
		{"out of order", "\x01\x07\x02\x01\x01a\x00\x01b", "names of functions are not in order"},
		{"of a function twice", "\x01\x07\x02\x00\x01a\x00\x01b", "names of functions are not in order"},
		{"of a function that is not there", "\x01\x04\x01\x09\x01a", "it names function 9, and there are 2"},
		{"of locals out of order", "\x02\x07\x01\x00\x02\x01\x00\x00\x00", "names of locals are not in order"},
		{"of locals that lie", "\x02\x07\x01\x00\xff\xff\xff\xff\x0f", "names of locals are announced"},
		{"kinds out of order", "\x01\x01\x00\x00\x01\x00", "names of kind 0"},
		{"longer than they are", "\x01\x03\x00xx", "2 bytes follow the end of names"},
		{"beyond the section", "\x01\x09\x00", "9 bytes of names are announced"},
		{"no text", "\x00\x02\x01\xff", "not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b asm.Module
			b.Func(":", "", nil)
			b.Func(":", "", nil)
			b.Custom("name", []byte(c.data))
			m, err := module.Read(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			switch err := m.Names.Err; {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
