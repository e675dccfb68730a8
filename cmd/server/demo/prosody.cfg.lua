-- What the demo runs with. The same file would start Prosody with mod_http_roster_admin.
data_path = "{{.Dir}}/data"
certificates = "certs"
interfaces = { "127.0.0.1" }
c2s_ports = { {{.C2S}} }
http_ports = { {{.HTTP}} }
https_ports = {}

authentication = "internal_hashed"
modules_enabled = { "saslauth", "tls", "disco", "ping", "version", "time" }

VirtualHost "localhost"
  modules_enabled = { "http_roster_admin", "block_subscriptions" }
  modules_disabled = { "roster" }      -- the rosters come from the backend
  storage = { roster = "memory", accounts = "rosterd" }
  http_roster_url = "http://127.0.0.1:{{.Backend}}/contacts/%s"
