Component "gateway.example.com" { component_secret = "secret" }
VirtualHost "off.example" { enabled = false }
