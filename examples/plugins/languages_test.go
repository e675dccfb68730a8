//go:build clients

package plugins_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"rosterd/engine/roster"
	"rosterd/plugins"
	"rosterd/plugins/trial"
	"rosterd/plugins/worker"
)

// Modules are compiled by `make plugins`, with whatever toolchain their language needs.
var compiled = filepath.Join("..", "..", ".cache", "plugins")

// written is of what a module is made: where a part of it changes, the module has to be made again.
var written = map[string][]string{
	"crm_c":         {"crm_c/*.c", "../../plugins/sdk/c/*.h"},
	"crm_rust":      {"crm_rust/*.rs", "../../plugins/sdk/rust/*.rs"},
	"crm_go":        {"crm_go/*.go", "../../plugins/sdk/go/*.go"},
	"crm_as":        {"crm_as/*.ts", "../../plugins/sdk/assemblyscript/*.ts"},
	"extism_as":     {"extism_as/*.ts"},
	"extism_c":      {"extism_c/*.c"},
	"auth_crm_rust": {"auth_crm_rust/*.rs", "../../plugins/sdk/rust/*.rs"},
}

// languages are the modules that do what the script crm does.
var languages = []string{"crm_c", "crm_rust", "crm_go", "crm_as", "extism_as"}

// Of the time that something takes, nothing is asked here: the race detector makes the compiler ten times as slow.
const patience = 3 * time.Minute

// isolated runs a plugin in a process of its own.
var isolated = map[string]plugins.Opener{
	"inproc":  nil,
	"process": worker.Opener(worker.Settings{Load: patience, Log: slog.New(slog.DiscardHandler)}),
}

// module is the compiled module of an example.
func module(t testing.TB, name string) trial.Subject {
	t.Helper()
	file := filepath.Join(compiled, name+".wasm")
	made, err := os.Stat(file)
	if err != nil {
		t.Fatalf("%v: make plugins", err)
	}
	for _, pattern := range written[name] {
		sources, err := filepath.Glob(pattern)
		if err != nil || len(sources) == 0 {
			t.Fatalf("%s is made of %s, of which there is nothing: %v", name, pattern, err)
		}
		for _, source := range sources {
			if info := stat(t, source); info.ModTime().After(made.ModTime()) {
				t.Fatalf("%s is older than %s: make plugins", file, source)
			}
		}
	}
	return trial.Subject{Name: name, File: file, Dir: name, Paths: []string{compiled}}
}

