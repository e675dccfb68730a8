package config

import (
	"strings"
	"testing"
)

func TestListeners(t *testing.T) {
	for _, c := range []struct{ name, src, service, want string }{
		{"clients by default", "", "c2s", "tcp4 0.0.0.0:5222? tcp6 [::]:5222?"},
		{"HTTP by default is private", "", "http", "tcp4 127.0.0.1:5280? tcp6 [::1]:5280?"},
		{"HTTPS by default", "", "https", "tcp4 0.0.0.0:5281? tcp6 [::]:5281?"},
		{"no IPv6", "use_ipv6 = false", "c2s", "tcp4 0.0.0.0:5222?"},
		{"no IPv4", "use_ipv4 = false", "http", "tcp6 [::1]:5280?"},
		{"interfaces", "interfaces = { '192.0.2.1' }", "c2s", "tcp4 192.0.2.1:5222"},
		{"interfaces do not reach private services", "interfaces = { '192.0.2.1' }", "http", "tcp4 127.0.0.1:5280? tcp6 [::1]:5280?"},
		{"local_interfaces do", "local_interfaces = { '192.0.2.2' }", "http", "tcp4 192.0.2.2:5280"},
		{"interface, the old name", "interface = '192.0.2.1'", "https", "tcp4 192.0.2.1:5281"},
		{"the service's own interfaces", "interfaces = { '192.0.2.1' }\nhttp_interfaces = { '*', '::' }", "http", "tcp4 0.0.0.0:5280 tcp6 [::]:5280"},
		{"the service's old interface", "c2s_interface = '192.0.2.1'\ninterfaces = { '192.0.2.2' }", "c2s", "tcp4 192.0.2.1:5222"},
		{"interfaces wins over interface", "c2s_interface = '192.0.2.1'\nc2s_interfaces = { '192.0.2.2' }", "c2s", "tcp4 192.0.2.2:5222"},
		{"ports", "c2s_ports = { 5222, '5333', 5222 }\nuse_ipv6 = false", "c2s", "tcp4 0.0.0.0:5222? tcp4 0.0.0.0:5333?"},
		{"one port", "http_ports = 8080\nhttp_interfaces = 'localhost'", "http", "tcp localhost:8080"},
		{"no ports close the service", "https_ports = {}", "https", ""},
		{"no interfaces close the service", "http_interfaces = {}", "http", ""},
		{"the same twice", "c2s_interfaces = { '127.0.0.1', '127.0.0.1' }", "c2s", "tcp4 127.0.0.1:5222"},
		{"a service that there is not", "", "s2s", ""},
		{"components, without any", "component_ports = { 5347 }", "component", ""},
		{"components", "Component 'c.example'", "component", "tcp4 127.0.0.1:5347? tcp6 [::1]:5347?"},
		{"components that come from elsewhere", "component_port = 5348\ncomponent_interface = '192.0.2.1'\nComponent 'c.example'", "component", "tcp4 192.0.2.1:5348"},
		{"interfaces do not reach components", "interfaces = '192.0.2.1'\nuse_ipv6 = false\nComponent 'c.example'", "component", "tcp4 127.0.0.1:5347?"},
		{"components that are not enabled", "Component 'c.example'\nenabled = false", "component", ""},
		{"components of Prosody's own", "Component 'c.example' 'muc'", "component", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, l := range mustLoad(t, c.src).Listeners(c.service) {
				s := l.Network + " " + l.String()
				if l.Implicit {
					s += "?"
				}
				got = append(got, s)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("listens on %q, want %q", s, c.want)
			}
		})
	}
}

func TestListenerPlaces(t *testing.T) {
	c := mustLoad(t, "interfaces = '127.0.0.1'\nhttp_ports = { 80 }")
	if got := c.Listeners("c2s")[0].Pos.Line; got != 1 {
		t.Errorf("c2s is named at line %d", got)
	}
	if got := c.Listeners("http")[0].Pos.Line; got != 2 {
		t.Errorf("http is named at line %d", got)
	}
}
