package prosody

import (
	"bytes"
	"database/sql"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosterd/store/dat"
)

const host, user = "example.com", "o.neil"

// folder is a data_path with files of one user, by store and extension.
func folder(t testing.TB, files map[string]string) Files {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, "example%2ecom", filepath.Dir(name), "o%2eneil"+filepath.Ext(name))
		if strings.Contains(name, "=") {
			path = filepath.Join(dir, "example%2ecom", strings.Replace(name, "=", "/", 1))
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return Files(dir)
}

func describe(t *testing.T, src Source, store string) string {
	t.Helper()
	var b strings.Builder
	for i, err := range src.Items(t.Context(), host, user, store) {
		switch {
		case err != nil:
			fmt.Fprintf(&b, "end: %v\n", err)
		case i.Err != nil:
			_, text, _ := strings.Cut(i.Err.Error(), "o%2eneil.list:")
			fmt.Fprintf(&b, "! %s\n", text)
		default:
			fmt.Fprintf(&b, "%s %s %s %s\n", i.Key, i.Time.Format(time.RFC3339Nano), i.With, i.Stanza)
		}
	}
	return b.String()
}

// Items of .list files as 0.12 and 13 write them, those of old, and what is none.
func TestItems(t *testing.T) {
	const good = "item({\n\t[\"name\"] = \"message\";\n\t[\"attr\"] = {\n\t\t[\"stamp\"] = \"2024-01-01T00:00:00Z\";\n\t};\n\t[\"key\"] = \"k\";\n\t[\"when\"] = 1704067200.25;\n\t[\"with\"] = \"a@b\";\n});\n"
	const read = "k 2024-01-01T00:00:00.25Z a@b <message/>\n"
	for _, tt := range []struct{ name, file, want string }{
		{"one", good, read},
		{"two, and space between", good + "   \n\n" + good, read + read},
		{"strings with everything in them", "item({ name = \"message\"; key = \"k\"; when = 1; \"a)\\\"(';\\\nitem({\"; [2] = ')' });",
			"k 1970-01-01T00:00:01Z  <message>a)\"(';\nitem({)</message>\n"},
		{"of old: no key, and the time in the stanza", "item({ name = 'message', attr = { stamp = '2010-02-03T04:05:06Z', id = 'x' } });\n",
			""},
		{"twice without a key", strings.Repeat("item({ name = 'message', when = 1 });\n", 2),
			""},
		{"text between", "what?\n" + good, "! 1: not an item\n" + read},
		{"no Lua", "item({ name = os.exit() });\n" + good, "! 1: expected a value\n" + read},
		{"a line further on", "\nitem({\n name = x });\n" + good, "! 3: expected a value\n" + read},
		{"not a table", "item(1);\n", "! 1: not a table\n"},
		{"no time", "item({ name = 'message' });\n", "! 1: no time\n"},
		{"no such time", "item({ name = 'message', when = (1/0) });\n", "! 1: +Inf is no time\n"},
		{"a name that begins something else", "item({ name = 'a><b', when = 1 });\n", "! 1: \"a><b\" is no name of an element\n"},
		{"cut off", good + good[:40], read + "! 10: an item without its end\n"},
		{"cut off, and more behind it", good[:40] + "\n" + good, "! 1: an item without its end\n" + read},
		{"cut off in a string, and more behind it", good[:13] + "\n" + good, "! 1: an item without its end\n" + read},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := describe(t, folder(t, map[string]string{"archive/.list": tt.file, "archive/.lidx": "\x00\x01"}), "archive")
			switch tt.name {
			case "twice without a key", "of old: no key, and the time in the stanza": // IDs of our own
				lines := strings.Split(strings.TrimSpace(got), "\n")
				ids := map[string]bool{}
				for _, line := range lines {
					id, rest, _ := strings.Cut(line, " ")
					ids[id] = true
					if len(id) < 24 || !strings.Contains(rest, "<message") {
						t.Errorf("%q", line)
					}
				}
				if len(ids) != len(lines) {
					t.Errorf("an ID twice: %s", got)
				}
			default:
				if got != tt.want {
					t.Errorf("got\n%swant\n%s", got, tt.want)
				}
			}
		})
	}
}

