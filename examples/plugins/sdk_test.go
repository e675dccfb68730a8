//go:build clients

package plugins_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/roster"
	"rosterd/plugins"
	"rosterd/plugins/trial"
)

// rustc compiles Rust. Where rustup is installed, the one in front may lack the target.
var rustc = cmp.Or(os.Getenv("RUSTC"), "/usr/bin/rustc")

// assembly is the compiler for AssemblyScript.
var assembly = filepath.FromSlash("../../plugins/sdk/assemblyscript/node_modules/assemblyscript/bin/asc.js")

// compile makes a module of a source file, or a folder in Go.
func compile(t *testing.T, name, source string) trial.Subject {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, name+".wasm")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-o", file, ".")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	switch filepath.Ext(source) {
	case ".c":
		// A driver that both compiles with -O and links may call an optimizer that does not know all of it.
		o := filepath.Join(dir, name+".o")
		if out, err := exec.CommandContext(ctx, "clang", "--target=wasm32", "-ffreestanding", "-mbulk-memory", "-O2", "-Wall", "-Wextra", "-Werror",
			"-I../../plugins/sdk/c", "-c", source, "-o", o).CombinedOutput(); err != nil {
			t.Fatalf("clang %s: %v\n%s", source, err, out)
		}
		cmd = exec.CommandContext(ctx, "wasm-ld", "--no-entry", "-z", "stack-size=65536", o, "-o", file)
	case ".ts":
		cmd = exec.CommandContext(ctx, "node", assembly, source, "-O3", "--runtime", "minimal", "--noAssert", "--use", "abort=", "-o", file)
	case ".rs":
		cmd = exec.CommandContext(ctx, rustc, "--edition", "2021", "--crate-type=cdylib", "--target", "wasm32-unknown-unknown", "-D", "warnings",
			"-O", "-C", "panic=abort", "-C", "link-arg=-zstack-size=65536", source, "-o", file)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return trial.Subject{Name: name, File: file, Dir: dir, Paths: []string{dir}}
}

// TestKits: what an SDK offers works, in each language alike. The kits are plugins that do all that there is to do.
func TestKits(t *testing.T) {
	for lang, source := range map[string]string{
		"rust": "testdata/all_rust/all_rust.rs", "go": "testdata/all_go", "c": "testdata/all_c/all_c.c", "as": "testdata/all_as/all_as.ts",
	} {
		t.Run(lang, func(t *testing.T) {
			kit := compile(t, "all", filepath.FromSlash(source))
			t.Run("calls", func(t *testing.T) { kitCalls(t, kit) })
			t.Run("rosters", func(t *testing.T) { kitRosters(t, kit) })
			t.Run("errors", func(t *testing.T) { kitErrors(t, kit) })
			t.Run("edits", func(t *testing.T) { kitEdits(t, kit) })
			t.Run("vCards", func(t *testing.T) { kitCards(t, kit) })
		})
	}
}

const allOptions = `{"all_url": "https://user:pass@example.net/a?b", "all_text": "é \"%\"", "all_list": ["a", 1, true], "all_no": false, "all_many": 99, "all_word": "many"}`

