package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/enginetest"
	"rosterd/store"
	"rosterd/xmppcore/xmpptest"
)

var (
	crashSeed   = flag.Uint64("crash.seed", 0, "what the crash test does and when it kills; 0 takes another one each time")
	crashRounds = flag.Int("crash.rounds", 12, "how often the crash test kills the server")
)

// The hosts of the crash test: one has its accounts in the database, the next in Prosody's folder, and users of the last
// have rosters and messages in stores.
const (
	databaseHost = "example.com"
	folderHost   = "folder.example"
	storedHost   = "stored.example"
)

// storedUsers are those of the last host.
var storedUsers = []string{"editor", "absent", "writer"}

// TestCrash: the server and all commands that run beside it are killed at random moments, while people log in, rosters
// change, accounts come and go, and backups are made. What holds afterwards, every time:
//
//   - The server starts again: same database, same pidfile, same ports, nothing repaired by hand.
//   - An account is what the last command that exited with 0 made of it: it logs in with exactly that password, or not
//     at all. A command that was killed has done all of its work or none.
//   - While the backend is down, a user is served a roster that the backend once had, whole; never one that is older
//     than what was in the file before the kill. (A roster that was served, and is not yet in the file, may be lost: it
//     gets there some 20 ms later. See store.Store.)
//   - A backup under its name is a sound one.
//   - A contact is in a roster that its user edits if that was answered.
//   - A message for somebody who is offline, which the server has acknowledged (XEP-0198), is delivered afterwards, once
//     and in its place.
//
// Other messages on their way are promised nothing.
func TestCrash(t *testing.T) {
	t.Parallel()
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("to do the same again: go test ./cmd/server -run TestCrash -crash.seed %d -crash.rounds %d", seed, *crashRounds)
	c := newCrash(t, rand.New(rand.NewPCG(seed, 0)))
	for round := range *crashRounds {
		c.backend.SetFault("", nil)
		c.start(t)
		c.loadAndKill(t)
		c.backend.SetFault("", enginetest.Status(http.StatusServiceUnavailable))
		c.start(t)
		c.peek(t)
		c.kill(t)
		c.start(t)
		c.verify(t)
		if t.Failed() {
			t.Fatalf("in round %d; the server says\n%s", round, c.proc.log)
		}
		c.kill(t)
	}
	t.Logf("%d kills, %d acknowledged changes of accounts, %d cut short, %d rosters served, %d of them seen in the file, %d backups",
		3**crashRounds, c.acknowledged.Load(), c.cut.Load(), c.served.Load(), c.seen.Load(), c.backups.Load())
}

// crash is a server that is killed again and again, and what must be true of its data.
type crash struct {
	*place
	backend *enginetest.Server
	random  *rand.Rand
	proc    *process
	file    *store.Store // the server's database, as another process sees it

	accounts []*ledger
	rosters  []*history
	contacts namedContacts // of the user who edits a roster
	letters  letters       // to the user who is offline
	backup   string

	acknowledged, cut, served, seen, backups atomic.Int64
}

// ledger is what is known of an account. The worker that changes the account owns it, and verify between rounds.
type ledger struct {
	jid     string
	is      string // password; "" is no account
	was     string // another password that must not work
	perhaps *string
	count   int
}

// namedContacts is what is known of a roster that its user edits: the name of each contact.
type namedContacts struct {
	names   map[string]string
	perhaps [2]string // contact and name of the last change, if it was not answered
	count   int
}

// letters are numbered messages: which of them were sent, acknowledged, and received.
type letters struct{ sent, done, seen int64 }

// history is what is known of the rosters of a user: versions 0, 1, 2 … of them.
type history struct {
	user   string
	latest int // the backend has it
	inFile int // another process has read it, or one after it, in the database
}

