//go:build clients

package directory_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"rosterd/directory"
	"rosterd/directory/slapdtest"
)

var verona = slapdtest.User("romeo", "Romeo Montague", "r0m30") + slapdtest.User("juliet", "Juliet", "{SSHA}/gAkC8XfXkNEHE5I4SOW3t7xgWQzF0bd") +
	slapdtest.User("a*b", "Star", "star") + slapdtest.User("nurse", "Angelica", "") +
	slapdtest.Group("Verona", "romeo", "juliet", "stranger") + slapdtest.Group("Secret", "romeo") +
	"dn: cn=House,ou=Groups,dc=example,dc=com\nobjectClass: groupOfNames\ncn: House\nmember: UID=juliet, ou=users, DC=example,DC=com\nmember: uid=nurse,ou=Users,dc=example,dc=com\nmember: uid=gone,ou=Users,dc=example,dc=com\n\n"

func servers(t *testing.T, list string) []directory.Server {
	t.Helper()
	s, err := directory.ParseServers(list)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func users(t *testing.T, s directory.Settings) *directory.Users {
	t.Helper()
	d := directory.New(s)
	t.Cleanup(func() { d.Close() })
	return &directory.Users{Directory: d, Base: "ou=Users,dc=example,dc=com", Scope: directory.Subtree, Filter: func(name string) string { return "(uid=" + directory.Escape(name) + ")" }}
}

// verdict is what becomes of a login.
func verdict(err error) string {
	switch {
	case err == nil:
		return "in"
	case errors.Is(err, directory.ErrRefused):
		return "refused"
	}
	return "unknown"
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestSlapdPasswords(t *testing.T) {
	s := slapdtest.Start(t, verona)
	manager := users(t, directory.Settings{Servers: servers(t, s.Address), DN: slapdtest.Manager, Password: slapdtest.Password})
	nobody := users(t, directory.Settings{Servers: servers(t, s.URL)})
	read := *manager
	read.Compare = true
	for _, tt := range []struct {
		name, user, password string
		how                  *directory.Users
		want                 string
	}{
		{"right", "romeo", "r0m30", manager, "in"},
		{"right, asked by nobody over the socket", "romeo", "r0m30", nobody, "in"},
		{"wrong", "romeo", "r0m3", manager, "refused"},
		{"wrong, after others on the same connection", "romeo", "R0m30", manager, "refused"},
		{"right again", "romeo", "r0m30", manager, "in"},
		{"nobody", "tybalt", "r0m30", manager, "refused"},
		{"no password, which some servers let in", "romeo", "", manager, "refused"},
		{"everybody", "*", "r0m30", manager, "refused"},
		{"a beginning", "rom*", "r0m30", manager, "refused"},
		{"more of a filter", "romeo)(uid=*", "r0m30", manager, "refused"},
		{"or all", "x)(|(uid=romeo)", "r0m30", manager, "refused"},
		{"NUL", "romeo\x00", "r0m30", manager, "refused"},
		{"a backslash", `\2a`, "r0m30", manager, "refused"},
		{"a name with a star", "a*b", "star", manager, "in"},
		{"who has no password", "nurse", "x", manager, "refused"},
		{"compared", "romeo", "r0m30", &read, "in"},
		{"compared, wrong", "romeo", "r0m3", &read, "refused"},
		{"compared, empty", "nurse", "", &read, "refused"},
		{"the hash is not the password", "juliet", "{SSHA}/gAkC8XfXkNEHE5I4SOW3t7xgWQzF0bd", &read, "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.how.CheckPassword(soon(t), tt.user, tt.password)
			if got := verdict(err); got != tt.want {
				t.Errorf("%s, want %s: %v", got, tt.want, err)
			}
		})
	}
	for name, want := range map[string]bool{"romeo": true, "tybalt": false, "*": false} {
		if got, err := manager.Exists(soon(t), name); got != want || err != nil {
			t.Errorf("%s exists: %v, %v", name, got, err)
		}
	}
	wrong := users(t, directory.Settings{Servers: servers(t, s.Address), DN: slapdtest.Manager, Password: "wrong"})
	if err := wrong.CheckPassword(soon(t), "romeo", "r0m30"); verdict(err) != "unknown" || !strings.Contains(err.Error(), slapdtest.Manager) {
		t.Errorf("who asks has a wrong password: %v", err)
	}
	many := *manager
	many.Filter = func(string) string { return "(objectClass=inetOrgPerson)" }
	if err := many.CheckPassword(soon(t), "romeo", "r0m30"); verdict(err) != "unknown" {
		t.Errorf("two entries for one name: %v", err)
	}
}

func TestSlapdTLS(t *testing.T) {
	s := slapdtest.Start(t, verona)
	pem, err := os.ReadFile(s.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	for _, tt := range []struct {
		name string
		conf *tls.Config
		want string
	}{
		{"a certificate of an authority that is known", &tls.Config{RootCAs: pool}, "in"},
		{"of one that is not", nil, "unknown"},
		{"of another name", &tls.Config{RootCAs: pool, ServerName: "ldap.example.com"}, "unknown"},
	} {
		u := users(t, directory.Settings{Servers: servers(t, s.Address), StartTLS: true, TLS: tt.conf})
		if err := u.CheckPassword(soon(t), "romeo", "r0m30"); verdict(err) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A server that ends, and comes back; and one beside it.
func TestSlapdEnds(t *testing.T) {
	s := slapdtest.Start(t, verona)
	u := users(t, directory.Settings{Servers: servers(t, s.Address)})
	check := func(want string) {
		t.Helper()
		if err := u.CheckPassword(soon(t), "romeo", "r0m30"); verdict(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	check("in")
	s.Stop(t)
	check("unknown")
	s.Serve(t)
	check("in")
	s.Stop(t)
	s.Serve(t) // the connections that were kept are dead, which nobody notices
	check("in")
	other := users(t, directory.Settings{Servers: servers(t, "127.0.0.1:1 "+s.Address)})
	if err := other.CheckPassword(soon(t), "romeo", "r0m30"); err != nil {
		t.Errorf("the second server: %v", err)
	}
}

func TestSlapdGroups(t *testing.T) {
	s := slapdtest.Start(t, verona)
	d := directory.New(directory.Settings{Servers: servers(t, s.Address)})
	defer d.Close()
	g := &directory.Groups{
		Directory: d, Base: "ou=Groups,dc=example,dc=com", Scope: directory.OneLevel, Name: "cn", Member: "memberUid", Show: map[string]string{"verona": "Friends"},
		Users: directory.Query{Base: "ou=Users,dc=example,dc=com", Scope: directory.OneLevel, Filter: "(objectClass=inetOrgPerson)"}, UserName: "uid", UserAlias: "cn",
	}
	list, problems, err := g.List(soon(t))
	if got, want := fmt.Sprint(list, problems, err), "[{Friends [{romeo Romeo Montague} {juliet Juliet} {stranger }]}] [] <nil>"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	g.Show, g.Member = nil, "member"
	list, problems, err = g.List(soon(t))
	if got, want := fmt.Sprint(list, problems, err), `[{House [{juliet Juliet} {nurse Angelica}]} {Secret []} {Verona []}] ["uid=gone,ou=Users,dc=example,dc=com", a member of "cn=House,ou=Groups,dc=example,dc=com", is no user] <nil>`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	g.Base = "ou=Nowhere,dc=example,dc=com"
	if list, _, err := g.List(soon(t)); err == nil {
		t.Errorf("groups of nowhere: %v", list)
	}
}

// More entries than come in one page, and more than a server gives at a time.
func TestSlapdPages(t *testing.T) {
	var people strings.Builder
	for i := range 1201 {
		fmt.Fprintf(&people, "dn: uid=u%[1]d,ou=Users,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: u%[1]d\ncn: U\nsn: U\n\n", i)
	}
	s := slapdtest.Start(t, people.String())
	d := directory.New(directory.Settings{Servers: servers(t, s.URL), DN: slapdtest.Manager, Password: slapdtest.Password})
	defer d.Close()
	q := directory.Query{Base: "ou=Users,dc=example,dc=com", Scope: directory.OneLevel, Filter: "(uid=*)", Attributes: []string{"uid"}, Most: 1201}
	if list, err := d.Search(soon(t), q); len(list) != 1201 || err != nil {
		t.Errorf("%d entries, %v", len(list), err)
	}
	q.Most = 1200
	if list, err := d.Search(soon(t), q); err == nil {
		t.Errorf("%d entries of no more than %d", len(list), q.Most)
	}
}
