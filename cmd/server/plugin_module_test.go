package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rosterd/plugins/wasm/module/asm"
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

// slow is what is said where making an instance takes long, on a machine that is busy.
var slow = regexp.MustCompile(`(?m)^  note: .*: an instance takes .* to be made: .*\n`)

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
	if text = slow.ReplaceAllString(fuel.ReplaceAllString(text, "N fuel"), ""); status != exitFailed || text != want {
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

// module is one with functions that return something.
func module(exports map[string]int32) string {
	var m asm.Module
	fail := m.Import("rosterd_v1", "fail", "iiii:")
	m.Memory(1)
	m.ExportMemory("memory")
	m.Data(16, []byte("the database is down"))
	m.Export("rosterd_abi_v1", m.Func(":", "", nil))
	for _, name := range slices.Sorted(maps.Keys(exports)) {
		n := exports[name]
		m.Export(name, m.Func(":i", "", asm.Code{}.I32(n).I32(7).I32(16).I32(20).Call(fail).I32(n)))
	}
	return string(m.Bytes())
}

// TestPluginCheckExports: functions whose names are nearly those that rosterd calls.
func TestPluginCheckExports(t *testing.T) {
	d := newModuleDesk(t)
	d.write("a/mod_a.wasm", module(map[string]int32{"rosterd_auth": 0, "rosterd_fetsch": 0, "roster_webhook": 0, "rosterd_helper": 0, "helper": 0}))
	status, text := d.plugin("", "check", "DIR/a")
	for _, want := range []string{
		"  warning: DIR/a/mod_a.wasm: it exports rosterd_fetsch, which rosterd does not call (did you mean rosterd_fetch?)\n",
		"  warning: DIR/a/mod_a.wasm: it exports roster_webhook, which rosterd does not call (did you mean rosterd_webhook?)\n",
		"  warning: DIR/a/mod_a.wasm: it exports rosterd_helper, which rosterd does not call\n",
	} {
		if status != exitFailed || !strings.Contains(text, want) || strings.Count(text, "warning") != 3 {
			t.Errorf("status %d, no %q in\n%s", status, want, text)
		}
	}
	d.write("b/mod_b.wasm", module(map[string]int32{"rosterd_fetsch": 0}))
	status, text = d.plugin("", "check", "DIR/b")
	for _, want := range []string{"exports none of rosterd_transform", "  warning: DIR/b/mod_b.wasm: it exports rosterd_fetsch, which rosterd does not call (did you mean rosterd_fetch?)\n"} {
		if status != exitUsage || !strings.Contains(text, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, text)
		}
	}
}

// TestPluginRunRefusals: what a module returns to a request from outside is shown, with its reason and what comes of it.
func TestPluginRunRefusals(t *testing.T) {
	d := newModuleDesk(t)
	for code, want := range map[int32]string{
		1: "404 Not Found\n\nlog\n  info: 404 Not Found: the database is down\n",
		2: "answered with 503 Service Unavailable: temporary\n  the database is down\n",
		3: "answered with 500 Internal Server Error: permanent\n  the database is down\n",
		4: "403 Forbidden\n\nlog\n  info: 403 Forbidden: the database is down\n",
	} {
		d.write("hook/mod_hook.wasm", module(map[string]int32{"rosterd_webhook": code}))
		for _, where := range []string{"inproc", "process"} {
			if _, text := d.plugin("", "run", "DIR/hook", "--call", "http", "--request", "POST /hook", "--isolation", where); !strings.HasPrefix(text, want) {
				t.Errorf("%d, %s: got\n%s\nwant\n%s", code, where, text, want)
			}
		}
	}
	d.write("hook/mod_hook.wasm", module(map[string]int32{"rosterd_webhook": 2}))
	_, text := d.plugin("", "run", "DIR/hook", "--call", "http", "--request", "POST /hook", "--json")
	var got struct {
		Status      int
		Error, Text string
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.Status != 503 || got.Error != "temporary" || got.Text != "the database is down" {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestPluginRunUnopened: a module that is not opened for want of an option says which one.
func TestPluginRunUnopened(t *testing.T) {
	d := newModuleDesk(t)
	status, text := d.plugin("", "run", "DIR/people", "--user", "john", "--option", "people_ulr=x")
	for _, want := range []string{": option people_url is not set", "\n  not set, and needed: try --option people_url=…, or --config prosody.cfg.lua\n", "\n  --option people_ulr: it had not asked for that until then (did you mean people_url?)\n"} {
		if status != exitFailed || !strings.Contains(text, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, text)
		}
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