func newCrash(t *testing.T, random *rand.Rand) *crash {
	backend := enginetest.Serve(t, nil)
	p := newPlace(t, `authentication = "internal_hashed"
default_iteration_count = 4096
c2s_require_encryption = false
rosterd_auth_failures_per_address = 1000000
rosterd_auth_failures_per_account = 1000000
modules_enabled = { "saslauth", "tls", "disco", "ping" }
`+openHost(databaseHost, backend.Template(), inDatabase)+openHost(folderHost, backend.Template())+fmt.Sprintf(`VirtualHost %q
  modules_enabled = { "roster", "offline", "smacks" }
  %s
`, storedHost, inDatabase))
	p.head = `pidfile = "rosterd.pid"`
	c := &crash{place: p, backend: backend, random: random, backup: filepath.Join(p.dir, "copy.sqlite"), contacts: namedContacts{names: map[string]string{}}}
	if err := os.MkdirAll(filepath.Join(p.data(), prosodyName(folderHost), "accounts"), 0o750); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		c.accounts = append(c.accounts, &ledger{jid: fmt.Sprintf("account%d@%s", i, databaseHost)}, &ledger{jid: fmt.Sprintf("account%d@%s", i, folderHost)})
	}
	c.proc = p.spawn(t) // finds ports
	for i := range 3 {
		h := &history{user: fmt.Sprintf("reader%d", i)}
		c.rosters = append(c.rosters, h)
		c.backend.Set(h.user, h.document(0))
		c.wantCommand(t, password+"\n", h.jid()+" added (sqlite)\n", "user", "add", h.jid())
	}
	for _, user := range storedUsers {
		c.wantCommand(t, password+"\n", user+"@"+storedHost+" added (sqlite)\n", "user", "add", user+"@"+storedHost)
	}
	file, err := store.Open(filepath.Join(p.data(), "rosterd.sqlite"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	c.file = file
	c.kill(t)
	return c
}

// start starts the server where the last one was killed.
func (c *crash) start(t *testing.T) {
	t.Helper()
	c.proc = c.child()
	if err := c.proc.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.proc.end)
	c.proc.waitFor(t, "service=http ")
}

func (c *crash) kill(t *testing.T) {
	t.Helper()
	c.proc.signal(t, syscall.SIGKILL)
	if err := c.proc.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("it was to be killed, but: %v\n%s", err, c.proc.log)
	}
}

// loadAndKill kills everything when all kinds of load have achieved something, after a random number of further
// successes and a random moment.
func (c *crash) loadAndKill(t *testing.T) {
	t.Helper()
	ctx, kill := context.WithCancelCause(testContext(t))
	l := &load{crash: c, done: make(chan string)}
	jobs := []func(context.Context, *rand.Rand) error{l.messages, l.makeBackups, l.logins, l.editRoster, l.writeLetters}
	for _, h := range c.rosters {
		jobs = append(jobs, func(ctx context.Context, _ *rand.Rand) error { return l.changeRosters(ctx, h) })
	}
	for half := range 2 {
		jobs = append(jobs, func(ctx context.Context, r *rand.Rand) error {
			return l.changeAccounts(ctx, r, c.accounts[half*len(c.accounts)/2:(half+1)*len(c.accounts)/2])
		})
	}
	var wg sync.WaitGroup
	for _, job := range jobs {
		random := rand.New(rand.NewPCG(c.random.Uint64(), 0))
		wg.Go(func() {
			if err := job(ctx, random); !errors.Is(context.Cause(ctx), errKill) {
				kill(err)
			}
		})
	}
	l.await(ctx, []string{"message", "backup", "login", "roster", "roster in file", "account", "contact", "letter"}, c.random.IntN(60))
	select {
	case <-time.After(time.Duration(c.random.IntN(int(40 * time.Millisecond)))): // the moment is what this test is about
	case <-ctx.Done():
	}
	kill(errKill) // and with it the commands
	c.kill(t)
	l.drain(&wg)
	if err := context.Cause(ctx); err != errKill {
		t.Fatalf("before the kill: %v\n%s", err, c.proc.log)
	}
}

var errKill = errors.New("the moment of the kill")

// load is what goes on until a kill.
type load struct {
	*crash
	done chan string // what has just succeeded
}

// await returns when each of those has succeeded, and then so many more.
func (l *load) await(ctx context.Context, kinds []string, more int) {
	for {
		select {
		case kind := <-l.done:
			if len(kinds) == 0 {
				more--
			}
			kinds = slices.DeleteFunc(kinds, func(k string) bool { return k == kind })
		case <-ctx.Done():
			return
		}
		if len(kinds) == 0 && more <= 0 {
			return
		}
	}
}

// drain waits for those who have something to say.
func (l *load) drain(wg *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	for {
		select {
		case <-l.done:
		case <-ended:
			return
		}
	}
}

