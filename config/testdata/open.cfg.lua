-- Lines without which a server would be more open, or without which it does not work.
authentication = "imap"
ldap_server = "ldap.example.com"
anonymous_login = false
c2s_require_encryption = "yes"
storage = "sql"
sql = { driver = "SQLite3", database = "prosody.sqlite" }
allow_registration = true
registration_invite_only = true
block_registrations_users = { "admin" }
modules_enabled = {
	"roster",
	"saslauth",
	"tls",
	"isolate_host",
	"firewall",
	"mod_smacks",
	"auth_ldap",
	"onions",
	"invites_register",
	"team_bot",
	"rooster",
}
modules_disabled = { "s2ss", "team_bot" }
firewall_scripts = { "rules.pfw" }
rosterd_refesh_token = "0123456789"
limits = { c2s = { rate = "fast" } }
legacy_ssl_ports = { 5223 }
http_interfaces = { "*" }
http_default_host = "nowhere.example"
enable = true
plugin_paths = { "modules" }
frobnicate = ENV_NOT_SET_ANYWHERE
function helper() end

VirtualHost "both.example"
	modules_enabled = { "http_roster_admin" }

VirtualHost "none.example"
	modules_enabled = { "crm" }
	modules_disabled = { "roster", "tls" }

VirtualHost "url.example"
	modules_enabled = { "http_roster_admin" }
	modules_disabled = { "roster", "saslauth" }
	authentication = "internal_plain"
	storage = { accounts = "internall", roster = "ldap", archive = "sql" }
	http_roster_url = "ftp://app.example.com/%s"

VirtualHost "missing.example"
	modules_enabled = { "http_roster_admin" }
	modules_disabled = { "roster" }
	authentication = "internal_plain"
	default_storage = "none"
