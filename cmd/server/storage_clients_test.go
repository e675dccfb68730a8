//go:build clients

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"rosterd/store/storetest"
)

// TestPostgres: accounts and rosters in PostgreSQL, with the program, its commands, and a kill.
func TestPostgres(t *testing.T) {
	server := storetest.StartPostgres(t)
	at := server.Database(t)
	p := newPlace(t, storing(map[string]string{"example.com": fmt.Sprintf(`storage = "sql" sql = { driver = "PostgreSQL", database = %q, username = %q, password = "hidden", host = %q }`, at.Database, at.Username, at.Host)}))
	p.head = `pidfile = "rosterd.pid"`
	proc := p.spawn(t)
	for _, user := range []string{"juliet", "romeo"} {
		p.wantCommand(t, password+"\n", user+"@example.com added (postgresql)\n", "user", "add", user+"@example.com")
	}
	login := func(user string) *client {
		t.Helper()
		c := (&program{place: p}).connect(t, "example.com")
		c.must(c.Login(c.ctx, user, password, ""))
		return c
	}
	juliet := login("juliet")
	juliet.wantRoster()
	equal(t, "answer", juliet.set("<item jid='nurse@example.com'/>"), "result")
	proc.signal(t, syscall.SIGKILL)
	_ = proc.Wait()

	proc = p.spawn(t)
	login("juliet").wantRoster("nurse@example.com||none|")
	status, out, stderr := p.command(t, "", "backup", p.dir+"/copy.sqlite")
	if status != exitOK || !strings.Contains(out, "database "+at.Database+" of PostgreSQL at "+at.Host+" is not in it: use pg_dump too") {
		t.Errorf("backup: exit %d, %s%s", status, out, stderr)
	}
	p.wantCommand(t, "", "juliet@example.com deleted (postgresql)\n", "user", "delete", "juliet@example.com")
	p.wantCommand(t, "", "romeo@example.com  postgresql  password  \n", "user", "list")
	p.wantCommand(t, password+"\n", "juliet@example.com added (postgresql)\n", "user", "add", "juliet@example.com")
	proc.signal(t, syscall.SIGTERM)
	if err := proc.Wait(); err != nil {
		t.Errorf("%v\n%s", err, proc.log)
	}
	if strings.Contains(proc.log.String(), "hidden") {
		t.Errorf("the password is in the log:\n%s", proc.log)
	}
	p.spawn(t)
	login("juliet").wantRoster() // not that of the one who had the name before
}
