-- What the demo runs with. The same file would start Prosody with mod_http_roster_admin.
data_path = "{{.Dir}}/data"
certificates = "certs"
interfaces = { "127.0.0.1" }
c2s_ports = { {{.C2S}} }
http_ports = { {{.Alice}}, {{.Bob}} }   -- two, so that two people in one browser have an origin each
http_interfaces = { "127.0.0.1" }
https_ports = {}
consider_websocket_secure = true     -- it does not leave this machine

authentication = "internal_hashed"
modules_enabled = { "saslauth", "tls", "disco", "ping", "version", "time", "websocket" }

VirtualHost "localhost"
  modules_enabled = { "http_roster_admin", "block_subscriptions", "http_files" }
  modules_disabled = { "roster" }      -- the rosters come from the backend
  storage = { roster = "memory", accounts = "rosterd" }
  http_roster_url = "http://127.0.0.1:{{.Backend}}/contacts/%s"
  http_files_dir = "{{.Dir}}/www"      -- Converse.js, where npm could fetch it