// connect logs in.
func (c *crash) connect(ctx context.Context, jid, password string) (*xmpptest.Client, error) {
	user, domain, _ := strings.Cut(jid, "@")
	x, err := xmpptest.Dial(ctx, c.address(c.c2s), domain)
	if err != nil {
		return nil, err
	}
	if err := x.Login(ctx, user, password, ""); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", jid, err), x.Disconnect())
	}
	return x, nil
}

func (l *load) logins(ctx context.Context, random *rand.Rand) error {
	for {
		x, err := l.connect(ctx, l.rosters[random.IntN(len(l.rosters))].jid(), password)
		if err != nil {
			return err
		}
		l.done <- "login"
		if random.IntN(2) == 0 {
			err = x.Close(ctx)
		} else {
			err = x.Disconnect() // without a word
		}
		if err != nil {
			return err
		}
	}
}

// messages go from one user to another, who reads them in order.
func (l *load) messages(ctx context.Context, _ *rand.Rand) error {
	from, err := l.connect(ctx, l.rosters[0].jid(), password)
	if err != nil {
		return err
	}
	defer from.Disconnect()
	to, err := l.connect(ctx, l.rosters[1].jid(), password)
	if err != nil {
		return err
	}
	defer to.Disconnect()
	for i := 0; ; i++ {
		id := fmt.Sprint("m", i)
		if err := from.Send(ctx, fmt.Sprintf("<message to='%s' type='chat' id='%s'><body>%s</body></message>", to.JID, id, strings.Repeat("x", 1000))); err != nil {
			return err
		}
		m, err := to.Expect(ctx, "a message", func(e xmpptest.Element) bool { return e.Name.Local == "message" })
		if err != nil {
			return err
		}
		if m.Attr("id") != id {
			return fmt.Errorf("message %s, want %s", m.Attr("id"), id)
		}
		l.done <- "message"
	}
}

// editRoster gives one contact after the other a name, again and again.
func (l *load) editRoster(ctx context.Context, _ *rand.Rand) error {
	x, err := l.connect(ctx, "editor@"+storedHost, password)
	if err != nil {
		return err
	}
	defer x.Disconnect()
	for c := &l.contacts; ; {
		c.count++
		jid, name := fmt.Sprintf("contact%d@%s", c.count%50, storedHost), fmt.Sprint("name ", c.count)
		c.perhaps = [2]string{jid, name}
		answer, err := x.IQ(ctx, "set", "", fmt.Sprintf("<query xmlns='jabber:iq:roster'><item jid='%s' name='%s'/></query>", jid, name))
		if err != nil {
			return err
		}
		if answer.Attr("type") != "result" {
			return fmt.Errorf("contact %s: %s", jid, answer)
		}
		c.names[jid], c.perhaps = name, [2]string{}
		l.done <- "contact"
	}
}

// writeLetters sends messages to somebody who is offline, and asks after each whether it was handled.
func (l *load) writeLetters(ctx context.Context, _ *rand.Rand) error {
	x, err := l.writer(ctx)
	if err != nil {
		return err
	}
	defer x.Disconnect()
	for h := 1; ; h++ {
		if err := l.writeLetter(ctx, x, h); err != nil {
			return err
		}
		l.done <- "letter"
	}
}

// writer is somebody who hears of what was handled.
func (c *crash) writer(ctx context.Context) (*xmpptest.Client, error) {
	return c.managed(ctx, "writer@"+storedHost)
}

// managed is a client with stream management.
func (c *crash) managed(ctx context.Context, user string) (*xmpptest.Client, error) {
	x, err := c.connect(ctx, user, password)
	if err == nil {
		err = x.Send(ctx, "<enable xmlns='urn:xmpp:sm:3'/>")
	}
	if err == nil {
		_, err = x.Expect(ctx, "enabled", func(e xmpptest.Element) bool { return e.Name.Local == "enabled" })
	}
	return x, err
}

// writeLetter waits until h stanzas are acknowledged.
func (c *crash) writeLetter(ctx context.Context, x *xmpptest.Client, h int) error {
	c.letters.sent++
	err := x.Send(ctx, fmt.Sprintf("<message to='absent@%s' type='chat' id='%d'><body>letter</body></message><r xmlns='urn:xmpp:sm:3'/>", storedHost, c.letters.sent))
	if err != nil {
		return err
	}
	a, err := x.Expect(ctx, "an acknowledgement", func(e xmpptest.Element) bool { return e.Name.Local == "a" })
	if err != nil {
		return err
	}
	if a.Attr("h") != fmt.Sprint(h) {
		return fmt.Errorf("%s acknowledged, want %d", a.Attr("h"), h)
	}
	c.letters.done = c.letters.sent
	return nil
}