func stat(t testing.TB, file string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// script is an example in Lua.
func script(t testing.TB, name string) trial.Subject {
	t.Helper()
	subject, err := trial.Find(name, ".lua")
	if err != nil {
		t.Fatal(err)
	}
	return subject
}

// opening opens a plugin for a case.
func opening(t testing.TB, subject trial.Subject, c *trial.Case, isolate plugins.Opener) *trial.Opened {
	t.Helper()
	m := &plugins.Manager{Engines: engines(), Isolate: isolate, Cache: native}
	p, err := trial.Trial{Subject: subject, Case: c, Manager: m, Time: patience}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func outcome(t testing.TB, p *trial.Opened) trial.Outcome {
	t.Helper()
	out, err := p.Call(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// told is what a call came to, as far as it can be compared: texts of errors are each language's own.
func told(out trial.Outcome) string {
	if out.Err != nil {
		return trial.Kind(out.Err)
	}
	return string(out.Answer.Roster.EncodeJSON())
}

// casesOf are the cases of another example.
func casesOf(t *testing.T, subject trial.Subject, least int) (cases []*trial.Case) {
	t.Helper()
	files, err := subject.Cases()
	if err != nil || len(files) < least {
		t.Fatalf("%d cases in %s: %v", len(files), subject.CaseDir(), err)
	}
	for _, file := range files {
		c, err := subject.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// asker asks a plugin for one case after the other. Cases with other options need another plugin.
type asker struct {
	subject trial.Subject
	isolate plugins.Opener
	open    map[string]*asking
}

type asking struct {
	now *trial.Case // what the plugin is asked next
	*trial.Opened
}

func (a *asker) outcome(t *testing.T, c *trial.Case) trial.Outcome {
	t.Helper()
	options := fmt.Sprint(c.Host, c.Options)
	p, ok := a.open[options]
	if !ok {
		p = &asking{now: new(*c)}
		p.Opened = opening(t, a.subject, p.now, a.isolate)
		if a.open == nil {
			a.open = map[string]*asking{}
		}
		a.open[options] = p
	}
	*p.now = *c
	return outcome(t, p.Opened)
}

// TestLanguages: in every language and wherever it runs, the example does what the script does.
func TestLanguages(t *testing.T) {
	lua := script(t, "crm")
	cases := casesOf(t, lua, 11)
	scripted := asker{subject: lua}
	for _, name := range languages {
		for where, isolate := range isolated {
			module := asker{subject: module(t, name), isolate: isolate}
			for _, c := range cases {
				out := module.outcome(t, c)
				want := told(scripted.outcome(t, c))
				t.Run(name+"/"+where+"/"+c.Name(), func(t *testing.T) {
					for _, problem := range c.Judge(out) {
						t.Error(problem)
					}
					equal(t, "what came of it", told(out), want)
				})
			}
		}
	}
}

// TestAuthenticates: the module that also knows passwords says what the script says, and its own cases hold.
func TestAuthenticates(t *testing.T) {
	lua, rust := script(t, "auth_crm"), module(t, "auth_crm_rust")
	scripted := asker{subject: lua}
	for where, isolate := range isolated {
		module := asker{subject: rust, isolate: isolate}
		judge := func(c *trial.Case) (kind string) {
			out := module.outcome(t, c)
			t.Run(where+"/"+c.Name(), func(t *testing.T) {
				for _, problem := range c.Judge(out) {
					t.Error(problem)
				}
			})
			return trial.Kind(out.Err)
		}
		for _, c := range casesOf(t, lua, 8) {
			equal(t, "what came of "+c.Name(), judge(c), trial.Kind(scripted.outcome(t, c).Err))
		}
		for _, c := range casesOf(t, rust, 5) {
			judge(c)
		}
	}
}

const options = `"options": {"crm_url": "https://crm.example.com/api/people/%s/teams"}, "user": "john"`

// page is a case in which the CRM answers with one page.
func page(t testing.TB, body string) *trial.Case {
	t.Helper()
	text := fmt.Sprintf(`{%s, "http": [{
		"request": {"url": "https://crm.example.com/api/people/john/teams?page=1"}, "response": {"body": %s}
	}]}`, options, quoted(t, body))
	c, err := trial.Parse("page.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func quoted(t testing.TB, s string) []byte {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answer has a case answer with another body.
func answer(c *trial.Case, body string) { c.HTTP[0].Response.Body = &body }

// names are what people are called. Each of them is written in all the ways that JSON has.
var names = []string{
	"Marie Curie", `Robert "Bob" \ Tables /`, "zwei\tSpalten\nzwei Zeilen", "Zoë Çelik", "Ελένη", "Łukasz", "山田太郎", "😀 & 𝄞", "e\u0301 \u202e \ufeff",
	"\u2028 and \u2029", "\U0010ffff", "<&>'", strings.Repeat("n", 1023),
}

// written in one of the ways of RFC 8259 §7.
func literal(s string, way int) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '/' && way%2 == 1:
			b.WriteString(`\/`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString([]string{`\t`, `\u0009`}[way%2])
		case r >= 0x80 && way%3 == 0, way%4 == 3:
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, []string{`\u%04x`, `\u%04X`}[way%2], unit)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// company is a page with so many contacts in teams that are in one another, and the roster that it means.
func company(t testing.TB, n int) (body string, want roster.Roster) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(7, uint64(n)))
	groups := map[string][]string{}
	member := func(i int, team string) string {
		login := "user" + strconv.Itoa(i)
		groups[login] = append(groups[login], team)
		return fmt.Sprintf("{\n\t\"id\": %de-1, \"login\": %s, \"tags\": [true, {\"a\": [null, []]}], \"profile\": {\"display_name\": %s, \"score\": -0.5E+3}}",
			i, literal(login, i), literal(names[i%len(names)], i/len(names)))
	}
	var team func(from, to, depth int) string
	team = func(from, to, depth int) string {
		title := fmt.Sprintf("Team %d, %s", from, names[from%5])
		var members, below []string
		own := to
		if depth < 6 && to-from > 4 {
			own = from + (to-from)/3
		}
		for i := from; i < own; i++ {
			members = append(members, member(i, title))
		}
		members = append(members, member(rnd.IntN(n), title)) // who may be elsewhere as well
		if own < to {
			middle := own + (to-own)/2
			below = []string{team(own, middle, depth+1), team(middle, to, depth+1)}
		}
		parts := []string{ // in any order
			`"title": ` + literal(title, from), `"members": [` + strings.Join(members, ",\r\n") + "]", `"about": "` + strings.Repeat("-", from%50) + `"`,
		}
		if below != nil {
			parts = append(parts, `"teams" : [`+strings.Join(below, " , ")+`]`)
		}
		rnd.Shuffle(len(parts), func(i, k int) { parts[i], parts[k] = parts[k], parts[i] })
		return "{" + strings.Join(parts, ", ") + "}"
	}
	body = ` {"pages": 1, "teams": [` + team(0, n, 0) + `]}` + "\n"
	b := roster.NewBuilder(john, roster.Limits{})
	for login, g := range groups {
		i, err := strconv.Atoi(strings.TrimPrefix(login, "user"))
		if err != nil {
			t.Fatal(err)
		}
		b.Add(login+"@example.com", roster.Item{Subscription: roster.Both, Name: names[i%len(names)], Groups: g})
	}
	want, bad, err := b.Roster()
	if err != nil || len(bad) > 0 || want.Len() != n || !json.Valid([]byte(body)) {
		t.Fatalf("%d contacts, of %d: %v %v\n%s", want.Len(), n, bad, err, body)
	}
	return body, want
}

// TestSizes: rosters of all sizes are the same in every language, item by item.
func TestSizes(t *testing.T) {
	for _, n := range []int{1, 10, 100, 1000} {
		body, want := company(t, n)
		for _, name := range append([]string{"crm"}, languages...) {
			for where, isolate := range isolated {
				t.Run(fmt.Sprintf("%s/%s/%d", name, where, n), func(t *testing.T) {
					subject := script(t, "crm")
					if name != "crm" {
						subject = module(t, name)
					}
					out := outcome(t, opening(t, subject, page(t, body), isolate))
					if out.Err != nil {
						t.Fatal(out.Err)
					}
					if len(out.Answer.Dropped) > 0 {
						t.Errorf("left out: %v", out.Answer.Dropped)
					}
					if !out.Answer.Roster.Equal(want) {
						t.Errorf("the roster differs (- expected, + got):\n%s", trial.Diff(want, out.Answer.Roster))
					}
				})
			}
		}
	}
}

// odd are pages that somebody might answer with, of which every language has to think the same as the script.
var odd = []struct{ name, body string }{
	{"nothing", ``},
	{"blank", ` `},
	{"null", `null`},
	{"a list", `[]`},
	{"something behind", `{"teams": []} x`},
	{"a comma too many", `{"teams": [],}`},
	{"no teams", `{"pages": 1}`},
	{"teams are false", `{"teams": false}`},
	{"no pages", `{"teams": []}`},
	{"pages are null", `{"pages": null, "teams": []}`},
	{"pages are text", `{"pages": "1", "teams": []}`},
	{"pages are words", `{"pages": "one", "teams": []}`},
	{"pages are a list", `{"pages": [2], "teams": []}`},
	{"no pages at all", `{"pages": 0, "teams": []}`},
	{"fewer than none", `{"pages": -7, "teams": []}`},
	{"half a page more", `{"pages": 1.5, "teams": []}`},
	{"more pages than there are", `{"pages": 1000, "teams": []}`},
	{"a team is null", `{"teams": [null]}`},
	{"a team is text", `{"teams": ["Sales"]}`},
	{"no members", `{"teams": [{"title": "Sales"}]}`},
	{"members are null", `{"teams": [{"title": "Sales", "members": null}]}`},
	{"nobody", `{"teams": [{"title": "Sales", "members": []}]}`},
	{"a title that is null", `{"teams": [{"title": null, "members": [{"login": "marie", "profile": {}}]}]}`},
	{"a title that is a list", `{"teams": [{"title": [], "members": [{"login": "marie", "profile": {}}]}]}`},
	{"nobody in what has no title", `{"teams": [{"members": []}]}`},
	{"no title", `{"teams": [{"members": [{"login": "marie", "profile": {}}]}]}`},
	{"a member is null", `{"teams": [{"title": "Sales", "members": [null]}]}`},
	{"no login", `{"teams": [{"title": "Sales", "members": [{"profile": {}}]}]}`},
	{"login is null", `{"teams": [{"title": "Sales", "members": [{"login": null, "profile": {}}]}]}`},
	{"a login that is a number", `{"teams": [{"title": "Sales", "members": [{"login": 7, "profile": {}}]}]}`},
	{"a name that is a number", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": 7}}]}]}`},
	{"a name that is true", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": true}}]}]}`},
	{"no profile", `{"teams": [{"title": "Sales", "members": [{"login": "marie"}]}]}`},
	{"no name", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {}}]}]}`},
	{"name is null", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": null}}]}]}`},
	{"name is empty", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": ""}}]}]}`},
	{"the user without a profile", `{"teams": [{"title": "Sales", "members": [{"login": "john"}]}]}`},
	{"the second time without a profile", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {}}, {"login": "marie"}]}]}`},
	{"another name the second time", `{"teams": [{"title": "Sales", "members": [
		{"login": "marie", "profile": {"display_name": "Marie"}}, {"login": "marie", "profile": {"display_name": "M."}}]}]}`},
	{"no teams below", `{"teams": [{"title": "Sales", "members": [], "teams": []}]}`},
	{"teams below are null", `{"teams": [{"title": "Sales", "members": [], "teams": null}]}`},
	{"names twice", `{"teams": null, "teams": [{"title": "A", "title": "B", "members": [{"login": "x", "login": "marie", "profile": {}}]}]}`},
	{"escaped names", `{"te\u0061ms": [{"titl\u0065": "A", "members": [{"\u006cogin": "marie", "profile": {"display\u005fname": "M"}}]}]}`},
	{"a login that is no localpart", `{"teams": [{"title": "Sales", "members": [{"login": "a b", "profile": {}}, {"login": "marie", "profile": {}}]}]}`},
	{"a login that is a JID", `{"teams": [{"title": "Sales", "members": [{"login": "marie@example.org", "profile": {}}]}]}`},
	{"an empty login", `{"teams": [{"title": "Sales", "members": [{"login": "", "profile": {}}]}]}`},
	{"an empty title", `{"teams": [{"title": "", "members": [{"login": "marie", "profile": {}}]}]}`},
	{"a name too long", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": "` + strings.Repeat("é", 600) + `"}}]}]}`},
	{"a name longer than can be written", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": "` + strings.Repeat("é", 40000) + `"}}]}]}`},
	{"half a pair", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": "a\ud83dz"}}]}]}`},
	{"the other half", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": "\ude00"}}]}]}`},
	{"a control character in a name", `{"teams": [{"title": "Sales", "members": [{"login": "marie", "profile": {"display_name": "a\u0001"}}]}]}`},
	{"a control character as it is", "{\"teams\": [], \"a\": \"\x01\"}"},
	{"deep, but not too deep", `{"teams": [], "a": ` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`},
	{"as deep as can be read", `{"teams": [], "a": ` + strings.Repeat("[", 63) + `"[{\"[{"` + strings.Repeat("]", 63) + `}`},
	{"one too deep", `{"teams": [], "a": ` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`},
	{"brackets in a text", `{"teams": [], "a": "` + strings.Repeat(`[\"{`, 100) + `"}`},
	{"too deep", `{"teams": [], "a": ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`},
	{"teams in teams", strings.Repeat(`{"title": "T", "members": [], "teams": [`, 25) + strings.Repeat(`]}`, 25)},
	{"teams in teams without end", strings.Repeat(`{"teams": [`, 4_990) + strings.Repeat(`]}`, 4_990)},
	{"very many escapes", `{"teams": [], "a": "` + strings.Repeat(`\n`, 500_000) + `"}`},
	{"numbers", `{"teams": [], "a": [0, -0, 1.5, 1E5, 1e-5, 12345678901234567890, 1e999]}`},
	{"no number", `{"teams": [], "a": 01}`},
	{"half a number", `{"teams": [], "a": 1.}`},
	{"no escape", `{"teams": [], "a": "\x"}`},
	{"half an escape", `{"teams": [], "a": "\u00"}`},
	{"no end", `{"teams": [`},
}

// stricter are pages in which the script sees nobody, as its ipairs takes what is no list for an empty one. A module that
// knows what it reads says that it cannot be read.
var stricter = []struct{ name, body string }{
	{"teams are text", `{"teams": "none"}`},
	{"teams are an object", `{"teams": {}}`},
	{"members are text", `{"teams": [{"title": "Sales", "members": "none"}]}`},
	{"teams below are text", `{"teams": [{"title": "Sales", "members": [], "teams": "none"}]}`},
}

// TestOddPages: what is not as agreed is the same to every language, and a fault to none.
func TestOddPages(t *testing.T) {
	scripted := page(t, "")
	lua := opening(t, script(t, "crm"), scripted, nil)
	for _, name := range languages {
		c := page(t, "")
		p := opening(t, module(t, name), c, nil)
		for _, o := range odd {
			t.Run(name+"/"+o.name, func(t *testing.T) {
				answer(scripted, o.body)
				answer(c, o.body)
				out := outcome(t, p)
				equal(t, "what came of it", told(out), told(outcome(t, lua)))
				if t.Failed() {
					t.Log(out.Err)
				}
			})
		}
		for _, o := range stricter {
			t.Run(name+"/"+o.name, func(t *testing.T) {
				answer(c, o.body)
				equal(t, "what came of it", told(outcome(t, p)), "temporary")
			})
		}
	}
}

// replacements are what may stand where something else should.
var replacements = []any{nil, true, 1.5, "text", "", []any{}, []any{nil}, map[string]any{}}

// mutants are pages with something else in them, cut off, or with a few other bytes.
func mutants(t testing.TB) (bodies []string) {
	t.Helper()
	whole := read(t, "crm", "fixtures", "page-1.json")
	for n := range len(whole) {
		bodies = append(bodies, whole[:n])
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		b := []byte(whole)
		for range 1 + rnd.IntN(4) {
			b[rnd.IntN(len(b))] = byte(rnd.IntN(256))
		}
		bodies = append(bodies, string(b))
	}
	var doc any
	if err := json.Unmarshal([]byte(whole), &doc); err != nil {
		t.Fatal(err)
	}
	changed(doc, func() {
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(b))
	})
	return bodies
}

// changed has each of the replacements stand at each place of a document, one after the other.
func changed(doc any, see func()) {
	switch v := doc.(type) {
	case map[string]any:
		for name, was := range v {
			for _, r := range replacements {
				v[name] = r
				see()
			}
			delete(v, name)
			see()
			v[name] = was
			changed(was, see)
		}
	case []any:
		for i, was := range v {
			for _, r := range replacements {
				v[i] = r
				see()
			}
			v[i] = was
			changed(was, see)
		}
	}
}

// fair tells whether a page may end so: with a roster if it is JSON, or with an error that keeps the roster that is there.
func fair(body string, err error) bool {
	return err == nil && json.Valid([]byte(body)) || trial.Kind(err) == "temporary"
}

// TestMutants: whatever a backend answers, a module makes a roster of it or says that it cannot.
func TestMutants(t *testing.T) {
	bodies := mutants(t)
	for _, name := range languages {
		t.Run(name, func(t *testing.T) {
			c := page(t, "")
			p := opening(t, module(t, name), c, nil)
			for _, body := range bodies {
				answer(c, body)
				if out := outcome(t, p); !fair(body, out.Err) {
					t.Fatalf("%v of\n%q", out.Err, body)
				}
			}
		})
	}
}

// TestModuleFuzz: whoever tries rosterd plugin fuzz on a module finds nothing either.
func TestModuleFuzz(t *testing.T) {
	for name := range written {
		t.Run(name, func(t *testing.T) {
			own := module(t, name)
			if slices.Contains(languages, name) {
				fuzzed(t, own, casesOf(t, script(t, "crm"), 11))
			} else {
				fuzzed(t, own, casesOf(t, own, 5))
			}
		})
	}
}

// FuzzPage: as TestMutants, for as long as one likes.
func FuzzPage(f *testing.F) {
	f.Add(read(f, "crm", "fixtures", "page-1.json"))
	for _, o := range odd {
		f.Add(o.body)
	}
	type opened struct {
		c *trial.Case
		p *trial.Opened
	}
	open := map[string]opened{}
	for _, name := range slices.DeleteFunc(slices.Clone(languages), func(name string) bool { return name == "crm_go" }) { // which is slow
		c := page(f, "")
		open[name] = opened{c, opening(f, module(f, name), c, nil)}
	}
	f.Fuzz(func(t *testing.T, body string) {
		for name, o := range open {
			answer(o.c, body)
			if out := outcome(t, o.p); !fair(body, out.Err) {
				t.Errorf("%s: %v", name, out.Err)
			}
		}
	})
}

// TestMemory: calls leave nothing behind. Of the thousand calls the first may find that they need more, and a collector of
// garbage may work at another time; but a tenth of the answer kept by each call would be more than a mebibyte.
func TestMemory(t *testing.T) {
	body, _ := company(t, 100)
	for _, name := range languages {
		t.Run(name, func(t *testing.T) {
			p := opening(t, module(t, name), page(t, body), nil)
			peak := func() int64 { return p.Plugin.(interface{ MemoryPeak() int64 }).MemoryPeak() }
			var settled int64
			for i := range 1000 {
				if out := outcome(t, p); out.Err != nil {
					t.Fatalf("call %d: %v", i, out.Err)
				}
				if i == 99 {
					settled = peak()
				}
			}
			if now := peak(); settled == 0 || now > settled+1<<20 || len(body) < 16<<10 {
				t.Errorf("%d bytes after 100 calls, %d after 1000", settled, now)
			}
		})
	}
}

// TestModuleReadmes does what the READMEs of the modules say, as TestReadmes does for scripts.
func TestModuleReadmes(t *testing.T) {
	for name := range written {
		for where, isolate := range isolated {
			t.Run(name+"/"+where, func(t *testing.T) {
				tryReadme(t, name, module(t, name).File, isolate)
			})
		}
	}
}

var moduleOption = regexp.MustCompile(`(?:\b|_)(?:option(?:_\w+)?|Option[A-Z]\w*|Options\.\w+|[Cc]onfig\.get\w*|config_get)\(\s*"(\w+)"`)

// TestModuleOptions: whoever reads the README of a module knows every option, how it is built, and how to try it.
func TestModuleOptions(t *testing.T) {
	for name, sources := range written {
		readme := read(t, name, "README.md")
		files, err := filepath.Glob(sources[0])
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			for _, m := range moduleOption.FindAllStringSubmatch(read(t, file), -1) {
				found = true
				if !strings.Contains(readme, "| `"+m[1]+"` |") {
					t.Errorf("%s: README.md does not explain %s", name, m[1])
				}
			}
		}
		if !found {
			t.Errorf("%s: no option in %v", name, files)
		}
		if !strings.Contains(readme, "make plugins\n") || !strings.Contains(readme, "rosterd plugin test .cache/plugins/"+name+".wasm --cases examples/plugins/") {
			t.Errorf("%s: README.md does not say how to build and to try it", name)
		}
	}
}
