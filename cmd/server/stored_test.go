package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosterd/engine/enginetest"
	"rosterd/engine/groups"
)

// edited is a configuration whose users edit their rosters; more lines go to the host.
func edited(more ...string) string {
	return `authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
disable_sasl_mechanisms = { "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512" }
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping" }
VirtualHost "example.com"
  ` + strings.Join(more, "\n  ") + "\n"
}

// set is a roster set, and its answer.
func (c *client) set(item string) string {
	c.t.Helper()
	answer, err := c.IQ(c.ctx, "set", "", "<query xmlns='jabber:iq:roster'>"+item+"</query>")
	c.must(err)
	if answer.Attr("type") == "result" {
		return "result"
	}
	return refusal(answer)
}

// TestStoredRosters: what users make of their rosters is there for the others, for the operator, and after a restart.
func TestStoredRosters(t *testing.T) {
	t.Parallel()
	p := newPlace(t, edited())
	s := p.serve(t)
	juliet, romeo := s.login(t, "juliet@example.com/balcony"), s.login(t, "romeo@example.com/orchard")
	juliet.wantRoster()
	romeo.wantRoster()
	juliet.appear()
	romeo.appear()

	equal(t, "answer", romeo.set("<item jid='juliet@example.com' name='Juliet'><group>Loves</group></item>"), "result")
	romeo.wantPushes("juliet@example.com|Juliet|none|Loves")
	romeo.send("<presence to='juliet@example.com' type='subscribe'/>")
	romeo.wantPushes("juliet@example.com|Juliet|none|Loves|ask=subscribe")
	juliet.wantPresence("romeo@example.com", "subscribe")
	juliet.send("<presence to='romeo@example.com' type='subscribed'/>")
	juliet.wantPushes("romeo@example.com||from|")
	romeo.wantPresence("juliet@example.com", "subscribed")
	romeo.wantPushes("juliet@example.com|Juliet|to|Loves")
	romeo.wantPresence("juliet@example.com/balcony", "")
	equal(t, "answer", romeo.set("<item jid='nurse@example.com' subscription='remove'/>"), "cancel/item-not-found")
	juliet.leave()

	want := func(text string, args ...string) {
		t.Helper()
		status, out, stderr := p.command(t, "", append([]string{"roster"}, args...)...)
		if out := passing.ReplaceAllString(out+stderr, "…"); status != exitOK || out != strings.TrimPrefix(text, "\n") {
			t.Errorf("rosterd roster %s: status %d\n%s\nwant%s", strings.Join(args, " "), status, out, text)
		}
	}
	want(`
romeo@example.com
  roster        fresh: what the backend said last; 1 resource online
  from          roster, edited by its users
  fetched       …
  version       …
  kept          yes: it outlives the session

CONTACT             SUBSCRIPTION  NAME    GROUPS
juliet@example.com  to            Juliet  Loves
`, "get", "romeo@example.com")
	want(`
juliet@example.com
  roster        the last good one, as it was kept: the user is offline
  from          the kept copy; what is asked is roster, edited by its users
  fetched       …
  version       …
  kept          yes: it outlives the session

CONTACT            SUBSCRIPTION  NAME  GROUPS
romeo@example.com  from          -     -
`, "get", "juliet@example.com")
	_, out, _ := p.command(t, "", "roster", "explain", "romeo@example.com", "juliet@example.com")
	for _, text := range []string{`juliet@example.com: subscription to, name "Juliet", groups Loves`, "romeo@example.com: subscription from", "does not flow\n  - juliet@example.com is offline"} {
		if !strings.Contains(out, text) {
			t.Errorf("rosterd roster explain: no %q in\n%s", text, out)
		}
	}
	romeo.leave()

	equal(t, "exit status", s.exit(t), exitOK)
	s = p.serve(t)
	s.login(t, "romeo@example.com").wantRoster("juliet@example.com|Juliet|to|Loves")
	s.login(t, "juliet@example.com").wantRoster("romeo@example.com||from|")
}

// TestProsodysRosters: who comes from Prosody finds his contacts, and who has asked for him.
func TestProsodysRosters(t *testing.T) {
	t.Parallel()
	p := newPlace(t, edited())
	file := filepath.Join(p.data(), "example%2ecom", "roster", "juliet.dat")
	write := func(text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`return { [false] = { ["pending"] = { ["paris@example.com"] = true; }; }; ["romeo@example.com"] = { ["subscription"] = "both"; ["name"] = "Romeo"; ["groups"] = { ["Loves"] = true; }; }; };`)
	s := p.serve(t)
	juliet := s.login(t, "juliet@example.com/balcony")
	juliet.wantRoster("romeo@example.com|Romeo|both|Loves")
	juliet.appear()
	juliet.wantPresence("paris@example.com", "subscribe")
	juliet.send("<presence to='paris@example.com' type='unsubscribed'/>")
	equal(t, "answer", juliet.set("<item jid='nurse@example.com'/>"), "result")
	juliet.wantPushes("nurse@example.com||none|")
	juliet.leave()

	write("return {\n\toops")
	s.login(t, "juliet@example.com").wantRoster("nurse@example.com||none|", "romeo@example.com|Romeo|both|Loves") // it is hers now
	if err := os.Rename(file, filepath.Join(filepath.Dir(file), "tybalt.dat")); err != nil {
		t.Fatal(err)
	}
	s.login(t, "tybalt@example.com").wantNoRoster("wait/internal-server-error")
	if lines := s.log.find("tybalt.dat", "line 2"); len(lines) == 0 {
		t.Errorf("the file is not named:\n%s", s.log)
	}
}