// command runs rosterd beside the server until ctx ends. killed: it did not come to its end.
func (c *crash) command(ctx context.Context, stdin string, args ...string) (killed bool, err error) {
	p := c.child(args...)
	cmd := exec.CommandContext(ctx, p.Path, p.Args[1:]...)
	var output bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Env, strings.NewReader(stdin), &output, &output
	err = cmd.Run()
	if ctx.Err() != nil && err != nil {
		return true, err
	}
	if err != nil {
		err = fmt.Errorf("rosterd %v: %w: %s", args, err, &output)
	}
	return false, err
}

// makeBackups replaces a backup by newer ones.
func (l *load) makeBackups(ctx context.Context, _ *rand.Rand) error {
	for {
		if _, err := l.command(ctx, "", "backup", "--force", l.backup); err != nil {
			return err
		}
		l.backups.Add(1)
		l.done <- "backup"
	}
}

// changeAccounts adds, changes and deletes accounts that nobody else changes, and keeps their ledgers.
func (l *load) changeAccounts(ctx context.Context, random *rand.Rand, list []*ledger) error {
	for {
		a := list[random.IntN(len(list))]
		next, args := a.next(random)
		killed, err := l.command(ctx, next+"\n", append(args, a.jid)...)
		switch {
		case killed:
			l.cut.Add(1)
			a.perhaps = &next
			return err
		case err != nil:
			return err
		}
		a.become(next)
		l.acknowledged.Add(1)
		l.done <- "account"
	}
}

// next is a password for the account, or "" to delete it, and the command that does it.
func (a *ledger) next(random *rand.Rand) (password string, args []string) {
	a.count++
	password = fmt.Sprintf("password-%d", a.count)
	switch {
	case a.is == "":
		return password, []string{"user", "add"}
	case random.IntN(3) == 0:
		return "", []string{"user", "delete"}
	default:
		return password, []string{"user", "passwd"}
	}
}

func (a *ledger) become(password string) {
	if a.is != "" {
		a.was = a.is
	}
	a.is, a.perhaps = password, nil
}

func (h *history) jid() string { return h.user + "@" + databaseHost }

// document is a version of the roster, in which all contacts say which one it is. Versions differ in size.
func (h *history) document(version int) string {
	contacts := map[string]any{}
	for i := range size(version) {
		contacts[fmt.Sprintf("contact%d@%s", i, databaseHost)] = map[string]any{"name": fmt.Sprintf("version %d", version), "groups": []string{h.user}}
	}
	b, _ := json.Marshal(contacts) // cannot fail
	return string(b)
}

func size(version int) int { return 1 + version*37%200 }

var versionName = regexp.MustCompile(`version (\d+)`)

// version is that of a roster, which has to be whole.
func (h *history) version(items []xmpptest.Item) (version int, err error) {
	if len(items) == 0 {
		return 0, errors.New("the roster is empty")
	}
	if _, err := fmt.Sscanf(items[0].Name, "version %d", &version); err != nil {
		return 0, fmt.Errorf("contact %v: %w", items[0], err)
	}
	want := []string{}
	for i := range size(version) {
		want = append(want, fmt.Sprintf("contact%d@%s|version %d|both|%s", i, databaseHost, version, h.user))
	}
	slices.Sort(want)
	if got := shorts(items); !slices.Equal(got, want) {
		return 0, fmt.Errorf("not the whole of version %d with %d contacts: %d contacts: %q", version, len(want), len(got), got)
	}
	return version, nil
}

// changeRosters changes the roster of a user who is online, reads what the user is told, and looks into the file.
func (l *load) changeRosters(ctx context.Context, h *history) error {
	x, err := l.connect(ctx, h.jid(), password)
	if err != nil {
		return err
	}
	defer x.Disconnect()
	for {
		l.backend.Set(h.user, h.document(h.latest+1))
		h.latest++
		if err := l.refresh(ctx, h.user); err != nil {
			return err
		}
		items, err := x.Roster(ctx)
		if err != nil {
			return err
		}
		version, err := h.version(items)
		if err != nil {
			return err
		}
		if version != h.latest {
			return fmt.Errorf("%s: served was version %d, want %d", h.jid(), version, h.latest)
		}
		l.served.Add(1)
		l.done <- "roster"
		if found, err := l.lookIntoFile(ctx, h); err != nil {
			return err
		} else if found {
			l.seen.Add(1)
			l.done <- "roster in file"
		}
	}
}