// IDs that are made stay, whatever goes before.
func TestMadeIDs(t *testing.T) {
	const a, b = "item({ name = 'message', when = 1, 'a' });\n", "item({ name = 'message', when = 2, 'b' });\n"
	both := strings.Split(describe(t, folder(t, map[string]string{"offline/.list": a + b}), "offline"), "\n")
	if one := describe(t, folder(t, map[string]string{"offline/.list": b}), "offline"); one != both[1]+"\n" {
		t.Errorf("%q, was %q", one, both[1])
	}
}

func TestInventory(t *testing.T) {
	f := folder(t, map[string]string{
		"accounts/.dat": "return {};", "pep_urn%3axmpp%3aavatar%3adata/.list": "", "cron=2024%2d01.dat": "", "accounts=..dat": "", "accounts=Up%2Eper.dat": "",
	})
	v, err := f.Inventory(t.Context(), host, func(name string) bool { return name != "cron" })
	if err != nil || fmt.Sprint(v.Users) != "[o.neil]" || fmt.Sprint(v.Stores) != "map[accounts:1 cron:1 pep_urn:xmpp:avatar:data:1]" {
		t.Errorf("%+v, %v", v, err)
	}
	if len(v.Bad) != 2 || !strings.Contains(fmt.Sprint(v.Bad), "Up%2Eper.dat: the file's name is not that of a user") {
		t.Errorf("bad: %v", v.Bad)
	}
	if hosts, err := f.Hosts(t.Context()); err != nil || fmt.Sprint(hosts) != "[example.com]" {
		t.Errorf("%v, %v", hosts, err)
	}
}

// What is wrong with a file is said with its line; who has none has nothing.
func TestTable(t *testing.T) {
	f := folder(t, map[string]string{"vcard/.dat": "return {\n [\"name\"] = 1;\n\n x = {\n y = 2 } };", "private/.dat": "return {\n\n x };", "roster/.dat": "return 1"})
	d, err := f.Table(t.Context(), host, user, "vcard")
	if err != nil {
		t.Fatal(err)
	}
	if at := d.At(d.Table, "x"); at.Line != 4 || d.At(d.Table.Get("x").(*dat.Table), "y").Line != 5 {
		t.Errorf("x is at %v", at)
	}
	for store, want := range map[string]string{"private": "private/o%2eneil.dat:3: ", "roster": "roster/o%2eneil.dat:1: not a table"} {
		if _, err := f.Table(t.Context(), host, user, store); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", store, err)
		}
	}
	if d, err := f.Table(t.Context(), host, "nobody", "vcard"); d.Table != nil || err != nil {
		t.Errorf("nobody: %v, %v", d, err)
	}
	if err := os.Mkdir(filepath.Join(string(f), "example%2ecom", "vcard", "folder.dat"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Table(t.Context(), host, "folder", "vcard"); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
}

// Elements as Prosody keeps them.
func TestElement(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"nested", `return { name = "a", attr = { xmlns = "x" }, "1<2", { name = "b", attr = {} }, "&" }`, "<a xmlns='x'>1&lt;2<b/>&amp;</a>"},
		{"attributes of namespaces, now and of old", `return { name = "a", attr = { ["urn:y\1k"] = "'<", ["urn:z|l"] = "\n", ["http://www.w3.org/XML/1998/namespace\1lang"] = "it" } }`,
			"<a xml:lang='it' xmlns:ns1='urn:y' ns1:k='&apos;&lt;' xmlns:ns2='urn:z' ns2:l='&#10;'/>"},
		{"no XML", `return { name = "a", attr = {}, "\0x\255" }`, "<a>\ufffdx\ufffd</a>"},
		{"a hole", `return { name = "a", "1", [3] = "3" }`, "<a>1</a>"},
		{"a number of old", `return { name = "a", attr = { n = 5 } }`, "<a n='5'/>"},
		{"no name", `return { }`, `"<nil>" is no name of an element`},
		{"attributes that begin something else", `return { name = "a", attr = { ["b='1' c"] = "x" } }`, `<a>: "b='1' c" is no name of an attribute`},
		{"attributes that are none", `return { name = "a", attr = 1 }`, `<a>: its attributes are a int64`},
		{"a child that is none", `return { name = "a", true }`, `<a>: a bool inside`},
		{"deep", "return " + strings.Repeat(`{ name = "a", `, 120) + strings.Repeat("}", 120), "elements nested too deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := dat.Parse([]byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Element(v.(*dat.Table))
			if text := string(got); text != tt.want && (err == nil || err.Error() != tt.want) {
				t.Errorf("%s, %v, want %s", text, err, tt.want)
			}
		})
	}
}

