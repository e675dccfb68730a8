package directory_test

import (
	"fmt"
	"testing"

	"rosterd/directory"
)

func TestParseServers(t *testing.T) {
	for _, tt := range []struct{ list, want string }{
		{"localhost", "[ldap://localhost:389]"},
		{"a b:1389, ldaps://c", "[ldap://a:389 ldap://b:1389 ldaps://c:636]"},
		{"ldap://[::1]:3890/", "[ldap://[::1]:3890]"},
		{"LDAP://a/ ldapi://%2Frun%2Fslapd%2Fldapi", "[ldap://a:389 ldapi://%2Frun%2Fslapd%2Fldapi]"},
		{"ldap://", "[ldap://localhost:389]"},
		{"", "no server is named"},
		{"http://a", `"http://a": ldap, ldaps and ldapi are`},
		{"ldap://a/dc=x", `"ldap://a/dc=x": nothing but a server is taken here`},
		{"a:b", `"a:b": it is no name of a server with a port`},
		{"ldap://u:p@a", `"ldap://u:p@a": it is no name of a server with a port`},
		{"ldapi://", `"ldapi://": ldapi takes the path of a socket, with %2F for its slashes`},
	} {
		s, err := directory.ParseServers(tt.list)
		got := fmt.Sprint(s)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %s, want %s", tt.list, got, tt.want)
		}
	}
}

func TestTidy(t *testing.T) {
	for _, tt := range []struct{ filter, want string }{
		{"uid=romeo", "(uid=romeo)"},
		{" (&(a=b) (c=d) ) ", "(&(a=b)(c=d))"},
		{"(| (a=b)\n\t(!  (c=d e)))", "(|(a=b)(!(c=d e)))"},
		{"(cn=a & b)", "(cn=a & b)"},
		{`(cn=\28x\29 y)`, `(cn=\28x\29 y)`},
	} {
		got, err := directory.Tidy(tt.filter)
		if err != nil || got != tt.want {
			t.Errorf("%q: %q, %v", tt.filter, got, err)
		}
	}
	for _, filter := range []string{"", "(", "(a=b", "(&(a=b)", "a", "(a=b))", `(a=\zz)`} {
		if got, err := directory.Tidy(filter); err == nil {
			t.Errorf("%q is %q", filter, got)
		}
	}
}

func FuzzParseServers(f *testing.F) {
	f.Add("a b:1389, ldaps://c ldapi://%2Frun")
	f.Add("ldap://[::1]:3890/x")
	f.Fuzz(func(t *testing.T, list string) {
		servers, err := directory.ParseServers(list)
		if err != nil {
			return
		}
		for _, s := range servers {
			again, err := directory.ParseServers(s.String())
			if err != nil || len(again) != 1 || again[0] != s {
				t.Errorf("%q: %v is %v, %v", list, s, again, err)
			}
		}
	})
}

func FuzzTidy(f *testing.F) {
	f.Add("(&(a=b) (c=d) )")
	f.Add(`(cn=\28x\29 y)`)
	f.Fuzz(func(t *testing.T, filter string) {
		once, err := directory.Tidy(filter)
		if err != nil {
			return
		}
		if again, err := directory.Tidy(once); err != nil || again != once {
			t.Errorf("%q: %q, then %q, %v", filter, once, again, err)
		}
	})
}
