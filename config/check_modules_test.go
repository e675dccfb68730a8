package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rosterd/config/known"
)

// What a site with one-to-one chat has enabled under Prosody.
var chat = strings.Fields(`carbons smacks csi csi_simple offline mam blocklist vcard vcard4 vcard_legacy pep pep_simple private bookmarks
	lastactivity uptime server_contact_info register register_ibr register_limits user_account_management announce motd welcome
	component groups roster limits storage_sql storage_memory disco ping time version limit_auth block_subscriptions`)

func absent(d Diag) bool {
	return slices.ContainsFunc([]string{"not available", "does not have", "not known", "unknown", "will not exist"}, func(s string) bool { return strings.Contains(d.Message, s) })
}

// Of no module that a chat needs, and of none of its options, check says that it is not there.
func TestChatIsThere(t *testing.T) {
	for _, m := range chat {
		t.Run(m, func(t *testing.T) {
			c := mustLoad(t, "groups_file = 'groups'\nmodules_enabled = { '"+m+"' }\nVirtualHost 'h.example'\nComponent 'x.example'\ncomponent_secret = 's'")
			if kind := moduleInfo(m).kind; kind != Honoured && kind != Quiet {
				t.Errorf("it is %v", kind)
			}
			for _, d := range Check(c) {
				if d.Pos.Line == 2 && absent(d) || d.Host == "x.example" && absent(d) {
					t.Error(d)
				}
			}
		})
	}
	for _, name := range known.Options() {
		o, _ := known.LookupOption(name)
		i := slices.IndexFunc(o.Owners, func(m string) bool { return slices.Contains(chat, m) })
		if i < 0 || registry[name] != nil || slices.Contains([]string{"component_module", "disco_expose_admins"}, name) { // a name of Prosody's own; whom admins show themselves to
			continue
		}
		t.Run(name, func(t *testing.T) {
			for _, d := range Check(mustLoad(t, name+" = true\nVirtualHost 'h.example'\nmodules_enabled = { '"+o.Owners[i]+"' }")) {
				if d.Name == name && absent(d) {
					t.Error(d)
				}
			}
		})
	}
	for _, option := range []string{
		"default_archive_policy = true", "archive_expires_after = '1w'", "max_archive_query_results = 50", "archive_store = 'archive'", "dont_archive_namespaces = {}",
		"smacks_hibernation_time = 600", "smacks_max_hibernated_sessions = 10", "smacks_max_old_sessions = 10", "allow_registration = true", "motd_text = 'x'", "welcome_message = 'x'",
		"component_ports = { 5347 }", "component_interface = '127.0.0.1'", "component_interfaces = { '127.0.0.1' }", "min_seconds_between_registrations = 60", "registration_throttle_max = 3",
		"registration_throttle_period = 60", "registration_throttle_cache_size = 10", "registration_allowlist = {}", "registration_blocklist = {}", "limits = { c2s = { rate = '10kb/s' } }",
		"storage = { archive = 'memory' }", "storage = { archive = 'none' }", "default_storage = 'sql'", "sql = { driver = 'PostgreSQL', database = 'x' }", "sql_manage_tables = true",
		"storage_archive_item_limit = 10", "groups_file = 'x'", "contact_info = { abuse = { 'mailto:a@h.example' } }", "rosterd_roster_edit = 'personal'",
	} {
		t.Run(option, func(t *testing.T) {
			for _, d := range Check(mustLoad(t, option+"\nVirtualHost 'h.example'\nmodules_enabled = { '"+strings.Join(chat, "', '")+"' }")) {
				if d.Pos.Line == 1 && absent(d) {
					t.Error(d)
				}
			}
		})
	}
}

// Where people cannot register is named where they can elsewhere.
func TestClosedRegistration(t *testing.T) {
	const two = "allow_registration = true\nmodules_enabled = { 'register' }\nVirtualHost 'a.example'\nVirtualHost 'b.example'\n"
	for src, want := range map[string]string{
		two:                                     "",
		two + "registration_invite_only = true": "allow_registration has no effect on b.example: registration_invite_only asks for invitations, which are not available",
		"registration_invite_only = true\n" + two:                                      "allow_registration has no effect: registration_invite_only asks for invitations, which are not available",
		"registration_invite_only = true\n" + two + "registration_invite_only = false": "allow_registration has no effect on a.example: registration_invite_only asks for invitations, which are not available",
	} {
		var got []string
		for _, d := range Check(mustLoad(t, src)) {
			if d.Name == "allow_registration" {
				got = append(got, d.Message)
			}
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s\ngot  %s\nwant %s", src, s, want)
		}
	}
}