// Values as Prosody's util.json writes tables.
func TestJSON(t *testing.T) {
	for src, want := range map[string]string{
		`{"a":"x","b":[1,2.5,true],"c":null}`:                 `return { a = "x"; b = { 1; 2.5; true } }`,
		`{"name":"a","attr":{},"__array":["x",{"name":"b"}]}`: `return { name = "a"; attr = {}; "x"; { name = "b" } }`,
		`{"__hash":[false,{"created":5},7,"x"],"a@b":true}`:   `return { ["a@b"] = true; [false] = { created = 5 }; [7] = "x" }`,
		`{"__hash":[1]}`:          "__hash has a key without a value",
		`{"__array":1}`:           "__array is no list",
		`{"a":1,"a":2}`:           `a second value for "a"`,
		`{} {}`:                   "text after the value",
		`{"a":`:                   "EOF",
		strings.Repeat("[", 1000): "nested too deep",
	} {
		v, err := fromJSON(src)
		if err != nil {
			if strings.HasPrefix(want, "return") || !strings.Contains(err.Error(), want) {
				t.Errorf("%.40s: %v, want %s", src, err, want)
			}
			continue
		}
		expected, err := dat.Parse([]byte(want))
		if err != nil {
			t.Fatal(err)
		}
		if got := dat.Append(nil, v); !bytes.Equal(got, dat.Append(nil, expected)) {
			t.Errorf("%s is %s", src, got)
		}
	}
}

