package trial

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const whole = `{
  "about": "everything",
  "options": {"url": "http://crm.example/%s", "n": 5, "x": 1.5, "list": ["a", {"b": true}]},
  "user": "john@chat.example",
  "reason": "refresh",
  "now": "2026-02-03T04:05:06Z",
  "seed": 7,
  "store": {"s": {"key": {"a": 1}}},
  "http": [
    {
      "request": {"url": "http://crm.example/john", "headers": {"X-A": "1", "X-B": ["2", "3"]}, "json": {"a": [1]}},
      "response": {"status": 200, "headers": {"Etag": "\"1\""}, "body": "<a>"},
      "optional": true
    },
    {"request": {"method": "POST", "url": "https://crm.example/"}, "error": "timeout"}
  ],
  "expect": {"roster": {"marie@chat.example": {"name": "Marie"}}, "dropped": ["x y"], "store": {"s": {"key": null}}, "log": ["hello"]}
}`

func TestParse(t *testing.T) {
	c, err := Parse("tests/whole.json", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name() != "whole" || c.Host != "chat.example" || c.Call != CallFetch || c.Options["n"] != int64(5) || c.Options["x"] != 1.5 {
		t.Errorf("%q %q %q %#v", c.Name(), c.Host, c.Call, c.Options)
	}
	encoded, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(encoded, []byte(`"<a>"`)) || bytes.Contains(encoded, []byte(`"host"`)) || bytes.Contains(encoded, []byte(`"call"`)) {
		t.Errorf("written as\n%s", encoded)
	}
	again, err := Parse("tests/whole.json", encoded)
	if err != nil {
		t.Fatal(err)
	}
	if twice, err := again.Encode(); err != nil || !bytes.Equal(twice, encoded) {
		t.Errorf("%v: written again as\n%s\nnot as\n%s", err, twice, encoded)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown field", "{\n \"user\": \"a\",\n \"uesr\": 1}", `x.json:3: unknown field "uesr"`},
		{"unknown field below", `{"user": "a", "expect": {"rooster": {}}}`, `x.json:1: unknown field "rooster"`},
		{"syntax", "{\n\n,}", "x.json:3: invalid character"},
		{"too short", `{"user": "a"`, "x.json:1: the JSON ends too early"},
		{"too much", `{"user": "a"} {}`, "x.json:1: something follows the case"},
		{"type", `{"user": 5}`, "x.json:1: user is a JSON number, which it cannot be"},
		{"no object", `[]`, "x.json:1: "},
		{"null option", `{"user": "a", "options": {"x": {"y": null}}}`, "option x: null"},
		{"call", `{"call": "dance"}`, `call: "dance" is none of fetch, auth, http, timer, edit, vcard`},
		{"an edit of nothing", `{"call": "edit", "user": "a"}`, "edit: a call of edit needs one"},
		{"an edit in another call", `{"user": "a", "edit": {"action": "set", "contact": "b@c"}}`, "edit: a call of edit needs one"},
		{"no action", `{"call": "edit", "user": "a", "edit": {"action": "dance", "contact": "b@c"}}`, `edit: action: "dance" is none of`},
		{"no contact", `{"call": "edit", "user": "a", "edit": {"action": "set", "contact": "b@"}}`, "edit: contact: "},
		{"no subscription", `{"call": "edit", "user": "a", "edit": {"action": "set", "contact": "b@c", "subscription": "all"}}`, "edit: "},
		{"an edit that asks for something else", `{"call": "edit", "user": "a", "edit": {"action": "set", "contact": "b@c", "ask": "me"}}`, "edit: ask: "},
		{"empty expectation of an edit", `{"call": "edit", "user": "a", "edit": {"action": "set", "contact": "b@c"}, "expect": {}}`, "expect: neither taken nor error"},
		{"empty expectation of a vCard", `{"call": "vcard", "user": "a", "expect": {}}`, "expect: neither vcard nor error"},
		{"a vCard of another call", `{"user": "a", "expect": {"vcard": {}}}`, "expect: vcard: not for a call of fetch"},
		{"a vCard that cannot be one", `{"call": "vcard", "user": "a", "expect": {"vcard": {"fn": 5}}}`, "expect: vcard: vCard of a@example.com: fn: a number, not a string"},
		{"a vCard beside an error", `{"call": "vcard", "user": "a", "expect": {"vcard": {}, "error": "denied"}}`, "vcard beside an error"},
		{"a vCard of nobody", `{"call": "vcard"}`, "user: none, which a call of vcard needs"},
		{"taken in another call", `{"user": "a", "expect": {"taken": true}}`, "expect: taken: not for a call of fetch"},
		{"no user", `{}`, "user: none, which a call of fetch needs"},
		{"bad user", `{"user": "a b"}`, "user: "},
		{"user of another host", `{"user": "a@b", "host": "c"}`, "user: a@b does not live on c"},
		{"no local part", `{"user": "@b"}`, `user: "@b" has no user before the @`},
		{"bad host", `{"user": "a", "host": "b c"}`, "host: "},
		{"user for a timer", `{"call": "timer", "user": "a"}`, "user: not for a call of timer"},
		{"no password", `{"call": "auth", "user": "a"}`, "password: none"},
		{"password", `{"user": "a", "password": "x"}`, "password: not for a call of fetch"},
		{"no request", `{"call": "http"}`, "request: a call of http needs one"},
		{"request", `{"user": "a", "request": {"path": "/"}}`, "request: not for a call of fetch"},
		{"timer", `{"call": "timer", "timer": -1}`, "timer: -1"},
		{"reason", `{"call": "timer", "reason": "login"}`, "reason: not for a call of timer"},
		{"url", `{"user": "a", "http": [{"request": {"url": "crm"}, "error": "x"}]}`, `http[0]: request.url: "crm" is no URL`},
		{"neither response nor error", `{"user": "a", "http": [{"request": {"url": "http://x/"}}]}`, "http[0]: one of response and error is needed"},
		{"response and error", `{"user": "a", "http": [{"request": {"url": "http://x/"}, "response": {}, "error": "x"}]}`, "http[0]: one of response and error is needed"},
		{"status", `{"user": "a", "http": [{"request": {"url": "http://x/"}, "response": {"status": 99}}]}`, "http[0]: response.status: 99"},
		{"two bodies", `{"user": "a", "http": [{"request": {"url": "http://x/"}, "response": {"body": "", "json": {}}}]}`, "http[0].response: more than one of"},
		{"header", `{"user": "a", "http": [{"request": {"url": "http://x/", "headers": {"A": 5}}, "error": "x"}]}`, "header field A"},
		{"empty expectation", `{"user": "a", "expect": {}}`, "expect: neither roster nor error"},
		{"empty expectation of auth", `{"call": "auth", "user": "a", "password": "", "expect": {}}`, "expect: neither in nor error"},
		{"expectation of another call", `{"user": "a", "expect": {"in": true}}`, "expect: in: not for a call of fetch"},
		{"roster and error", `{"user": "a", "expect": {"roster": {}, "error": "denied"}}`, "expect: roster beside an error"},
		{"error", `{"user": "a", "expect": {"error": "dunno"}}`, `expect: error: "dunno" is none of not-found, denied, temporary, permanent, fault`},
		{"contains", `{"user": "a", "expect": {"roster": {}, "contains": "x"}}`, "expect: contains: that is for errors"},
		{"roster", `{"user": "a", "expect": {"roster": []}}`, ""},
		{"no roster", `{"user": "a", "expect": {"roster": 5}}`, "expect: roster: "},
		{"bad contact", `{"user": "a", "expect": {"roster": {"x y": {}}}}`, `expect: roster: "x y": not a valid JID`},
		{"body and json", `{"call": "http", "request": {"path": "/"}, "expect": {"body": "", "json": {}}}`, "expect: both body and json"},
		{"again", `{"call": "timer", "expect": {"again": -1}}`, "expect: again: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x.json", []byte(c.text))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x.json")):
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestLoadBodyFile(t *testing.T) {
	dir := t.TempDir()
	plugin := filepath.Join(dir, "plugin")
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(plugin, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("fixtures/a.xml", "<a/>")
	write("tests/b.xml", "<b/>")
	if err := os.WriteFile(filepath.Join(dir, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../secret", filepath.Join(plugin, "tests", "link")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, want, wrong string }{
		"beside the case":     {"b.xml", "<b/>", ""},
		"in another folder":   {"../fixtures/a.xml", "<a/>", ""},
		"not there":           {"c.xml", "", "no such file"},
		"outside":             {"../../secret", "", "is not in the plugin's folder"},
		"absolute":            {filepath.ToSlash(filepath.Join(dir, "secret")), "", "is not in the plugin's folder"},
		"outside by symlinks": {"link", "", "escapes"},
	} {
		t.Run(name, func(t *testing.T) {
			write("tests/x.json", `{"user": "a", "http": [{"request": {"url": "http://x/"}, "response": {"body_file": "`+c.file+`"}}]}`)
			got, err := Load(plugin, filepath.Join(plugin, "tests", "x.json"))
			switch {
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), "http[0].response.body_file")):
				t.Errorf("%v, want %s", err, c.wrong)
			case c.wrong == "" && err != nil:
				t.Error(err)
			case c.wrong == "" && string(got.HTTP[0].Response.bytes()) != c.want:
				t.Errorf("%q", got.HTTP[0].Response.bytes())
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		whole, `{"call": "auth", "user": "a", "password": "x", "expect": {"in": false}}`, `{"call": "http", "request": {"path": "/x", "body": "y"}, "expect": {"status": 204, "refreshed": []}}`,
		`{"call": "timer", "expect": {"again": 1.5}}`, `{"user": "a", "expect": {"error": "fault", "contains": "x"}}`, `{`, `{"user": "a", "http": [{}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("x.json", b)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "x.json") {
				t.Errorf("%v does not name the file", err)
			}
			return
		}
		encoded, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse("x.json", encoded); err != nil {
			t.Errorf("%v in what was written:\n%s", err, encoded)
		}
		c.Judge(Outcome{})
	})
}
