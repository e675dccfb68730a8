package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// people is a case of the module in testdata/plugins.
const peopleCase = `{"options": {"people_url": "http://crm.example/%s"}, "user": "john", "http": [{"request": {"url": "http://crm.example/john"}, "response": {"json": {"people": []}}}], "expect": {"roster": {"marie@example.com": {}}}}`

// newModuleDesk is a desk with a module, and without the compiled code of others.
func newModuleDesk(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(d.dir, "cache"))
	code, err := os.ReadFile("testdata/plugins/mod_people.wasm")
	if err != nil {
		t.Fatal(err)
	}
	d.write("people/mod_people.wasm", string(code))
	d.write("people/tests/contacts.json", peopleCase)
	d.write("people/tests/list.json", strings.NewReplacer(`{"people": []}`, `[]`, `"roster": {"marie@example.com": {}}`, `"error": "temporary", "contains": "no object"`).Replace(peopleCase))
	return d
}

// fuel is what depends on the compiler of modules.
var fuel = regexp.MustCompile(`\b\d+ fuel\b`)

// TestPluginCheckModule: what is said of a module that works, and of those that do not.
func TestPluginCheckModule(t *testing.T) {
	d := newModuleDesk(t)
	status, text := d.plugin("", "check", "DIR/people", "--option", "people_url=http://crm.example/%s", "--option", "people_trusting=true", "--option", "peple=1")
	want := strings.TrimPrefix(`
DIR/people/mod_people.wasm: ok
  provides  rosters
  options   people_trusting: set (--option)
            people_url: set (--option)
  asks      http://crm.example:80
  exports   rosterd_init rosterd_transform
  imports   rosterd_v1
              options: config_get
              HTTP: http_body_read
              what is answered: output_write
              failures: fail
              the log: log
  module …, 3 functions, … of code
  memory … at first, … at the most
  opens     in … the first time, in … once it has been compiled
  instance  made in …, with … and N fuel
  warning: --option peple: the plugin did not ask for it when it was opened
  note: DIR/people/mod_people.wasm: it does not say what its functions are called, and so errors cannot: keep the names when it is linked, and leave out only what is for debuggers
`, "\n")
	if text = fuel.ReplaceAllString(text, "N fuel"); status != exitFailed || text != want {
		t.Errorf("status %d; got\n%s\nwant\n%s", status, text, want)
	}
	status, text = d.plugin("", "check", "DIR/people")
	for _, want := range []string{": refused\n", "option people_url is not set", "  exports  rosterd_init rosterd_transform\n", "not set, and needed: try --option people_url=…"} {
		if status != exitUsage || !strings.Contains(text, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, text)
		}
	}
	if status, text := d.plugin("", "check", "DIR/people", "--option", "people_url=http://crm.example/%s"); status != exitOK {
		t.Errorf("status %d:\n%s", status, text)
	}
	d.write("none/mod_none.wasm", "no module")
	if status, text := d.plugin("", "check", "DIR/none"); status != exitUsage || !strings.Contains(text, ": refused\n") {
		t.Errorf("status %d:\n%s", status, text)
	}
}

// TestPluginTestModule: cases of modules, in both places, and what they cost.
func TestPluginTestModule(t *testing.T) {
	d := newModuleDesk(t)
	for _, where := range []string{"inproc", "process"} {
		if status, text := d.plugin("", "test", "DIR/people", "--isolation", where); status != exitOK || !strings.Contains(text, "\n2 passed, 0 failed\n") {
			t.Errorf("%s: status %d:\n%s", where, status, text)
		}
	}
	status, text := d.plugin("", "test", "DIR/people/mod_people.wasm", "--json")
	var got verdicts
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != exitOK || len(got.Cases) != 2 {
		t.Fatalf("status %d, %v:\n%s", status, err, text)
	}
	if c := got.Cases[0]; c.Fuel == 0 || c.HostCalls != 2 || c.Memory != 64<<10 || c.Instructions != 0 {
		t.Errorf("%+v", c)
	}
	status, text = d.plugin("", "bench", "DIR/people", "--count", "20")
	for _, want := range []string{"contacts, inproc, 20 calls\n", "\n  fuel ", "\n  host calls    2 a call\n", " is what an instance had at the most\n"} {
		if status != exitOK || !strings.Contains(text, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, text)
		}
	}
	if _, err := os.Stat(filepath.Join(d.dir, "cache", "rosterd", "modules")); err != nil {
		t.Error(err)
	}
}

// TestPluginRunModule: a module maps what a backend answers, and what it answered is a case.
func TestPluginRunModule(t *testing.T) {
	d := newModuleDesk(t)
	url := people(t)
	status, text := d.plugin("", "run", "DIR/people", "--user", "alice@example.com", "--option", "people_url="+url, "--record", "DIR/people/tests")
	if status != exitOK || !strings.Contains(text, "roster of alice@example.com: 1 contact\n") || !strings.Contains(text, "2 host calls") {
		t.Errorf("status %d:\n%s", status, text)
	}
	if status, text := d.plugin("", "test", "DIR/people", "--run", "alice"); status != exitOK {
		t.Errorf("status %d:\n%s", status, text)
	}
}

// TestPluginFuzzModule: a module that trusts its backend is found out.
func TestPluginFuzzModule(t *testing.T) {
	d := newModuleDesk(t)
	for _, where := range []string{"inproc", "process"} {
		args := []string{"fuzz", "DIR/people", "--count", "200", "--seed", "1", "--time", "1m", "--isolation", where}
		if status, text := d.plugin("", args...); status != exitOK || !strings.Contains(text, "\n0 faults found\n") {
			t.Errorf("%s: status %d:\n%s", where, status, text)
		}
	}
	d.write("trusting/tests/contacts.json", strings.Replace(peopleCase, `{"people_url"`, `{"people_trusting": true, "people_url"`, 1))
	for _, where := range []string{"inproc", "process"} {
		args := []string{"fuzz", "DIR/people", "--cases", "DIR/trusting/tests", "--count", "200", "--seed", "1", "--time", "1m", "--isolation", where, "--write", "DIR/trusting/tests"}
		status, text := d.plugin("", args...)
		if status != exitFailed || !strings.Contains(text, "FAULT  trap, call ") || !strings.Contains(text, `/john  200 "["`) || !strings.Contains(text, "\n1 fault found\n") {
			t.Errorf("%s: status %d:\n%s", where, status, text)
		}
		status, text = d.plugin("", "test", "DIR/people", "--cases", "DIR/trusting/tests", "--run", "fuzz-*", "--isolation", where)
		if status != exitFailed || !strings.Contains(text, "a fault, and anything else would do: plugin fault (trap): ") {
			t.Errorf("%s: status %d:\n%s", where, status, text)
		}
	}
}
