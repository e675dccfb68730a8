-- The configuration of rosterd, in the language of Prosody's. Say what you think of it with
--
--   rosterd check --config /etc/rosterd/prosody.cfg.lua
--
-- and have it read anew with systemctl reload rosterd. As it is, it listens on this machine alone.
-- All options: /usr/share/doc/rosterd/OPERATING.md

data_path = "/var/lib/rosterd"
certificates = "certs" -- /etc/rosterd/certs, as files HOST.crt and HOST.key that the group rosterd can read

-- Take these two lines away, and everybody can connect.
interfaces = { "127.0.0.1" }
https_ports = {}

modules_enabled = { "saslauth"; "tls"; "disco"; "ping"; "limits" }
authentication = "internal_hashed"
password_hash = "SHA-256"
storage = { accounts = "rosterd" } -- the embedded database; add users with rosterd user add USER@HOST

VirtualHost "localhost" -- your domain
	modules_enabled = { "http_roster_admin"; "block_subscriptions" }
	modules_disabled = { "roster" } -- the rosters come from the backend
	http_roster_url = "http://localhost/contacts/%s" -- of your backend; %s is the username
	-- rosterd_backend_headers = { Authorization = "Bearer ..." }
	-- rosterd_refresh_token = "..." -- which your backend sends with POST /roster_admin/refresh, port 5280

	-- Without a certificate nobody could log in. Take this line away once there is one.
	c2s_require_encryption = false