// asked are requests from outside to the kits, each with what comes of it.
var asked = []struct{ name, rest, more, expect string }{
	{"what is asked", "/echo", `, "query": "a=b&c", "headers": {"X-Test": "one"}, "body": "some\u0000body é"`,
		`"body": "example.com POST /all/echo echo a=b&c false 127.0.0.1 [one] [] some\u0000body é"`},
	{"an option", "/option/all_text", "", `"body": "é \"%\""`},
	{"an option that is a list", "/option/all_list", "", `"body": "[\"a\",1,true]"`},
	{"no option", "/option/all_nothing", "", `"body": "absent"`},
	{"a secret", "/option/rosterd_refresh_token", "", `"error": "permanent", "contains": "secret"`},
	{"true or false", "/boolean/all_no", "", `"body": "false"`},
	{"what else is true", "/boolean/all_nothing", "", `"body": "true"`},
	{"neither true nor false", "/boolean/all_text", "", `"error": "permanent", "contains": "option all_text: "`},
	{"a number", "/integer/all_many", "", `"body": "8", "log": ["option all_many: 99 is not between 1 and 8, 8 is taken"]`},
	{"no number", "/integer/all_word", "", `"error": "permanent", "contains": "all_word"`},
	{"the default", "/integer/all_nothing", "", `"body": "5"`},
	{"what is kept", "/kept", "", `"body": "absent [] [00, ff] absent limit"`},
	{"an answer", "/get", "", `"body": "503 yes 1000 [] 60 no\nway"`},
	{"an answer that is not 200", "/ok", "", `"error": "temporary", "contains": "GET https://example.net/a?b: 503"`},
	{"a request", "/send/PUT", "", `"body": "200  0 [] 0 "`},
	{"a server that no option names", "/error/http://localhost/", "", `"body": "Refused: GET http://localhost/: refused by policy: no option of the plugin names a URL of http://localhost, nor does rosterd_plugin_http_allow"`},
	{"no URL", "/error/:", "", `"body": "Network: GET :: not a URL: missing protocol scheme"`},
	{"not found", "/fail/not-found", "", `"status": 404`},
	{"temporary", "/fail/temporary", "", `"error": "temporary", "contains": "because \"é\""`},
	{"permanent", "/fail/permanent", "", `"error": "permanent", "contains": "because \"é\""`},
	{"denied", "/fail/denied", "", `"status": 403`},
	{"panic", "/panic/really", "", `"error": "fault", "log": ["all is lost: really"]`},
	{"lines of the log", "/log/one", "", `"body": "", "log": ["one", "two"]`},
	{"chance and time", "/chance", "", `"body": "true 1767268800000"`},
	{"a URL", "/url/Jörg %2F~&", `, "query": "http://h/%s/{{secret:x}}?q=%s&r=100%%/é"`, `"body": "http://h/J%C3%B6rg%20%2F~%26/{{secret:x}}?q=J%C3%B6rg%20%2F~%26&r=100%/%C3%A9"`},
	{"a URL for two dots", "/url/..", `, "query": "http://h/a/%s"`, `"error": "permanent", "contains": "\"..\""`},
	{"a URL without a name", "/url/x", `, "query": "http://h/a"`, `"body": "no %s in it, which stands for the user name"`},
	{"a URL of another kind", "/url/x", `, "query": "ftp://h/%s"`, `"body": "not an http:// or https:// URL"`},
	{"a URL of nobody", "/url/x", `, "query": "https:///%s"`, `"body": "a URL without a host"`},
	{"a server of the user's", "/url/x", `, "query": "https://%s.h/"`, `"body": "%s may stand in the path and in the query only"`},
	{"a fragment", "/url/x", `, "query": "https://h/#%s"`, `"body": "%s may stand in the path and in the query only"`},
	{"a broken escape", "/url/x", `, "query": "https://h/%2%s"`, `"body": "an incomplete escape before %s would swallow a part of the name"`},
	{"a change", "/refresh", "", `"status": 202, "headers": {"X-All": "\"yes\""}, "body": "done\n", "refreshed": ["john", "ma\"rie"]`},
	{"nothing", "/nothing", "", `"status": 204`},
	{"something else", "/else", "", `"status": 404`},
}

// recorded is what the network answers the kits.
const recorded = `[
	{"optional": true, "request": {"method": "GET", "url": "https://user:pass@example.net/a?b"},
		"response": {"status": 503, "headers": {"X-Answer": "yes", "X-Long": "` + "%s" + `", "Retry-After": "Thu, 01 Jan 2026 12:01:00 GMT"}, "body": "no\nway"}},
	{"optional": true, "request": {"method": "PUT", "url": "https://user:pass@example.net/a?b", "headers": {"X-One": "1", "X-Two": "\"\\u0001\u007fé😀\\\\/\""}, "body": "two\nlines"},
		"response": {"status": 200}}
]`

