VirtualHost "example.com"
	modules_enabled = {
		"http_roster_admin",
		"block_subscriptions",
	}
	modules_disabled = { "roster" }
	http_roster_url = "https://app.example.com/contacts/%s"
	rosterd_backend_headers = { Authorization = "Bearer 0123456789" }
	rosterd_refresh_token = "0123456789"
	s2s_secure_auth = true
	http_ports = { 5299 }

Component "conference.example.com" "muc"
	name = "Rooms"
	restrict_room_creation = true
	modules_enabled = { "muc_mam" }

Component "gateway.example.com"
	component_secret = "secret"