func init() { groupsLook = 20 * time.Millisecond } // tests wait for it

// TestGroups: who is in a group of groups_file has the others as contacts, also those who come and go while he is online.
func TestGroups(t *testing.T) {
	t.Parallel()
	p := newPlace(t, edited(`modules_enabled = { "groups" }`, `groups_file = "groups.txt"`))
	p.file(t, "groups.txt", "[Verona]\nromeo@example.com=Romeo\njuliet@example.com=Juliet\n")
	s := p.serve(t)
	juliet, romeo := s.login(t, "juliet@example.com/balcony"), s.login(t, "romeo@example.com/orchard")
	juliet.wantRoster("romeo@example.com|Romeo|both|Verona")
	romeo.wantRoster("juliet@example.com|Juliet|both|Verona")
	juliet.appear()
	romeo.appear()
	juliet.wantPresence("romeo@example.com/orchard", "")
	equal(t, "answer", romeo.set("<item jid='juliet@example.com' name='J'><group>Mine</group></item>"), "result")
	romeo.wantPushes("juliet@example.com|Juliet|both|Mine,Verona")
	equal(t, "answer", juliet.set("<item jid='romeo@example.com' subscription='remove'/>"), "cancel/not-allowed")

	p.file(t, "groups.txt", "[Verona]\nromeo@example.com=Romeo\n[House]\njuliet@example.com\nnurse@example.com\n")
	romeo.wantPushes("juliet@example.com|J|none|Mine")
	romeo.wantPresence("juliet@example.com/balcony", "unavailable")
	juliet.wantPushes("nurse@example.com||both|House", "romeo@example.com||remove|")

	p.file(t, "groups.txt", "[House]\nnurse@example.com\nnobody@\n")
	juliet.wantPushes("nurse@example.com||remove|")
	if _, err := s.log.wait(juliet.ctx, func(line string) bool { return strings.Contains(line, "left out") && strings.Contains(line, "line=3") }); err != nil {
		t.Error(err)
	}
	equal(t, "exit status", s.exit(t), exitOK)

	if err := os.Remove(filepath.Join(p.dir, "groups.txt")); err != nil {
		t.Fatal(err)
	}
	if status, out, _ := p.command(t, "", "check"); status == exitOK || !strings.Contains(out, "REFUSED") || !strings.Contains(out, "groups_file: ") {
		t.Errorf("check without the file: status %d\n%s", status, out)
	}
}

// A groups_file that cannot be read any more is said once, and what was served is served on.
func TestGroupsFileGone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "groups.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[G]\na@example.com\n")
	var said strings.Builder
	f := &groups.Feed{Source: &groupsFile{path: path}, Name: path, Log: slog.New(slog.NewTextHandler(&said, nil))}
	renew := func(ok bool) *groups.Set {
		t.Helper()
		if err := f.Renew(t.Context()); (err == nil) != ok {
			t.Errorf("renewed: %v", err)
		}
		return f.Live.Load()
	}
	served := renew(true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if renew(false) != served {
			t.Error("the groups are gone with the file")
		}
	}
	if n := strings.Count(said.String(), "level=ERROR"); n != 1 {
		t.Errorf("said %d times:\n%s", n, said.String())
	}
	write("[G]\na@example.com\nb@example.com\n")
	now := renew(true)
	if now == served || now.Members() != 2 {
		t.Error("the file is back, and was not read")
	}
	if renew(true) != now {
		t.Error("read although nothing has changed")
	}
	if err := os.Truncate(path, groups.MaxFile+1); err != nil {
		t.Fatal(err)
	}
	if renew(false) != now || !strings.Contains(said.String(), "more than") {
		t.Errorf("a file too large was read:\n%s", said.String())
	}
}

// TestGroupsAlone: rosters that are groups, and nobody edits.
func TestGroupsAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t, strings.Replace(edited(`modules_enabled = { "groups" }`, `groups_file = "groups.txt"`), `"roster", `, "", 1))
	p.file(t, "groups.txt", "[+Help]\nhelp@example.com=Help Desk\n")
	s := p.serve(t)
	romeo := s.login(t, "romeo@example.com")
	romeo.wantRoster("help@example.com|Help Desk|both|Help")
	equal(t, "answer", romeo.set("<item jid='juliet@example.com'/>"), "cancel/service-unavailable")
	p.file(t, "groups.txt", "[+Help]\nhelp@example.com=Help\n")
	romeo.wantPushes("help@example.com|Help|both|Help")
}