func parsed(t *testing.T, text string) *trial.Case {
	t.Helper()
	c, err := trial.Parse("case.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kitCalls asks one plugin one thing after the other.
func kitCalls(t *testing.T, kit trial.Subject) {
	now := parsed(t, fmt.Sprintf(`{"call": "http", "options": %s, "request": {"path": "/nothing"}}`, allOptions))
	p := opening(t, kit, now, nil)
	for _, a := range asked {
		t.Run(a.name, func(t *testing.T) {
			*now = *parsed(t, fmt.Sprintf(`{"call": "http", "options": %s, "request": {"path": %q%s}, "http": %s, "expect": {%s}}`,
				allOptions, a.rest, a.more, fmt.Sprintf(recorded, strings.Repeat("l", 1000)), a.expect))
			for _, problem := range now.Judge(outcome(t, p)) {
				t.Error(problem)
			}
		})
	}
}

// kitRosters: contacts arrive as they were added, in whichever form they are written.
func kitRosters(t *testing.T, kit trial.Subject) {
	many := make([]string, 256)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	now := parsed(t, fmt.Sprintf(`{"options": %s, "user": "john"}`, allOptions))
	p := opening(t, kit, now, nil)
	for _, reason := range []engine.Reason{engine.ReasonLogin, "webhook"} { // with the second some have many groups
		t.Run(string(reason), func(t *testing.T) {
			now.Reason = string(reason)
			out := outcome(t, p)
			if out.Err != nil {
				t.Fatal(out.Err)
			}
			b := roster.NewBuilder(john, roster.Limits{})
			b.Add("john-"+string(reason)+"@example.com", roster.Item{Subscription: roster.Both})
			b.Add("to@example.org", roster.Item{Subscription: roster.To, Name: "Tö", Groups: []string{"A", "B"}})
			b.Add("from@example.org", roster.Item{Subscription: roster.From, Name: "From", Groups: []string{"A", "B"}, Ask: true})
			b.Add("none@example.org", roster.Item{Approved: true})
			left := []string{"long@example.org"}
			if reason == "webhook" {
				b.Add("fit@example.org", roster.Item{Subscription: roster.Both, Groups: many})
				left = append(left, "many@example.org")
			}
			want, _, err := b.Roster()
			if err != nil {
				t.Fatal(err)
			}
			if a := out.Answer; !a.Roster.Equal(want) {
				t.Errorf("the roster differs (- expected, + got):\n%s", trial.Diff(want, a.Roster))
			}
			equal(t, "the time", out.Answer.MaxAge, 90*time.Second)
			var dropped []string
			for _, bad := range out.Answer.Dropped {
				dropped = append(dropped, bad.JID)
			}
			if !slices.Equal(dropped, left) {
				t.Errorf("left out: %v, not %v", out.Answer.Dropped, left)
			}
			again, err := p.Fetch(t.Context(), engine.Request{User: john, Reason: reason, Rev: out.Answer.Rev})
			if err != nil || !again.Unchanged {
				t.Errorf("with revision %s: %v, unchanged is %v", out.Answer.Rev, err, again.Unchanged)
			}
		})
	}
}

// kitEdits: each kit is told all that there is to an edit, and says of it what a plugin can; in a process of its own too.
func kitEdits(t *testing.T, kit trial.Subject) {
	const item = `"contact": "marie@example.net", "name": "M\"é", "groups": ["A", "B"], "subscription": "to", "ask": "subscribe", "approved": true, "id": "17"`
	const told = `marie@example.net M\"é to subscribe true A B`
	for where, isolate := range isolated {
		now := parsed(t, fmt.Sprintf(`{"options": %s, "user": "john"}`, allOptions))
		p := opening(t, kit, now, isolate)
		for action, want := range map[string]string{
			"subscribe": `"taken": true`, "remove": `"error": "not-found"`, "unsubscribe": `"error": "temporary", "contains": "marie@example.net"`,
			"set": `"error": "denied", "contains": "john@example.com 17 set ` + told + `"`, "unsubscribed": `"error": "denied", "contains": "john@example.com 17 unsubscribed ` + told + `"`,
		} {
			t.Run(where+"/"+action, func(t *testing.T) {
				*now = *parsed(t, fmt.Sprintf(`{"call": "edit", "options": %s, "user": "john", "edit": {"action": %q, %s}, "expect": {%s}}`, allOptions, action, item, want))
				out := outcome(t, p)
				for _, problem := range now.Judge(out) {
					t.Error(problem)
				}
				var veto *engine.VetoError
				if errors.As(out.Err, &veto) != strings.Contains(want, "denied") {
					t.Errorf("a veto: %v", out.Err)
				}
			})
		}
	}
}

// kitCards: what each kit says of a user arrives, in a process of its own too.
func kitCards(t *testing.T, kit trial.Subject) {
	for where, isolate := range isolated {
		now := parsed(t, fmt.Sprintf(`{"options": %s, "user": "john"}`, allOptions))
		p := opening(t, kit, now, isolate)
		for user, want := range map[string]string{
			"john": `"vcard": {"fn": "J\"\\é\n<&", "given": "John", "family": "Doe", "nickname": "Jo", "email": ["j@example.com", "\"j\"@example.com"], "tel": ["+49 1"], "org": "O",
				"title": "T", "role": "R", "url": "http://h/?a&b", "bday": "1990-02-28", "note": "N", "photo": {"type": "image/png", "data": "iVBORwD//gE="}}`,
			"given": `"vcard": {"photo": {"type": "image/gif", "data": "R0lGODlh"}}`, "nothing": `"vcard": {}`, "silent": `"vcard": {}`, "nobody": `"vcard": {}`,
			"later": `"error": "temporary", "contains": "later@example.com"`,
			"a":     `"vcard": {"photo": {"type": "image/x-test", "data": "YQ=="}}`, "ab": `"vcard": {"photo": {"type": "image/x-test", "data": "YWI="}}`,
			"abc": `"vcard": {"photo": {"type": "image/x-test", "data": "YWJj"}}`,
		} {
			t.Run(where+"/"+user, func(t *testing.T) {
				*now = *parsed(t, fmt.Sprintf(`{"call": "vcard", "options": %s, "user": %q, "expect": {%s}}`, allOptions, user, want))
				out := outcome(t, p)
				for _, problem := range now.Judge(out) {
					t.Error(problem)
				}
				var later *engine.TemporaryError
				if errors.As(out.Err, &later) && later.RetryAfter != 9*time.Second {
					t.Errorf("to be asked again after %v", later.RetryAfter)
				}
			})
		}
	}
}

// kitErrors: what a plugin says of passwords, of its options and of when to come back reaches the server.
func kitErrors(t *testing.T, kit trial.Subject) {
	p := opening(t, kit, parsed(t, fmt.Sprintf(`{"call": "auth", "options": %s, "user": "john", "password": ""}`, allOptions)), nil)
	for word, want := range map[string]error{"right": nil, "unknown": engine.ErrUnknownUser, "r\"é": engine.ErrDenied} {
		if err := p.Authenticate(t.Context(), john, word); !errors.Is(err, want) {
			t.Errorf("password %s: %v", word, err)
		}
	}
	_, err := p.Handle(t.Context(), plugins.Call{Method: "POST", Path: "/all/fail/temporary", Rest: "fail/temporary"})
	var temporary *engine.TemporaryError
	if !errors.As(err, &temporary) || temporary.RetryAfter != 77*time.Second {
		t.Errorf("%#v: %v", temporary, err)
	}
	for why, options := range map[string]string{
		"option all_url is not set": `{}`, "all_refuse is true": `{"all_refuse": true}`, "all_refuse: ": `{"all_refuse": "perhaps"}`,
	} {
		c := parsed(t, fmt.Sprintf(`{"options": %s, "user": "john"}`, options))
		_, err := trial.Trial{Subject: kit, Case: c, Manager: &plugins.Manager{Engines: engines(), Cache: native}}.Open(t.Context())
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: opened with %v", options, err)
		}
	}
}

var (
	rustDoc = regexp.MustCompile("(?s)//! ```ignore\n(.*?)//! ```\n")
	starDoc = regexp.MustCompile(`(?s)docs/PLUGINS.md.\n \*\n( \*     .*?)\n \*\n \* [^ ]`)
	goDoc   = regexp.MustCompile("(?s)\n//\n(//\tpackage main\n.*?func main\\(\\) [^\n]*\n)")
)

// TestKitDocs: the example at the top of an SDK, as its authors would copy it, makes a roster.
func TestKitDocs(t *testing.T) {
	for lang, kit := range map[string]struct {
		sdk, file, prefix string
		doc               *regexp.Regexp
		answer            string
	}{
		"rust": {"../../plugins/sdk/rust/rosterd.rs", "mod_intranet.rs", "//! ?", rustDoc, `{"people": [{"login": "marie", "name": "Marie"}]}`},
		"go":   {"../../plugins/sdk/go/rosterd.go", "main.go", "//\t?", goDoc, `[{"login": "marie", "name": "Marie"}]`},
		"c":    {"../../plugins/sdk/c/rosterd.h", "intranet.c", ` \*(     )?`, starDoc, `{"people": [{"login": "marie", "name": "Marie"}]}`},
		"as":   {"../../plugins/sdk/assemblyscript/rosterd.ts", "intranet.ts", ` \*(     )?`, starDoc, `{"people": [{"login": "marie", "name": "Marie"}]}`},
	} {
		t.Run(lang, func(t *testing.T) {
			sdk := read(t, kit.sdk)
			m := kit.doc.FindStringSubmatch(sdk)
			if m == nil {
				t.Fatalf("%s has no example", kit.sdk)
			}
			dir := t.TempDir()
			write := func(file, text string) {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code := regexp.MustCompile("(?m)^"+kit.prefix).ReplaceAllString(m[1], "")
			source := dir
			if lang != "go" {
				write(filepath.Base(kit.sdk), sdk)
				source = filepath.Join(dir, kit.file)
			} else {
				code = "//go:build wasip1\n\n" + code
				write("rosterd/rosterd.go", sdk)
				write("go.mod", "module example.com/intranet\n\ngo 1.24\n")
			}
			write(kit.file, code)
			c := parsed(t, fmt.Sprintf(`{"options": {"intranet_url": "https://example.net/%%s"}, "user": "john", "http": [
				{"request": {"url": "https://example.net/john"}, "response": {"json": %s}}
			], "expect": {"roster": {"marie@example.com": {"name": "Marie"}}}}`, kit.answer))
			for _, problem := range c.Judge(outcome(t, opening(t, compile(t, "intranet", source), c, nil))) {
				t.Error(problem)
			}
		})
	}
}
