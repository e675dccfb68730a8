package known

import (
	"slices"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	o, ok := LookupOption("s2s_secure_auth")
	if !ok || !o.GlobalOnly || !slices.Contains(o.Owners, "tls") || o.Types[0] != "boolean" {
		t.Errorf("s2s_secure_auth = %+v, %v", o, ok)
	}
	o, _ = LookupOption("admins")
	if slices.ContainsFunc(o.Owners, func(s string) bool { return s[0] == '+' }) {
		t.Errorf("owners of admins hold a count: %q", o.Owners)
	}
	if o, _ := LookupOption("legacy_ssl_ports"); o.Replaced != "c2s_direct_tls_ports" {
		t.Errorf("legacy_ssl_ports is replaced by %q", o.Replaced)
	}
	if m, ok := LookupModule("mam"); !ok || !m.Bundled {
		t.Errorf("mam = %+v, %v", m, ok)
	}
	if m, ok := LookupModule("http_roster_admin"); !ok || m.Bundled {
		t.Errorf("http_roster_admin = %+v, %v", m, ok)
	}
	if _, ok := LookupModule("module"); ok {
		t.Error("the heading is taken for a module")
	}
}

func TestTablesAreWhole(t *testing.T) {
	if n := len(Options()); n != 945 {
		t.Errorf("%d options, want 945", n)
	}
	if n := len(Modules()); n != 543 {
		t.Errorf("%d modules, want 543", n)
	}
}

// Every name has a meaning: one line, that ends without a full stop.
func TestMeanings(t *testing.T) {
	check := func(what, name, meaning string) {
		if len(meaning) < 5 || len(meaning) > 100 || strings.HasSuffix(meaning, ".") || strings.ContainsAny(meaning, "\n|") {
			t.Errorf("the meaning of %s %s is %q", what, name, meaning)
		}
	}
	for _, name := range Options() {
		o, _ := LookupOption(name)
		check("option", name, o.Meaning)
	}
	for _, name := range Modules() {
		m, _ := LookupModule(name)
		check("module", name, m.Meaning)
	}
	if o, _ := LookupOption("bosh_max_wait"); o.Default != "120" {
		t.Errorf("the default of bosh_max_wait is %q", o.Default)
	}
}

func TestSuggest(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"http_file_share_expire_after", "http_file_share_expires_after"},
		{"user_tombstone_expire", "user_tombstone_expiry"},
		{"kdaemonize", "daemonize"},
		{"enable", "enabled"},
		{"c2s_require_encrpytion", "c2s_require_encryption"},
		{"c2s_prots", "c2s_ports"},
		{"something_of_our_own", ""},
		{"x", ""},
		{"", ""},
	} {
		if got := Suggest(c.name, Options()); got != c.want {
			t.Errorf("Suggest(%q) = %q, want %q", c.name, got, c.want)
		}
	}
	// Two edits in a short name are no hint: privacy is not private.
	if got := Suggest("privcay", []string{"private"}); got != "" {
		t.Errorf("Suggest(privcay) = %q, want none", got)
	}
}
