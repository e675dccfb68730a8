package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/daemontest"
	"rosterd/engine/addr"
	"rosterd/migrate"
	"rosterd/store"
)

const membersHere = `authentication = "internal_hashed"
modules_enabled = { "saslauth", "roster", "private", "mam" }
VirtualHost "example.com"
`

// prosodyFile writes a file of a user of example.com.
func (p *place) prosodyFile(t testing.TB, name, user, content string) {
	t.Helper()
	path := filepath.Join(p.data(), "example%2ecom", filepath.Dir(name), prosodyName(user)+filepath.Ext(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// member is a user with an account, private data and an archive.
func (p *place) member(t testing.TB, user string) {
	t.Helper()
	keys := strings.Repeat("0f", 20)
	p.prosodyFile(t, "accounts/.dat", user, `return { stored_key = "`+keys+`", server_key = "`+keys+`", salt = "s", iteration_count = 4096 };`)
	p.prosodyFile(t, "private/.dat", user, `return { x = { name = "x", attr = { xmlns = "urn:x" } } };`)
	var b strings.Builder
	for n := range messagesEach {
		fmt.Fprintf(&b, "item({ name = 'message', attr = { from = 'a@example.com', to = '%s@example.com' }, key = 'k%d', when = %d, with = 'a@example.com' });\n", user, n, 1704067200+n)
	}
	p.prosodyFile(t, "archive/.list", user, b.String())
}

const messagesEach = 5

// imported are the users who are in the database. Each has everything.
func (p *place) imported(t *testing.T) (users []string) {
	t.Helper()
	db, err := store.Open(filepath.Join(p.data(), "rosterd.sqlite"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := db.Users(t.Context(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, acc := range list {
		users = append(users, acc.User.Local())
		p.wantWhole(t, db, acc.User)
	}
	return users
}

func (p *place) wantWhole(t *testing.T, db *store.Store, user addr.Bare) {
	t.Helper()
	page, err1 := db.Stores("example.com").Log("archive").Find(t.Context(), user, store.Query{})
	values, err2 := db.Stores("example.com").Keyed("private").All(t.Context(), user)
	if err := errors.Join(err1, err2); err != nil || len(page.Entries) != messagesEach || len(values) != 1 {
		t.Errorf("%s has %d messages and %d elements, %v", user, len(page.Entries), len(values), err)
	}
}

// TestImportKilled: an import is killed in the middle of a user. Those before are there as a whole, and that one not at
// all; the next import goes on.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	p := newPlace(t, membersHere)
	p.c2s, p.http, p.https = daemontest.Port(t), daemontest.Port(t), daemontest.Port(t)
	p.write(t)
	const users, killed = 12, 5
	for n := range users {
		p.member(t, fmt.Sprintf("u%02d", n))
	}
	bad := strings.Repeat("item(0);\n", 3000) // to be told of takes more room than a pipe has
	p.prosodyFile(t, "offline/.list", fmt.Sprintf("u%02d", killed), bad)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	proc := p.child("import", "prosody")
	proc.Stdout = w
	if err := errors.Join(proc.Start(), w.Close()); err != nil {
		t.Fatal(err)
	}
	defer proc.end()
	if line, err := bufio.NewReaderSize(r, 256).ReadString('\n'); err != nil || !strings.Contains(line, "offline/u05.list:1: u05@example.com: offline: not a table") {
		t.Fatalf("%q, %v\n%s", line, err, proc.log)
	}
	proc.end()
	if got := p.imported(t); len(got) != killed {
		t.Errorf("after the kill there are %v", got)
	}

	status, out, stderr := p.command(t, "", "import", "prosody", "--json")
	var report migrate.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || status != exitFailed || len(report.Skipped) != 3000 {
		t.Fatalf("exit %d, %v, %s", status, err, stderr)
	}
	for _, row := range report.Rows {
		if row.Store == "accounts" && (row.Same != killed || row.New != users-killed) {
			t.Errorf("%+v", row)
		}
	}
	if got := p.imported(t); len(got) != users {
		t.Errorf("in the end there are %v", got)
	}
}

// TestImport: what the command says and refuses.
func TestImport(t *testing.T) {
	t.Parallel()
	p := newPlace(t, membersHere)
	p.c2s, p.http, p.https = daemontest.Port(t), daemontest.Port(t), daemontest.Port(t)
	p.write(t)
	p.member(t, "juliet")
	report := func(counts string) string {
		return strings.Join([]string{
			"         host     store  users  new  changed  removed  same  kept  skipped",
			"  example.com  accounts      1    " + counts,
			"  example.com   private      1    " + counts,
			"  example.com   archive      1    " + strings.ReplaceAll(counts, "1", "5"), "",
		}, "\n")
	}
	const fresh, same = "1        0        0     0     0        0", "0        0        0     1     0        0"
	refused := func(want string, args ...string) {
		t.Helper()
		status, out, stderr := p.command(t, "", append([]string{"import", "prosody"}, args...)...)
		if status != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit %d\n%s%s", args, status, out, stderr)
		}
	}
	for range 2 {
		p.wantCommand(t, "", report(fresh)+"nothing was written (--dry-run)\n", "import", "prosody", "--dry-run")
	}
	if _, err := os.Stat(filepath.Join(p.data(), "rosterd.sqlite")); err == nil {
		t.Error("a dry run has made a database")
	}
	socket, err := net.Listen("unix", filepath.Join(p.data(), "rosterd.sock"))
	if err != nil {
		t.Fatal(err)
	}
	refused("the server runs (it answers at " + p.data() + "/rosterd.sock): stop it first, or try with --dry-run")
	p.wantCommand(t, "", report(fresh)+"nothing was written (--dry-run)\n", "import", "prosody", "--dry-run")
	if err := socket.Close(); err != nil {
		t.Fatal(err)
	}
	mute, err := net.ListenPacket("unixgram", filepath.Join(p.data(), "rosterd.sock")) // as are those of a server with too much to do, or of another user
	if err != nil {
		t.Fatal(err)
	}
	refused("whether the server runs cannot be told: ")
	if err := errors.Join(mute.Close(), os.Remove(filepath.Join(p.data(), "rosterd.sock"))); err != nil {
		t.Fatal(err)
	}
	refused("--store mail: there are accounts, roster, vcard", "--store", "mail")
	refused(`example.org`, "--host", "example.org")
	refused("nowhere: no such file or directory", "--data", filepath.Join(p.dir, "nowhere"))
	if status, _, _ := p.command(t, "", "import", "ejabberd"); status != exitUsage {
		t.Errorf("another server: exit %d", status)
	}
	p.wantCommand(t, "", report(fresh), "import", "prosody", "--host", "example.com")
	p.wantCommand(t, "", report(same), "import", "prosody")
	if got := p.imported(t); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