func (c *crash) refresh(ctx context.Context, user string) error {
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+c.address(c.http)+"/roster_admin/refresh", strings.NewReader(fmt.Sprintf("[%q]", user)))
	if err != nil {
		return err
	}
	req.Host = databaseHost
	res, err := web.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && !strings.Contains(string(body), `"errors":0`) {
		err = fmt.Errorf("refresh of %s: %s %s", user, res.Status, body)
	}
	return err
}

// lookIntoFile notes which version of a roster is in the database by now: that, or a newer one, is what a crash leaves.
func (c *crash) lookIntoFile(ctx context.Context, h *history) (found bool, err error) {
	doc, ok, err := c.file.LoadRoster(ctx, addr.MustBare(h.jid()))
	if err != nil || !ok {
		return false, err
	}
	version, err := versionOf(doc)
	if err == nil && version < h.inFile {
		err = fmt.Errorf("%s: the file had version %d, and now %d", h.jid(), h.inFile, version)
	}
	h.inFile = version
	return true, err
}

func versionOf(doc []byte) (version int, err error) {
	versions := map[string]bool{}
	for _, m := range versionName.FindAllSubmatch(doc, -1) {
		versions[string(m[1])] = true
	}
	if len(versions) != 1 {
		return 0, fmt.Errorf("a roster of versions %v is kept: %s", slices.Collect(maps.Keys(versions)), doc)
	}
	for v := range versions {
		_, err = fmt.Sscan(v, &version)
	}
	return version, err
}

