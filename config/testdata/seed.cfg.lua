authentication = "internal_hashed"
modules_enabled = { "saslauth", "tls", "disco", "ping" }
VirtualHost "example.com"
  modules_enabled = { "http_roster_admin", "block_subscriptions", "storage_memory", "http_files" }
  modules_disabled = { "roster" }      -- the rosters come from the backend
  storage = { roster = "memory" }
  http_roster_url = "http://localhost/contacts/%s"