// A module that does nothing on a host, for what else is said there, is spoken of where it is enabled.
func TestLackingModules(t *testing.T) {
	const two = "\nVirtualHost 'a.example'\nVirtualHost 'b.example'\n"
	for _, x := range []struct{ name, src, want string }{
		{"nobody may register", "modules_enabled = { 'register_ibr' }" + two, `note 1 module "register_ibr": nobody can register, since allow_registration is not true`},
		{"the old module", "\nmodules_enabled = {\n'register' }" + two, `note 3 module "register": nobody can register, since allow_registration is not true`},
		{"on one host", "modules_enabled = { 'register_ibr' }" + two + "allow_registration = true", `note 1 module "register_ibr": nobody can register on a.example, since allow_registration is not true`},
		{"people register", "allow_registration = true\nmodules_enabled = { 'register_ibr', 'register' }" + two, ""},
		{"limits alone", "modules_enabled = { 'register_limits' }" + two, ""},
		{"disabled", "modules_enabled = { 'register_ibr' } modules_disabled = { 'register_ibr' }" + two, ""},
		{"accounts elsewhere", "authentication = 'x'\nmodules_enabled = { 'user_account_management' }" + two, `note 2 module "user_account_management": users cannot change their passwords or delete their accounts, since those are where authentication = "x" says`},
		{"accounts elsewhere, for different reasons", "modules_enabled = { 'user_account_management' }" + two + "authentication = 'anonymous'\nVirtualHost 'c.example'\nauthentication = 'x'",
			`note 1 module "user_account_management": users cannot change their passwords or delete their accounts on b.example, since its users are anonymous and have none|` +
				`note 1 module "user_account_management": users cannot change their passwords or delete their accounts on c.example, since those are where authentication = "x" says`},
		{"two kinds of vCards", "modules_enabled = { 'vcard', 'vcard_legacy' }" + two, `note 1 module "vcard" has no effect beside "vcard_legacy", which serves vCards, too`},
		{"one kind", "modules_enabled = { 'vcard' }" + two, ""},
		{"both on one host", "modules_enabled = { 'vcard' }" + two + "modules_enabled = { 'vcard_legacy' }", `note 1 module "vcard" has no effect on b.example beside "vcard_legacy", which serves vCards, too`},
		{"on different hosts", two + "modules_enabled = { 'vcard' }\nVirtualHost 'c.example'\nmodules_enabled = { 'vcard_legacy' }", ""},
		{"a limit of nothing", "\nstorage_archive_item_limit = 10" + two, `note 2 storage_archive_item_limit has no effect: no store is kept by "memory"`},
		{"a limit of memory", "storage = { archive = 'memory' }\nstorage_archive_item_limit = 10" + two, ""},
		{"vCards for nobody", two + "modules_enabled = { 'http_roster_admin' }\nrosterd_vcard_url = 'http://h/%s'", "note 5 rosterd_vcard_url has no effect: nobody is shown vCards"},
		{"vCards for nobody anywhere", "modules_enabled = { 'http_roster_admin' }\nrosterd_vcard_url = 'http://h/%s'" + two, "note 2 rosterd_vcard_url has no effect: nobody is shown vCards"},
		{"vCards for some", "modules_enabled = { 'http_roster_admin' }\nrosterd_vcard_url = 'http://h/%s'" + two + "modules_enabled = { 'pep' }", "note 2 rosterd_vcard_url has no effect on a.example: nobody is shown vCards"},
		{"vCards", two + "modules_enabled = { 'http_roster_admin', 'vcard4' }\nrosterd_vcard_url = 'http://h/%s'", ""},
		{"old vCards", two + "modules_enabled = { 'http_roster_admin', 'vcard' }\nrosterd_vcard_url = 'http://h/%s'", ""},
		{"old avatars", two + "modules_enabled = { 'http_roster_admin', 'vcard_legacy' }\nrosterd_vcard_url = 'http://h/%s'", ""},
		{"none", two + "modules_enabled = { 'http_roster_admin' }", ""},
		{"on one of them", "storage_archive_item_limit = 10" + two + "storage = { archive = 'memory' }", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			var got []string
			for _, d := range Check(mustLoad(t, x.src)) {
				if slices.Contains([]string{"register", "register_ibr", "user_account_management", "vcard", "storage_archive_item_limit", "rosterd_vcard_url"}, d.Name) {
					got = append(got, fmt.Sprintf("%s %d %s", d.Severity, d.Pos.Line, d.Message))
				}
			}
			if s := strings.Join(got, "|"); s != x.want {
				t.Errorf("got  %s\nwant %s", s, x.want)
			}
		})
	}
}