// verify looks at everything after a restart. The backend is down.
func (c *crash) verify(t *testing.T) {
	t.Helper()
	ctx := testContext(t)
	for _, a := range c.accounts {
		if err := c.verifyAccount(ctx, a); err != nil {
			t.Error(err)
		}
	}
	for _, h := range c.rosters {
		if err := c.verifyRoster(ctx, h); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(c.verifyContacts(ctx), c.verifyLetters(ctx)); err != nil {
		t.Error(err)
	}
	c.verifyList(t)
	if _, err := store.Backup(ctx, c.backup, c.backup+".checked", true); err != nil {
		t.Errorf("the backup: %v", err)
	}
}

// verifyAccount finds out what became of a command that was killed, and that all else is as it was acknowledged.
func (c *crash) verifyAccount(ctx context.Context, a *ledger) error {
	if a.perhaps != nil {
		done, err := c.holds(ctx, a, *a.perhaps, a.is)
		if err != nil {
			return err
		}
		if done {
			a.become(*a.perhaps)
		}
		a.perhaps = nil
	}
	if ok, err := c.holds(ctx, a, a.is, a.was); err != nil {
		return err
	} else if !ok {
		return fmt.Errorf("%s is not what the last command made of it (%q)", a.jid, a.is)
	}
	return nil
}

// holds tells whether the account is one with that password, or none for "", and lets nobody in with the other one.
func (c *crash) holds(ctx context.Context, a *ledger, is, other string) (bool, error) {
	if is != "" {
		if in, err := c.lets(ctx, a.jid, is); err != nil || !in {
			return false, err
		}
	}
	if other == "" || other == is {
		return true, nil
	}
	in, err := c.lets(ctx, a.jid, other)
	if in && is != "" {
		err = errors.Join(err, fmt.Errorf("%s has two passwords: %q and %q", a.jid, is, other))
	}
	return !in, err
}

// lets tells whether a user can log in with a password.
func (c *crash) lets(ctx context.Context, jid, password string) (bool, error) {
	x, err := c.connect(ctx, jid, password)
	var failure *xmpptest.Failure
	if errors.As(err, &failure) && failure.Condition == "not-authorized" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, x.Disconnect()
}

func (c *crash) verifyRoster(ctx context.Context, h *history) error {
	x, err := c.connect(ctx, h.jid(), password)
	if err != nil {
		return err
	}
	defer x.Disconnect()
	items, err := x.Roster(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", h.jid(), err)
	}
	version, err := h.version(items)
	if err != nil {
		return fmt.Errorf("%s: %w", h.jid(), err)
	}
	if version < h.inFile || version > h.latest {
		return fmt.Errorf("%s is served version %d; the file had %d, the backend %d", h.jid(), version, h.inFile, h.latest)
	}
	h.inFile = version
	return nil
}

// verifyContacts: each contact has the name that was answered last, or the one that was not answered any more.
func (c *crash) verifyContacts(ctx context.Context) error {
	x, err := c.connect(ctx, "editor@"+storedHost, password)
	if err != nil {
		return err
	}
	defer x.Disconnect()
	items, err := x.Roster(ctx)
	if err != nil {
		return err
	}
	got := map[string]string{}
	for _, i := range items {
		got[i.JID] = i.Name
	}
	if jid, name := c.contacts.perhaps[0], c.contacts.perhaps[1]; jid != "" && got[jid] == name {
		c.contacts.names[jid] = name
	}
	c.contacts.perhaps = [2]string{}
	if !maps.Equal(got, c.contacts.names) {
		return fmt.Errorf("the roster is %v, want %v", got, c.contacts.names)
	}
	return nil
}

// verifyLetters: all that were acknowledged come, in their order and once, and perhaps the one after them. Those of the
// last time may come again first, if the kill was faster than their removal.
func (c *crash) verifyLetters(ctx context.Context) error {
	perhaps := int64(0)
	if c.letters.sent > c.letters.done {
		perhaps = c.letters.sent
	}
	w, err := c.writer(ctx)
	if err != nil {
		return err
	}
	defer w.Disconnect()
	if err := c.writeLetter(ctx, w, 1); err != nil { // the last one, to know when all have come
		return err
	}
	x, err := c.connect(ctx, "absent@"+storedHost, password)
	if err != nil {
		return err
	}
	defer x.Disconnect()
	if err := x.Send(ctx, "<presence/>"); err != nil {
		return err
	}
	for last := c.letters.seen; c.letters.seen < c.letters.done; {
		m, err := x.Expect(ctx, "a message", func(e xmpptest.Element) bool { return e.Name.Local == "message" })
		if err != nil {
			return fmt.Errorf("letter %d was acknowledged, and does not come: %w", c.letters.seen+1, err)
		}
		n, err := strconv.ParseInt(m.Attr("id"), 10, 64)
		switch next := c.letters.seen + 1; {
		case err != nil:
			return err
		case n <= last && c.letters.seen == last:
		case n == next, n == next+1 && next == perhaps:
			c.letters.seen = n
		default:
			return fmt.Errorf("letter %d, want %d", n, next)
		}
	}
	return x.Ping(ctx)
}

// peek has a client that acknowledges be given letters, and say nothing of them: they are still there after a kill.
func (c *crash) peek(t *testing.T) {
	t.Helper()
	ctx := testContext(t)
	x, err := c.managed(ctx, "absent@"+storedHost)
	if err != nil {
		t.Fatalf("%v\n%s", err, c.proc.log)
	}
	defer x.Disconnect()
	if err := x.Send(ctx, "<presence/>"); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Expect(ctx, "a letter", func(e xmpptest.Element) bool { return e.Name.Local == "message" }); err != nil {
		t.Fatalf("%v\n%s", err, c.proc.log)
	}
	if err := x.Ping(ctx); err != nil { // all that being available leads to is done
		t.Fatalf("%v\n%s", err, c.proc.log)
	}
}

// verifyList: the command line says the same.
func (c *crash) verifyList(t *testing.T) {
	t.Helper()
	var want []string
	for _, a := range c.accounts {
		if a.is != "" {
			want = append(want, a.jid)
		}
	}
	for _, h := range c.rosters {
		want = append(want, h.jid())
	}
	for _, user := range storedUsers {
		want = append(want, user+"@"+storedHost)
	}
	status, out, stderr := c.place.command(t, "", "user", "list")
	var got []string
	for line := range strings.Lines(out) {
		got = append(got, strings.Fields(line)[0])
	}
	slices.Sort(want)
	slices.Sort(got)
	if status != exitOK || !slices.Equal(got, want) {
		t.Errorf("user list: exit %d, %q, want %q\n%s", status, got, want, stderr)
	}
}
