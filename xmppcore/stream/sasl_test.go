package stream_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/xmppcore/stream"
	"rosterd/xmppcore/xmpptest"
)

const (
	success   = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
	challenge = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
	abort     = "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
)

func failure(condition string) string {
	return "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><" + condition + "/></failure>"
}

func sasl(name, text string) string {
	return "<" + name + " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + text + "</" + name + ">"
}

func authRaw(mechanism, text string) string {
	return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mechanism + "'>" + text + "</auth>"
}

// What follows the features of the first stream, when the client sends all at
// once.
func TestSASL(t *testing.T) {
	const good = "AHJvbWVvAHdoZXJlZm9yZQ=="
	wrong := saslAuth("PLAIN", "\x00romeo\x00nurse")
	tests := []struct{ name, send, want string }{
		{"PLAIN", login, success},
		{"PLAIN without initial response", authRaw("PLAIN", "") + sasl("response", good), challenge + success},
		{"prefixed", "<s:auth xmlns:s='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + good + "</s:auth>", success},
		{"base64 as references", authRaw("PLAIN", strings.ReplaceAll(good, "=", "&#61;")), success},
		{"base64 as CDATA", authRaw("PLAIN", "<![CDATA["+good+"]]>"), success},
		{"empty initial response", authRaw("PLAIN", "="), failure("malformed-request")},
		{"empty response", authRaw("PLAIN", "") + sasl("response", ""), challenge + failure("malformed-request")},
		{"wrong password", wrong, failure("not-authorized")},
		{"no such user", saslAuth("PLAIN", "\x00tybalt\x00x"), failure("not-authorized")},
		{"wrong, then right", wrong + login, failure("not-authorized") + success},
		{"twice wrong, then right", wrong + wrong + login, failure("not-authorized") + failure("not-authorized") + success},
		{"for somebody else", saslAuth("PLAIN", "juliet@example.com\x00romeo\x00"+password), failure("invalid-authzid")},
		{"no mechanism", sasl("auth", good), failure("invalid-mechanism")},
		{"unknown mechanism", authRaw("X-OAUTH2", good), failure("invalid-mechanism")},
		{"mechanism in lower case", authRaw("plain", good), failure("invalid-mechanism")},
		{"mechanism that is not offered", authRaw("SCRAM-SHA-256", good), failure("invalid-mechanism")},
		{"line end in base64", authRaw("PLAIN", good[:8]+"\n"+good[8:]), failure("incorrect-encoding")},
		{"space around base64", authRaw("PLAIN", " "+good+" "), failure("incorrect-encoding")},
		{"no padding", authRaw("PLAIN", strings.TrimRight(good, "=")), failure("incorrect-encoding")},
		{"padding in the middle", authRaw("PLAIN", good[:4]+"===="+good[4:]), failure("incorrect-encoding")},
		{"bits behind the end", authRaw("PLAIN", strings.TrimSuffix(good, "Q==")+"R=="), failure("incorrect-encoding")},
		{"alphabet of URLs", authRaw("PLAIN", "__-_"), failure("incorrect-encoding")},
		{"bad base64 in a response", authRaw("PLAIN", "") + sasl("response", "%"), challenge + failure("incorrect-encoding")},
		{"elements for base64", authRaw("PLAIN", "<x/>"), failure("malformed-request")},
		{"response to nothing", sasl("response", good), failure("malformed-request")},
		{"abort", authRaw("PLAIN", "") + abort, challenge + failure("aborted")},
		{"abort nothing", abort, failure("aborted")},
		{"abort, then right", authRaw("PLAIN", "") + abort + login, challenge + failure("aborted") + success},
		{"auth inside an exchange", authRaw("PLAIN", "") + login, challenge + failure("malformed-request")},
		{"SCRAM from the wrong end", authRaw("SCRAM-SHA-1", good), failure("malformed-request")},
	}
	w := newWorld(t, nil).listen()
	for _, tt := range tests {
		for layer, talk := range map[string]func(string) string{"plain": w.talk, "TLS": w.talkTLS} {
			t.Run(tt.name+"/"+layer, func(t *testing.T) {
				w.t = t
				send, rest := header+tt.send+end, end
				if strings.HasSuffix(tt.want, success) {
					send = header + tt.send + header + end
					rest = ""
				}
				_, got, ok := strings.Cut(talk(send), "</stream:features>")
				if !ok || !strings.HasPrefix(got, tt.want+rest) {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		}
	}
}

func TestStanzasBeforeAuthentication(t *testing.T) {
	w := newWorld(t, nil).listen()
	tests := []struct{ name, send, want string }{
		{"message", "<message to='juliet@example.com'><body>hi</body></message>", "not-authorized"},
		{"bind", bind, "not-authorized"},
		{"presence inside an exchange", authRaw("PLAIN", "") + "<presence/>", "not-authorized"},
		{"registration", "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>", "not-authorized"},
		{"something else", "<enable xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"},
		{"SASL of a wrong namespace", "<auth xmlns='urn:x' mechanism='PLAIN'/>", "unsupported-stanza-type"},
		{"text", "hello", "bad-format"},
		{"comment", "<!-- -->", "restricted-xml"},
		{"processing instruction", "<?x y?>", "restricted-xml"},
		{"end tag of something else", "</stream:flow>", "not-well-formed"},
		{"end of another element inside", "<iq></presence>", "not-well-formed"},
		{"unbound prefix", "<x:iq/>", "bad-namespace-prefix"},
		{"twice the same attribute", "<iq id='1' id='2'/>", "not-well-formed"},
		{"too much", authRaw("PLAIN", strings.Repeat("A", 17<<10)), "policy-violation"},
		{"too much and not complete", "<auth mechanism='" + strings.Repeat("A", 17<<10), "policy-violation"},
		{"too much in pieces", strings.Repeat(" ", 17<<10), "policy-violation"},
	}
	for _, tt := range tests {
		for layer, talk := range map[string]func(string) string{"plain": w.talk, "TLS": w.talkTLS} {
			t.Run(tt.name+"/"+layer, func(t *testing.T) {
				w.t = t
				if got := talk(header + tt.send); streamError(t, got) != tt.want || !ourHeader.MatchString(got) {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		}
	}
}

func TestTooManyAttempts(t *testing.T) {
	wrong := saslAuth("PLAIN", "\x00romeo\x00nurse")
	for attempts, limit := range map[int]int{3: 0, 2: 2, 5: 5} {
		w := newWorld(t, func(w *world) { w.server.Limits.Attempts = limit }).listen()
		got := w.talk(header + strings.Repeat(wrong, attempts) + login)
		if strings.Count(got, failure("not-authorized")) != attempts || streamError(t, got) != "policy-violation" || strings.Contains(got, "success") {
			t.Errorf("%d attempts: got %s", attempts, got)
		}
	}
}

func TestEncryptionRequired(t *testing.T) {
	w := newWorld(t, func(w *world) { w.host.RequireTLS = true }).listen()
	if got := w.talk(header + login + end); !strings.HasSuffix(got, features(requireTLS)+failure("encryption-required")+end) {
		t.Errorf("got %s", got)
	}
	if got := w.talkTLS(header + login + header + end); !strings.Contains(got, success) {
		t.Errorf("inside TLS: got %s", got)
	}
	w = newWorld(t, func(w *world) { w.host.AllowPlainUnencrypted = false }).listen()
	if got := w.talk(header + login + end); !strings.HasSuffix(got, failure("encryption-required")+end) {
		t.Errorf("PLAIN in the clear: got %s", got)
	}
}

// The bound JID comes from SASL alone, whatever stream headers say.
func TestHeaderDoesNotAuthenticate(t *testing.T) {
	w := newWorld(t, nil).listen()
	claim := strings.Replace(header, " to=", " from='juliet@example.com' to=", 1)
	got := w.talk(claim + login + claim + bind + end)
	if !strings.Contains(got, "<jid>romeo@example.com/orchard</jid>") {
		t.Errorf("got %s", got)
	}
	headers := regexp.MustCompile(` to='([^']*)'`).FindAllStringSubmatch(got, -1)
	if len(headers) != 2 || headers[0][1] != "juliet@example.com" || headers[1][1] != "romeo@example.com" {
		t.Errorf("our headers are addressed to %v", headers)
	}
	if s := <-w.sessions; s.User != addr.MustBare("romeo@example.com") {
		t.Errorf("bound as %s", s.User)
	}
}

func TestNoStreamAfterSuccess(t *testing.T) {
	w := newWorld(t, nil).listen()
	got := w.talk(header + login + bind)
	if strings.Count(got, "<stream:stream") != 2 || streamError(t, got) != "invalid-namespace" {
		t.Errorf("got %s", got)
	}
}

func TestMechanisms(t *testing.T) {
	w := newWorld(t, nil).listen()
	for _, mechanism := range []string{"SCRAM-SHA-1", "PLAIN"} {
		for _, encrypted := range []bool{false, true} {
			c := w.dial()
			must(t, c.Open(w.ctx()))
			if encrypted {
				must(t, c.StartTLS(w.ctx()))
				must(t, c.Open(w.ctx()))
			}
			var f *xmpptest.Failure
			err := c.Authenticate(w.ctx(), mechanism, "romeo", "nurse")
			if !errors.As(err, &f) || f.Condition != "not-authorized" {
				t.Errorf("%s, wrong password: %v", mechanism, err)
			}
			must(t, c.Authenticate(w.ctx(), mechanism, "romeo", password))
			must(t, c.Open(w.ctx()))
			must(t, c.Bind(w.ctx(), ""))
			if c.JID != "romeo@example.com/made-here" {
				t.Errorf("%s: bound as %s", mechanism, c.JID)
			}
			must(t, c.Close(w.ctx()))
		}
	}
}

var _ stream.Acceptor = (*world)(nil)
