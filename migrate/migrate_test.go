package migrate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/credential"
	"rosterd/store/prosody"
)

var juliet = addr.MustBare("juliet@example.com")

// house is a folder of Prosody's and a database of ours.
type house struct {
	t    *testing.T
	dir  string
	db   *store.Store
	host *Host
}

func open(t *testing.T) *house {
	t.Helper()
	db, err := store.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{t: t, dir: t.TempDir(), db: db}
	files := prosody.Files(h.dir)
	h.host = &Host{Name: "example.com", From: map[string]prosody.Source{}, To: map[string]Target{}, Left: map[string]string{}, Archive: "archive", MaxItems: 256}
	for _, name := range append(slices.Clone(Stores), "pep_data", "rosterd_seen") {
		h.host.From[name], h.host.To[name] = files, db
	}
	keys := strings.Repeat("0f", 20)
	h.write("accounts/juliet.dat", `return { stored_key = "`+keys+`", server_key = "`+keys+`", salt = "s", iteration_count = 4096 };`)
	return h
}

// write writes a file of the host; "" removes it.
func (h *house) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, "example%2ecom", name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if text == "" {
		err = errors.Join(err, os.Remove(path))
	} else {
		err = errors.Join(err, os.WriteFile(path, []byte(text), 0o600))
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// run imports, and describes what has come of it: by store the counts that are not 0, and what was skipped.
func (h *house) run() string {
	h.t.Helper()
	r := &Report{}
	if err := h.host.Run(h.t.Context(), r); err != nil {
		h.t.Fatal(err)
	}
	r.Sort()
	var list []string
	for _, row := range r.Rows {
		doc, err := json.Marshal(row.Counts)
		counts := map[string]int{}
		if err = errors.Join(err, json.Unmarshal(doc, &counts)); err != nil {
			h.t.Fatal(err)
		}
		delete(counts, "users")
		var parts []string
		for _, name := range []string{"new", "changed", "removed", "same", "kept", "skipped"} {
			if n := counts[name]; n > 0 {
				parts = append(parts, fmt.Sprint(n, " ", name))
			}
		}
		list = append(list, row.Store+": "+strings.Join(parts, ", "))
	}
	for _, s := range r.Skipped {
		s.File = strings.TrimPrefix(s.File, filepath.Join(h.dir, "example%2ecom")+"/")
		list = append(list, s.String())
	}
	for _, l := range r.Left {
		list = append(list, "left "+l.Store+": "+l.Why)
	}
	return strings.Join(list, "\n")
}

func (h *house) wants(want ...string) {
	h.t.Helper()
	if got := h.run(); got != strings.Join(want, "\n") {
		h.t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func (h *house) keyed(name string) store.Keyed { return h.db.Stores("example.com").Keyed(name) }

func (h *house) values(name string) string {
	h.t.Helper()
	all, err := h.keyed(name).All(h.t.Context(), juliet)
	if err != nil {
		h.t.Fatal(err)
	}
	var list []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, key+"="+string(all[key]))
	}
	return strings.Join(list, "\n")
}

func (h *house) set(name string, values map[string][]byte) {
	h.t.Helper()
	if err := h.keyed(name).Change(h.t.Context(), juliet, values); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) log(name string) (list []store.Entry) {
	h.t.Helper()
	page, err := h.db.Stores("example.com").Log(name).Find(h.t.Context(), juliet, store.Query{})
	if err != nil {
		h.t.Fatal(err)
	}
	return page.Entries
}

func (h *house) password() string {
	h.t.Helper()
	c, err := h.db.Credentials(h.t.Context(), juliet)
	if err != nil {
		return err.Error()
	}
	return c.Password
}

func element(key, text string) string {
	return fmt.Sprintf("[%q] = { name = %q, attr = { xmlns = \"urn:x\" }, %q };\n", key+":urn:x", key, text)
}

// Values that are taken again and again, while things change here and there.
func TestAgain(t *testing.T) {
	h := open(t)
	file := "private/juliet.dat"
	h.write(file, "return { "+element("a", "1")+element("b", "1")+element("c", "1")+element("d", "1")+"}")
	h.set("private", map[string][]byte{"b:urn:x": []byte("mine")})
	h.wants("accounts: 1 new", "private: 3 new, 1 kept")
	h.wants("accounts: 1 same", "private: 3 same, 1 kept")
	const taken = "a:urn:x=<a xmlns='urn:x'>1</a>\nb:urn:x=mine\nc:urn:x=<c xmlns='urn:x'>1</c>\nd:urn:x=<d xmlns='urn:x'>1</d>"
	if got := h.values("private"); got != taken {
		t.Errorf("taken is\n%s", got)
	}
	// Here, a is removed and c is changed; there, a stays, b and c change, d goes and e comes.
	h.set("private", map[string][]byte{"a:urn:x": nil, "c:urn:x": []byte("mine")})
	h.write(file, "return { "+element("a", "1")+element("b", "2")+element("c", "2")+element("e", "2")+"}")
	h.wants("accounts: 1 same", "private: 1 new, 1 removed, 1 same, 2 kept")
	h.wants("accounts: 1 same", "private: 2 same, 2 kept")
	if got := h.values("private"); got != "b:urn:x=mine\nc:urn:x=mine\ne:urn:x=<e xmlns='urn:x'>2</e>" {
		t.Errorf("taken is\n%s", got)
	}
	h.write(file, "return { "+element("a", "2")+element("e", "3")+"}")
	h.wants("accounts: 1 same", "private: 1 changed, 2 kept") // a, which was removed here, and c, which is gone there
	if got := h.values("private"); got != "b:urn:x=mine\nc:urn:x=mine\ne:urn:x=<e xmlns='urn:x'>3</e>" {
		t.Errorf("taken is\n%s", got)
	}
}

// A password that was changed there counts, unless it was changed here.
func TestPasswords(t *testing.T) {
	h := open(t)
	h.wants("accounts: 1 new")
	h.write("accounts/juliet.dat", `return { password = "second", disabled = true };`)
	h.wants("accounts: 1 changed")
	if c, err := h.db.Credentials(t.Context(), juliet); err != nil || c.Password != "second" || !c.Disabled {
		t.Errorf("%v, disabled %v, %v", c, c.Disabled, err)
	}
	if err := h.db.SetPassword(t.Context(), juliet, credential.Credentials{Password: "own", HasPassword: true}); err != nil {
		t.Fatal(err)
	}
	h.wants("accounts: 1 same")
	h.write("accounts/juliet.dat", `return { password = "third" };`)
	h.wants("accounts: 1 kept")
	if got := h.password(); got != "own" {
		t.Error(got)
	}
	if err := h.db.DeleteUser(t.Context(), juliet); err != nil {
		t.Fatal(err)
	}
	h.wants("accounts: 1 new")
	if got := h.password(); got != "third" {
		t.Error(got)
	}
	if doc := h.values("rosterd_import"); strings.Contains(doc, "third") || doc == "" {
		t.Errorf("remembered is %s", doc)
	}
}

func said(key string, at float64, body string) string {
	return fmt.Sprintf("item({ name = 'message', attr = { from = 'romeo@example.com/x', to = 'juliet@example.com', stamp = '' }, key = %q, when = %v, with = 'romeo@example.com', { name = 'body', attr = {}, %q } });\n", key, at, body)
}

func bodies(list []store.Entry) string {
	var b strings.Builder
	for _, e := range list {
		_, text, _ := bytes.Cut(e.Stanza, []byte("<body>"))
		text, _, _ = bytes.Cut(text, []byte("</body>"))
		fmt.Fprintf(&b, "%s %s ", e.ID, text)
	}
	return strings.TrimSpace(b.String())
}

// Messages are taken once: what came since is added in its place, what was delivered does not come again.
func TestMessages(t *testing.T) {
	h := open(t)
	list := said("k2", 1704067200, "two") + said("k1", 1704067200, "one") + said("k3", 1704067201.5, "three")
	h.write("archive/juliet.list", list)
	h.write("offline/juliet.list", list)
	h.wants("accounts: 1 new", "offline: 3 new", "archive: 3 new")
	log := h.log("archive")
	if got := bodies(log); got != "k2 two k1 one k3 three" {
		t.Error(got)
	}
	want := "<message xmlns='jabber:client' from='romeo@example.com/x' to='juliet@example.com'><body>two</body></message>"
	if e := log[0]; string(e.Stanza) != want || e.With != "romeo@example.com/x" || e.Time.Unix() != 1704067200 {
		t.Errorf("%s with %s at %v", e.Stanza, e.With, e.Time)
	}
	want = "<message from='romeo@example.com/x' to='juliet@example.com'><body>two</body><delay xmlns='urn:xmpp:delay' from='example.com' stamp='2024-01-01T00:00:00Z'/></message>"
	waiting := h.log("offline")
	if e := waiting[0]; string(e.Stanza) != want {
		t.Errorf("%s", e.Stanza)
	}
	h.wants("accounts: 1 same", "offline: 3 same", "archive: 3 same")
	// Something is said here; two of those that wait are delivered.
	if _, err := h.db.Stores("example.com").Log("archive").Append(t.Context(), juliet, store.Entry{ID: "own", Stanza: []byte("<message><body>x</body></message>")}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.db.Stores("example.com").Log("offline").Delete(t.Context(), juliet, []string{"k1", "k2"}, waiting[0].Time.AddDate(-1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	h.write("archive/juliet.list", list+said("k4", 1704067300, "four"))
	h.write("offline/juliet.list", list+said("k4", 1704067300, "four"))
	h.wants("accounts: 1 same", "offline: 1 new, 3 same", "archive: 1 new, 3 same")
	if got := bodies(h.log("archive")); got != "k2 two k1 one k3 three k4 four own x" {
		t.Error(got)
	}
	if got := bodies(h.log("offline")); got != "k3 three k4 four" {
		t.Error(got)
	}
}

// What is skipped of an archive is told of each time, and what else there is of it is taken once.
func TestSkippedAgain(t *testing.T) {
	h := open(t)
	h.write("archive/juliet.list", said("k1", 1704067200, "one")+"item(0);\n"+said("k2", 1704067201, "two"))
	h.wants("accounts: 1 new", "archive: 2 new, 1 skipped", "archive/juliet.list:2: juliet@example.com: archive: not a table")
	for range 2 {
		h.wants("accounts: 1 same", "archive: 2 same, 1 skipped", "archive/juliet.list:2: juliet@example.com: archive: not a table")
	}
	h.write("archive/juliet.list", said("k1", 1704067200, "one")+said("k2", 1704067201, "two"))
	for range 2 {
		h.wants("accounts: 1 same", "archive: 2 same")
	}
	if got := bodies(h.log("archive")); got != "k1 one k2 two" {
		t.Error(got)
	}
}

// Nodes change as a whole, with their items.
func TestNodes(t *testing.T) {
	h := open(t)
	item := func(id, text string) string {
		return fmt.Sprintf("item({ name = 'x', attr = { xmlns = 'urn:x' }, key = %q, when = 1704067200, with = 'juliet@example.com', %q });\n", id, text)
	}
	node := func(name, config, more string) string {
		return fmt.Sprintf("[%q] = { name = %q, config = { %s }, affiliations = { ['juliet@example.com'] = 'owner'; %s }, subscribers = {} };\n", name, name, config, more)
	}
	h.write("pep/juliet.dat", "return { "+node("a", "max_items = 'max', access_model = 'open'", "")+node("b", "max_items = 300", "['x@y'] = 'outcast'")+
		node("c", "access_model = 'authorize'", "")+"d = true; e = 5; "+node("f", "persist_items = false, access_model = 'open'", "['x@y'] = 'publisher'")+"};")
	h.write("pep_a/juliet.list", item("1", "one")+item("2", "two"))
	h.write("pep_b/juliet.list", item("1", "b"))
	h.write("pep_f/juliet.list", item("1", "f"))
	h.wants("accounts: 1 new", "pep: 5 new, 1 skipped",
		`pep/juliet.dat:2: juliet@example.com: pep: node "b": somebody was shut out of it, which is not possible here: only its owner may see it now`,
		`pep/juliet.dat:2: juliet@example.com: pep: node "b": pubsub#max_items = ["300"] is not possible here`,
		`pep/juliet.dat:3: juliet@example.com: pep: node "c": pubsub#access_model = ["authorize"] is not possible here`,
		`pep/juliet.dat:4: juliet@example.com: pep: node "e" is a int64`,
		`pep/juliet.dat:4: juliet@example.com: pep: node "f": who else might do what with it is left (affiliations)`)
	want := `a={"config":{"access":"open"},"items":[{"id":"1","time":"2024-01-01T00:00:00Z","size":24},{"id":"2","time":"2024-01-01T00:00:00Z","size":24}]}
b={"config":{"access":"whitelist"},"items":[{"id":"1","time":"2024-01-01T00:00:00Z","size":22}]}
c={"config":{"access":"whitelist","maxItems":1}}
d={"config":{"access":"presence","maxItems":1}}
f={"config":{"access":"open","maxItems":1,"Transient":true}}`
	if got := h.values("pep"); got != want {
		t.Errorf("taken is\n%s", got)
	}
	if got := strings.Count(h.values("pep_data"), "<x xmlns='urn:x'>"); got != 3 {
		t.Errorf("%d items", got)
	}
	// Here b is changed; there a gets another item and loses one, and b, c and f go.
	h.set("pep", map[string][]byte{"b": []byte(`{"config":{"access":"open"}}`)})
	h.write("pep/juliet.dat", "return { "+node("a", "max_items = 'max', access_model = 'open'", "")+"d = true };")
	h.write("pep_a/juliet.list", item("2", "two")+item("3", "three"))
	h.wants("accounts: 1 same", "pep: 1 changed, 2 removed, 1 same, 1 kept")
	if got := h.values("pep_data"); strings.Contains(got, "one") || !strings.Contains(got, "three") || !strings.Contains(got, ">b<") {
		t.Errorf("items are\n%s", got)
	}
}

// Items of which there are more than are kept: the last ones are taken, of each ID one, and the rest is named.
func TestItemsTooMany(t *testing.T) {
	h := open(t)
	h.host.MaxItems = 2
	var list strings.Builder
	for _, id := range []string{"a", "b", "c", "c", "c"} {
		fmt.Fprintf(&list, "item({ name = 'x', attr = { xmlns = 'urn:x' }, key = %q, when = 1704067200 });\n", id)
	}
	h.write("pep/juliet.dat", "return { n = { config = { max_items = 'max' } }, one = { config = { max_items = 1 } } };")
	h.write("pep_n/juliet.list", list.String())
	h.write("pep_one/juliet.list", "item({ name = 'x', attr = { xmlns = 'urn:x' }, key = 'k', when = 1 });\n")
	h.wants("accounts: 1 new", "pep: 2 new", `pep/juliet.dat:1: juliet@example.com: pep: node "n": only the last 2 of 3 items are kept`)
	if got, want := strings.Split(h.values("pep"), "\n")[0], `n={"config":{"access":"presence"},"items":[{"id":"b","time":"2024-01-01T00:00:00Z","size":18},{"id":"c","time":"2024-01-01T00:00:00Z","size":18}]}`; got != want {
		t.Errorf("taken is\n%s", got)
	}
}

// The other stores: what of each is taken.
func TestStores(t *testing.T) {
	for _, tt := range []struct{ name, store, file, want, counts string }{
		{"a vCard", "vcard", `return { name = "vCard", attr = { xmlns = "vcard-temp" }, { name = "FN", attr = {}, "J" } }`, "=<vCard xmlns='vcard-temp'><FN>J</FN></vCard>", "vcard: 1 new"},
		{"no vCard", "vcard", `return { name = "x", attr = {} }`, "", "vcard: 1 skipped\nvcard/juliet.dat: juliet@example.com: vcard: <x xmlns=\"jabber:client\"> is no vCard"},
		{"a broken file", "vcard", "return {\n x }", "", "vcard: 1 skipped\nvcard/juliet.dat:2: juliet@example.com: vcard: expected = after a key"},
		{"who is blocked", "blocklist", "return { [false] = { created = 86400 };\n['a@b'] = true, ['c@d'] = 172800;\n['@'] = true, ['x@y'] = false }",
			"=1970-01-02T00:00:00Z\na@b=1970-01-02T00:00:00Z\nc@d=1970-01-03T00:00:00Z", "blocklist: 2 new, 1 skipped\nblocklist/juliet.dat:3: juliet@example.com: blocklist: \"@\" is nobody's address"},
		{"nobody is blocked", "blocklist", "return { [false] = { created = 5 } }", "", ""},
		{"what is archived", "archive_prefs", "return { [false] = 'roster', ['b@x'] = true, ['a@x'] = true, ['c@x'] = false }", `={"default":"roster","always":["a@x","b@x"],"never":["c@x"]}`, "archive_prefs: 1 new"},
		{"what is archived is not clear", "archive_prefs", "return { [false] = 'perhaps' }", "", "archive_prefs: 1 skipped\narchive_prefs/juliet.dat: juliet@example.com: archive_prefs: who is not named is archived neither always nor never, nor if in the roster"},
		{"contacts", "roster", "return { ['nurse@example.com'] = { subscription = 'both', name = 'N', groups = { G = true } },\n['@'] = { subscription = 'both' } }",
			`={"own":true}` + "\n" + `nurse@example.com={"item":{"name":"N","groups":["G"],"subscription":"both"}}`, "roster: 1 new, 1 skipped\nroster/juliet.dat:2: juliet@example.com: roster: \"@\": "},
		{"private data that are none", "private", "return { x = 1,\ny = { name = 'y', attr = {} },\nz = { name = '1' } }", "y:jabber:client=<y xmlns='jabber:client'/>", "private: 1 new, 2 skipped\nprivate/juliet.dat:1: juliet@example.com: private: \"x\" is no element\nprivate/juliet.dat:3: juliet@example.com: private: \"z\": not XML: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t)
			h.write(tt.store+"/juliet.dat", tt.file)
			want := strings.TrimSuffix("accounts: 1 new\n"+tt.counts, "\n")
			if got := h.run(); !strings.HasPrefix(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if got := h.values(tt.store); got != tt.want {
				t.Errorf("taken is\n%s", got)
			}
		})
	}
}

// What Prosody would move from privacy lists, and a vCard that is published, for everybody or not.
func TestElsewhere(t *testing.T) {
	h := open(t)
	h.write("privacy/juliet.dat", `return { default = "l", lists = { l = { items = { { type = "jid", action = "deny", value = "tybalt@example.com" }, { type = "group", action = "deny", value = "x" } } } } }`)
	h.write("pep/juliet.dat", `return { ["urn:xmpp:vcard4"] = { config = { access_model = "open" } } }`)
	h.write("pep_urn%3axmpp%3avcard4/juliet.list", `item({ name = "vcard", attr = { xmlns = "urn:ietf:params:xml:ns:vcard-4.0" }, key = "current", when = 1, { name = "fn", attr = {}, { name = "text", attr = {}, "J & co" } }, { name = "tel", attr = {}, { name = "uri", attr = {}, "tel:+39" }, { name = "parameters", attr = {}, { name = "type", attr = {}, { name = "text", attr = {}, "work" } } } } });`)
	h.wants("accounts: 1 new", "vcard: 1 new", "blocklist: 1 new", "pep: 1 new", "left privacy: "+others["privacy"])
	if got := h.values("vcard"); got != "=<vCard xmlns='vcard-temp'><FN>J &amp; co</FN><TEL><NUMBER>+39</NUMBER><WORK/></TEL></vCard>" {
		t.Error(got)
	}
	if got := h.values("blocklist"); !strings.HasSuffix(got, "\ntybalt@example.com=1970-01-01T00:00:00Z") {
		t.Error(got)
	}
	h = open(t)
	h.write("pep/juliet.dat", `return { ["urn:xmpp:vcard4"] = { config = { access_model = "presence" } } }`)
	h.wants("accounts: 1 new", "pep: 1 new", "pep/juliet.dat:1: juliet@example.com: vcard: the vCard is not for everybody: it is only taken as node urn:xmpp:vcard4")
	if got := h.values("vcard"); got != "" {
		t.Error(got)
	}
}

// Who is not taken at all, and what is not.
func TestLeft(t *testing.T) {
	h := open(t)
	h.write("private/ghost.dat", "return { "+element("a", "1")+"}")
	h.write("private/Up.dat", "return { "+element("a", "1")+"}")
	h.write("accounts/broken.dat", "return { password = 1 }")
	h.write("private/broken.dat", "return { "+element("a", "1")+"}")
	h.write("muc_log/room.list", "\n")
	h.host.Left["private"] = "not asked for"
	h.wants("accounts: 1 new, 2 skipped",
		"Up: no user can have such a name",
		"accounts/broken.dat: broken@example.com: accounts: password is a int64, not a string",
		"ghost@example.com: accounts: there is no such account: what else is stored of the user is left",
		"left muc_log: rooms and nodes of the server are not taken", "left private: not asked for")
	if users, err := h.db.Users(t.Context(), "example.com"); err != nil || len(users) != 1 {
		t.Errorf("%v, %v", users, err)
	}
	h = open(t)
	h.write("archive/juliet.list", "\n")
	h.host.From["archive"] = prosody.Files(t.TempDir())
	h.wants("accounts: 1 new", "left archive: Prosody does not look for it here: the option storage names another place")
}

// Where somebody else knows the passwords, what is stored is taken, and messages can wait for who has been there.
func TestForeign(t *testing.T) {
	h := open(t)
	h.write("accounts/juliet.dat", "")
	h.host.Foreign = true
	h.host.Left["accounts"] = "for somebody else to say"
	h.write("private/juliet.dat", "return { "+element("a", "1")+"}")
	h.wants("private: 1 new")
	if got := h.values("rosterd_seen"); got != "=1" {
		t.Error(got)
	}
}

// A dry run says the same, and changes nothing.
func TestDry(t *testing.T) {
	h := open(t)
	h.write("private/juliet.dat", "return { "+element("a", "1")+"}")
	h.write("archive/juliet.list", said("k", 1, "x"))
	h.host.Dry = true
	for range 2 {
		h.wants("accounts: 1 new", "private: 1 new", "archive: 1 new")
	}
	if got := h.password(); !strings.Contains(got, "no such user") || h.values("private")+h.values("rosterd_import") != "" || len(h.log("archive")) != 0 {
		t.Errorf("%s, %s, %v", got, h.values("private"), h.log("archive"))
	}
	h.host.Dry = false
	h.wants("accounts: 1 new", "private: 1 new", "archive: 1 new")
}

// cut is a source that ends in the middle of somebody's archive.
type cut struct{ prosody.Source }

func (c cut) Items(ctx context.Context, host, user, name string) iter.Seq2[prosody.Item, error] {
	return func(yield func(prosody.Item, error) bool) {
		for item, err := range c.Source.Items(ctx, host, user, name) {
			if item.Key == "k3" {
				yield(prosody.Item{}, errors.New("the disk is gone"))
				return
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// An import that fails on the way leaves the user as before.
func TestNeverHalf(t *testing.T) {
	h := open(t)
	h.write("private/juliet.dat", "return { "+element("a", "1")+"}")
	h.write("archive/juliet.list", said("k1", 1, "x")+said("k2", 2, "x")+said("k3", 3, "x"))
	whole := h.host.From["archive"]
	h.host.From["archive"] = cut{whole}
	if err := h.host.Run(t.Context(), &Report{}); err == nil || err.Error() != "the disk is gone" {
		t.Fatal(err)
	}
	if got := h.password(); !strings.Contains(got, "no such user") || h.values("private")+h.values("rosterd_import") != "" || len(h.log("archive")) != 0 {
		t.Errorf("%s, %s, %v", got, h.values("private"), h.log("archive"))
	}
	h.host.From["archive"] = whole
	h.wants("accounts: 1 new", "private: 1 new", "archive: 3 new")
}

// TestPrintNothing: that nothing is there is said in words.
func TestPrintNothing(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := (&Report{Dry: true}).Print(&b); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "nothing was found that could be taken\nnothing was written (--dry-run)\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