// database is a file as Prosody makes it, with rows.
func database(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prosody.sqlite")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append([]string{
		`CREATE TABLE prosody ("host" TEXT, "user" TEXT, "store" TEXT, "key" TEXT, "type" TEXT, "value" TEXT)`,
		`CREATE TABLE prosodyarchive ("sort_id" INTEGER PRIMARY KEY, "host" TEXT, "user" TEXT, "store" TEXT, "key" TEXT, "when" INTEGER, "with" TEXT, "type" TEXT, "value" TEXT)`,
	}, statements...) {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// Rows are put together; more of them than a page has come in order; nothing is written.
func TestDatabase(t *testing.T) {
	insert := []string{
		`INSERT INTO prosody VALUES ('example.com', 'o.neil', 'blocklist', 'a@b', 'boolean', 'true'), ('example.com', 'o.neil', 'blocklist', '', 'json', '{"__hash":[false,{"created":5}]}')`,
		`INSERT INTO prosody VALUES ('example.com', 'o.neil', 'bad', 'x', 'boolean', 'perhaps'), ('example.com', '', 'bad', 'x', 'string', ''), ('other.example', 'u', 'bad', 'x', 'string', '')`,
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120) INSERT INTO prosodyarchive SELECT 1000 - i, 'example.com', 'o.neil', 'archive', 'k' || i, 1704067200 + i, 'a@b', 'xml', '<message/>' FROM n`,
		`INSERT INTO prosodyarchive VALUES (2000, 'example.com', 'o.neil', 'archive', 'json', 1.5, '', 'json', '{"name":"message","attr":{"id":"x"},"__array":["y"]}'), (2001, 'example.com', 'o.neil', 'archive', 'z', 1, '', 'number', '1')`,
	}
	for _, mode := range []string{"DELETE", "WAL"} {
		t.Run(mode, func(t *testing.T) {
			path := database(t, append([]string{"PRAGMA journal_mode = " + mode}, insert...)...)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d, err := OpenFile(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			v, err := d.Inventory(t.Context(), host, func(string) bool { return true })
			if err != nil || fmt.Sprint(v) != "{[o.neil] map[archive:1 bad:1 blocklist:1] []}" {
				t.Errorf("%v, %v", v, err)
			}
			doc, err := d.Table(t.Context(), host, user, "blocklist")
			if err != nil || doc.Table.Get("a@b") != true || doc.Table.Get(false).(*dat.Table).Get("created") != int64(5) {
				t.Errorf("%v, %v", doc, err)
			}
			if _, err := d.Table(t.Context(), host, user, "bad"); err == nil || !strings.Contains(err.Error(), `prosody: bad of o.neil@example.com: key "x": "perhaps" is no boolean`) {
				t.Error(err)
			}
			lines := strings.Split(strings.TrimSpace(describe(t, d, "archive")), "\n")
			if len(lines) != 122 || lines[0] != "k120 2024-01-01T00:02:00Z a@b <message/>" || lines[119] != "k1 2024-01-01T00:00:01Z a@b <message/>" ||
				lines[120] != "json 1970-01-01T00:00:01.5Z  <message id='x'>y</message>" {
				t.Errorf("%d lines: %s … %s", len(lines), lines[0], strings.Join(lines[119:], " / "))
			}
			if stamp, err := d.Stamp(t.Context(), host, user, "archive"); err != nil || stamp != "122 to 2001" {
				t.Errorf("%s, %v", stamp, err)
			}
			if hosts, err := d.Hosts(t.Context()); err != nil || fmt.Sprint(hosts) != "[example.com other.example]" {
				t.Errorf("%v, %v", hosts, err)
			}
			if _, err := d.db.Exec(`DELETE FROM prosody`); err == nil {
				t.Error("it can be written to")
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			after, err := os.ReadFile(path)
			entries, _ := os.ReadDir(filepath.Dir(path))
			if err != nil || !bytes.Equal(before, after) || len(entries) != 1 {
				t.Errorf("the file has changed, or there are others beside it: %v, %v", entries, err)
			}
		})
	}
}

func TestNoDatabase(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("not a database, but long enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"none", "text", "."} {
		if _, err := OpenFile(t.Context(), filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever stands in a .list file, what is read of it is data, and what was written is read.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("item({ name = 'message' });\nwhat\nitem(1"), "a)\"\n")
	f.Add([]byte("item((1/0));item(\"\\"), "")
	f.Fuzz(func(t *testing.T, junk []byte, text string) {
		r := newRecords(bytes.NewReader(junk))
		for n := 0; ; n++ {
			text, line, err := r.next()
			if err == io.EOF {
				break
			}
			if n > len(junk) {
				t.Fatal("more items than bytes")
			}
			if err == nil {
				_, _ = dat.ParseItem(text, line)
			}
		}
		want := &dat.Table{Fields: []dat.Field{{Key: "name", Value: text}, {Key: int64(1), Value: text}}}
		printed := bytes.TrimSuffix(bytes.TrimPrefix(dat.Append(nil, want), []byte("return ")), []byte(";\n"))
		r = newRecords(io.MultiReader(strings.NewReader("\n \n"), bytes.NewReader(fmt.Appendf(nil, "item(%s);\nitem(%s);\n", printed, printed))))
		for range 2 {
			got, line, err := r.next()
			if err != nil || !bytes.Equal(got, printed) {
				t.Fatalf("%q, %v", got, err)
			}
			if v, err := dat.ParseItem(got, line); err != nil || v.(*dat.Table).Get("name") != text {
				t.Fatalf("%v, %v", v, err)
			}
		}
		if _, _, err := r.next(); err != io.EOF {
			t.Fatal(err)
		}
	})
}

// Whatever is kept of an element, what is made of it is one element or an error.
func FuzzElement(f *testing.F) {
	f.Add(`return { name = "a", attr = { ["u\1k"] = "'" }, "<", { name = "b:c" } }`)
	f.Add(`return { name = "a", attr = { ["\1\1"] = "'", ["|"] = "", ["a:b"] = "" } }`)
	f.Fuzz(func(t *testing.T, src string) {
		v, _ := dat.Parse([]byte(src))
		table, ok := v.(*dat.Table)
		if !ok {
			return
		}
		text, err := Element(table)
		if err != nil {
			return
		}
		d, depth, roots := xml.NewDecoder(bytes.NewReader(text)), 0, 0
		for {
			tok, err := d.RawToken()
			if err == io.EOF {
				break
			}
			if err != nil {
				if strings.Contains(err.Error(), "invalid") || strings.Contains(err.Error(), "expected") { // names that XML has not: its reader says so
					return
				}
				t.Fatalf("%v in %q", err, text)
			}
			switch tok.(type) {
			case xml.StartElement:
				if depth == 0 {
					roots++
				}
				depth++
			case xml.EndElement:
				depth--
			}
		}
		if roots != 1 || depth != 0 {
			t.Fatalf("%d elements, depth %d: %q", roots, depth, text)
		}
	})
}

// Whatever stands in a row, it is a value or an error.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"__hash":[false,1],"__array":[[]]}`, `"x"`, `1e999`, `[null]`, `{"a":{"b":{}}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		v, err := fromJSON(src)
		if err != nil {
			return
		}
		if table, ok := v.(*dat.Table); ok {
			_, _ = Element(table)
		}
		dat.Append(nil, v)
	})
}
