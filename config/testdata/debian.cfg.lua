-- The shape of what a distribution ships, with the usual additions of an administrator.

admins = { "admin@example.com" }
plugin_paths = { "modules" }

modules_enabled = {
	-- generally required
	"disco"; "roster"; "saslauth"; "tls";

	-- recommended
	"blocklist"; "bookmarks"; "carbons"; "dialback"; "limits"; "pep"; "private"; "smacks"; "vcard4"; "vcard_legacy";

	-- nice to have
	"csi_simple"; "invites"; "ping"; "register"; "time"; "uptime"; "version";
	"mam";

	-- administration
	"admin_adhoc"; "admin_shell";

	-- other
	"bosh"; "posix"; "server_contact_info";
}

modules_disabled = {
	-- "offline";
}

allow_registration = false
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = false
--s2s_insecure_domains = { "insecure.example" }

limits = {
	c2s = {
		rate = "10kb/s";
	};
	s2sin = {
		rate = "30kb/s";
	};
}

pidfile = "/run/prosody/prosody.pid"
authentication = "internal_hashed"
storage = "internal"
archive_expires_after = "1w"
daemonize = false
use_libevent = true
statistics = "internal"

log = {
	info = "/var/log/prosody/prosody.log";
	error = "/var/log/prosody/prosody.err";
	{ levels = { "error" }; to = "syslog"; };
}

certificates = "certs"
https_certificate = "certs/localhost.crt"
contact_info = {
	abuse = { "mailto:abuse@example.com" };
}
http_file_share_expire_after = 60 * 60 * 24

Include "conf.d/*.cfg.lua"

VirtualHost "localhost"
	enabled = false