// TestRefreshBesideStored: what applications post to the machine's own address is for the host whose rosters are
// theirs; the one beside it, whose users edit their rosters, takes no refreshes. A reload can turn one into the other.
func TestRefreshBesideStored(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"john": `{"jane@work.example": {}}`})
	p := newPlace(t, edited()+openHost("work.example", backend.Template()))
	s := p.serve(t)
	john, juliet := s.login(t, "john@work.example/desk"), s.login(t, "juliet@example.com/balcony")
	john.wantRoster("jane@work.example||both|")
	juliet.wantRoster()
	backend.Set("john", `{"jane@work.example": {"name": "Jane"}}`)
	equal(t, "refresh", s.refresh(t, "john").outcomes(), []string{"john updated"})
	john.wantPushes("jane@work.example|Jane|both|")
	if resp, _ := s.request(t, "GET", "/roster_admin/refresh/juliet", "", "Host", "example.com"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a refresh of who edits his roster: %s", resp.Status)
	}

	p.text = edited(`modules_disabled = { "roster" }`, `modules_enabled = { "http_roster_admin" }`, fmt.Sprintf("http_roster_url = %q", backend.Template())) + openHost("work.example", backend.Template())
	backend.Set("juliet", `{"romeo@example.com": {"name": "Romeo"}}`)
	p.write(t)
	s.reload(t)
	juliet.wantPushes("romeo@example.com|Romeo|both|")
	equal(t, "answer", juliet.set("<item jid='nurse@example.com'/>"), "cancel/service-unavailable")
	p.text = edited() + openHost("work.example", backend.Template())
	p.write(t)
	s.reload(t)
	juliet.wantPushes("romeo@example.com||remove|")
	equal(t, "answer", juliet.set("<item jid='nurse@example.com'/>"), "result")
	juliet.wantPushes("nurse@example.com||none|")
}

// TestDeletedUser: who is deleted is nobody's contact any more, and neither is whoever is given the name.
func TestDeletedUser(t *testing.T) {
	t.Parallel()
	p := newPlace(t, edited())
	s := p.serve(t)
	juliet, romeo := s.login(t, "juliet@example.com/balcony"), s.login(t, "romeo@example.com/orchard")
	juliet.wantRoster()
	romeo.wantRoster()
	juliet.appear()
	romeo.send("<presence to='juliet@example.com' type='subscribe'/>")
	juliet.wantPresence("romeo@example.com", "subscribe")
	juliet.send("<presence to='romeo@example.com' type='subscribed'/>")
	juliet.wantPushes("romeo@example.com||from|")
	romeo.wantPresence("juliet@example.com", "subscribed")
	romeo.leave()
	p.wantCommand(t, "", "romeo@example.com deleted (prosody)\n", "user", "delete", "romeo@example.com")
	juliet.wantPushes("romeo@example.com||none|")
	s.login(t, "romeo@example.com").wantRoster()
}

// TestAccountDeletedByItsUser: the same, where the user does it himself (XEP-0077 §3.2).
func TestAccountDeletedByItsUser(t *testing.T) {
	t.Parallel()
	p := newPlace(t, edited(`modules_enabled = { "register" }`, "allow_registration = true"))
	s := p.serve(t)
	juliet, romeo := s.login(t, "juliet@example.com/balcony"), s.login(t, "romeo@example.com/orchard")
	juliet.wantRoster()
	juliet.appear()
	juliet.send("<presence to='romeo@example.com' type='subscribed'/>") // in advance
	juliet.wantPushes("romeo@example.com||none|")
	romeo.wantRoster()
	romeo.send("<presence to='juliet@example.com' type='subscribe'/>")
	romeo.wantPresence("juliet@example.com", "subscribed")
	juliet.wantPushes("romeo@example.com||from|")
	answer, err := romeo.IQ(romeo.ctx, "set", "", "<query xmlns='jabber:iq:register'><remove/></query>")
	romeo.must(err)
	equal(t, "answer", answer.Attr("type"), "result")
	juliet.wantPushes("romeo@example.com||none|")
}

// TestRegistrationsCountOnAfterReload: who has registered as often as is allowed is not let in again by a reload.
func TestRegistrationsCountOnAfterReload(t *testing.T) {
	t.Parallel()
	s := newPlace(t, edited(`modules_enabled = { "register_ibr" }`, "allow_registration = true", "min_seconds_between_registrations = 3600", "registration_allowlist = {}")).serve(t)
	register := func(name string) string {
		c := s.connect(t, "example.com")
		c.must(c.Open(c.ctx))
		answer, err := c.IQ(c.ctx, "set", "", "<query xmlns='jabber:iq:register'><username>"+name+"</username><password>p</password></query>")
		c.must(err)
		c.must(c.Close(c.ctx))
		return answer.Attr("type")
	}
	equal(t, "the first", register("alice"), "result")
	equal(t, "the second", register("bob"), "error")
	s.wantReloaded(t, s.text)
	equal(t, "after a reload", register("carol"), "error")
	s.wantReloaded(t, s.text+"\n  registration_throttle_cache_size = 5\n")
	equal(t, "after another", register("dave"), "error")
}
