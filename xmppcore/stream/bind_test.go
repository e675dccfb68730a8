package stream_test

import (
	"strings"
	"testing"

	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

const unbound = "<error type='auth'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"

func bindIQ(attrs, inside string) string {
	return "<iq " + attrs + "><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>" + inside + "</bind></iq>"
}

func TestBind(t *testing.T) {
	w := newWorld(t, nil).listen()
	tests := []struct{ name, send, resource string }{
		{"wanted", bind, "orchard"},
		{"not wanted", bindIQ("type='set' id='1'", ""), ""},
		{"empty", bindIQ("type='set' id='1'", "<resource/>"), ""},
		{"prepared", bindIQ("type='set' id='1'", "<resource>cafe&#x301; &lt;1></resource>"), "café <1>"},
		{"to the server", bindIQ("type='set' id='1' to='example.com'", ""), ""},
		{"to the account", bindIQ("type='set' id='1' to='romeo@example.com'", ""), ""},
		{"namespace written out", "<iq xmlns='jabber:client' type='set' id='1'><b:bind xmlns:b='urn:ietf:params:xml:ns:xmpp-bind'><b:resource>x</b:resource></b:bind></iq>", "x"},
		{"after a refused one", bindIQ("type='get' id='1'", "") + bindIQ("type='set' id='1'", ""), ""},
		{"after the end of an exchange", "<iq type='result' id='9'/><iq type='error' id='8'/>" + bindIQ("type='set' id='1'", ""), ""},
	}
	for _, tt := range tests {
		for _, layer := range []string{"plain", "TLS"} {
			t.Run(tt.name+"/"+layer, func(t *testing.T) {
				w.t = t
				talk := map[string]func(string) string{"plain": w.talk, "TLS": w.talkTLS}[layer]
				got := talk(header + login + header + tt.send + end)
				s := <-w.sessions
				if s.Resource != tt.resource || s.Host != w.host || s.Transport.Secure() != (layer == "TLS") {
					t.Errorf("asked for %q at %s: %s", s.Resource, s.Host.Domain, got)
				}
				if !strings.HasSuffix(got, "</jid></bind></iq>"+end) {
					t.Errorf("got %s", got)
				}
				must(t, <-s.end)
			})
		}
	}
}

func TestBadBind(t *testing.T) {
	const bad = "<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
	w := newWorld(t, nil).listen()
	tests := []struct{ name, send, want string }{
		{"get", bindIQ("type='get' id='1'", ""), "<iq type='error' id='1'>" + bad},
		{"no id", bindIQ("type='set'", ""), "<iq type='error'>" + bad},
		{"no type", bindIQ("id='1'", ""), "<iq type='error' id='1'>" + bad},
		{"two resources", bindIQ("type='set' id='1'", "<resource>a</resource><resource>b</resource>"), "<iq type='error' id='1'>" + bad},
		{"resource that cannot be", bindIQ("type='set' id='1'", "<resource>&#x7f;</resource>"), "<iq type='error' id='1'>" + bad},
		{"resource too long", bindIQ("type='set' id='1'", "<resource>"+strings.Repeat("x", 1024)+"</resource>"), "<iq type='error' id='1'>" + bad},
		{"no child", "<iq type='set' id='1'/>", "<iq type='error' id='1'>" + unbound},
		{"two children", "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><x/></iq>", "<iq type='error' id='1'>" + unbound},
		{"session first", "<iq type='set' id='1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>", "<iq type='error' id='1'>" + unbound},
		{"roster first", "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>", "<iq type='error' id='1'>" + unbound},
		{"presence", "<presence id='p'/>", "<presence type='error' id='p'>" + unbound},
		{"message to oneself", "<message to='romeo@example.com' id='m'/>", "<message type='error' id='m'>" + unbound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			got := w.talk(header + login + header + tt.send + end)
			_, got, _ = strings.Cut(got, features(offerBind+offerLimits))
			if !strings.HasPrefix(got, tt.want) || !strings.HasSuffix(got, "</error></"+tt.want[1:strings.IndexByte(tt.want, ' ')]+">"+end) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestStreamErrorsBeforeBind(t *testing.T) {
	w := newWorld(t, nil).listen()
	tests := []struct{ name, send, want string }{
		{"message to another", "<message to='juliet@example.com'><body>hi</body></message>", "not-authorized"},
		{"bind at another server", bindIQ("type='set' id='1' to='example.net'", ""), "not-authorized"},
		{"iq to a bad address", bindIQ("type='set' id='1' to='@'", ""), "not-authorized"},
		{"starttls", starttls, "unsupported-stanza-type"},
		{"auth again", login, "unsupported-stanza-type"},
		{"stream management", "<enable xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"},
		{"server namespace", "<iq xmlns='jabber:server' type='set' id='1'/>", "unsupported-stanza-type"},
		{"bad XML", "<iq type='set' id='1'><", "not-well-formed"},
		{"too much", strings.Repeat("<iq type='result' id='1'/>", 1000), "policy-violation"},
	}
	tests[7].send += "&"
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			if got := w.talk(header + login + header + tt.send); streamError(t, got) != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// A client that may not have its resource can ask for another.
func TestBindRefused(t *testing.T) {
	w := newWorld(t, nil)
	w.refuse = func(r stream.BindRequest) *stanza.Error {
		if r.Resource == "balcony" {
			return &stanza.Error{Type: stanza.Modify, Condition: stanza.Conflict}
		}
		return nil
	}
	w.listen()
	taken := bindIQ("type='set' id='b0'", "<resource>balcony</resource>")
	for layer, talk := range map[string]func(string) string{"plain": w.talk, "TLS": w.talkTLS} {
		got := talk(header + login + header + taken + taken + bind + end)
		refused := "<iq type='error' id='b0'><error type='modify'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
		if !strings.Contains(got, refused+refused+"<iq type='result' id='b1'>") || strings.Count(got, "<jid>") != 1 {
			t.Errorf("%s: got %s", layer, got)
		}
		must(t, <-(<-w.sessions).end)
	}
}

// A client may send everything at once; nothing of it is lost on the way from
// one step to the next.
func TestEverythingAtOnce(t *testing.T) {
	w := newWorld(t, nil).listen()
	long := "<message to='juliet@example.com'><body>" + strings.Repeat("wherefore ", 10000) + "</body></message>"
	tail := []string{"<presence/>", long, "<iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>"}
	for layer, talk := range map[string]func(string) string{"plain": w.talk, "TLS": w.talkTLS} {
		got := talk(header + login + header + bind + strings.Join(tail, " ") + end)
		if !strings.HasSuffix(got, "</jid></bind></iq>"+end) {
			t.Errorf("%s: got %s", layer, got)
		}
		s := <-w.sessions
		must(t, <-s.end)
		for _, want := range tail {
			if got := <-s.got; got != want {
				t.Errorf("%s: got %.100s, want %.100s", layer, got, want)
			}
		}
	}
}
