package stream_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// ourHeader is what the server says first, always.
var ourHeader = regexp.MustCompile(`^<\?xml version='1\.0'\?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx\.jabber\.org/streams' from='([^']*)'(?: to='([^']*)')? id='([^']+)' version='1\.0' xml:lang='en'>`)

// streamError returns the condition of the error that ends a conversation, ""
// if it does not end in one.
func streamError(t *testing.T, got string) string {
	t.Helper()
	m := regexp.MustCompile(`<stream:error><([a-z-]+) xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>(?:<text [^>]*>[^<]*</text>)?</stream:error></stream:stream>$`).FindStringSubmatch(got)
	if m == nil {
		return ""
	}
	return m[1]
}

func attrsHeader(attrs string) string {
	return "<?xml version='1.0'?><stream:stream " + attrs + " xmlns:stream='http://etherx.jabber.org/streams'>"
}

// What a client may do wrong before there is a stream, and the error it must be
// told after our header (RFC 6120 §4.9.1.2, §4.9.3).
var badStreams = []struct {
	name, send, want string
	from             string // of our header
}{
	{"no version", attrsHeader("to='example.com' xmlns='jabber:client'"), "unsupported-version", domain},
	{"version 0.9", attrsHeader("to='example.com' xmlns='jabber:client' version='0.9'"), "unsupported-version", domain},
	{"version without minor", attrsHeader("to='example.com' xmlns='jabber:client' version='1'"), "unsupported-version", domain},
	{"version of letters", attrsHeader("to='example.com' xmlns='jabber:client' version='one.two'"), "unsupported-version", domain},
	{"negative version", attrsHeader("to='example.com' xmlns='jabber:client' version='-1.0'"), "unsupported-version", domain},
	{"server namespace", attrsHeader("to='example.com' xmlns='jabber:server' version='1.0'"), "invalid-namespace", domain},
	{"no default namespace", attrsHeader("to='example.com' version='1.0'"), "invalid-namespace", domain},
	{"other stream namespace", "<stream:stream to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='urn:x'>", "invalid-namespace", ""},
	{"no stream prefix", "<stream to='example.com' version='1.0' xmlns='jabber:client'>", "invalid-namespace", ""},
	{"unbound stream prefix", "<stream:stream to='example.com' version='1.0' xmlns='jabber:client'>", "bad-namespace-prefix", ""},
	{"not a stream", "<stream:flow to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "bad-format", ""},
	{"unknown host", attrsHeader("to='example.net' xmlns='jabber:client' version='1.0'"), "host-unknown", ""},
	{"host that cannot be", attrsHeader("to='exa mple' xmlns='jabber:client' version='1.0'"), "host-unknown", ""},
	{"user for a host", attrsHeader("to='romeo@example.com' xmlns='jabber:client' version='1.0'"), "host-unknown", ""},
	{"HTTP", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "not-well-formed", ""},
	{"SSH", "SSH-2.0-OpenSSH_9.2\r\n", "not-well-formed", ""},
	{"UTF-16", "\xff\xfe<\x00?\x00", "unsupported-encoding", ""},
	{"Latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?>" + strings.TrimPrefix(header, "<?xml version='1.0'?>"), "unsupported-encoding", ""},
	{"document type", "<!DOCTYPE x [<!ENTITY e 'x'>]>" + header, "restricted-xml", ""},
	{"comment", "<!-- hello -->" + header, "restricted-xml", ""},
	{"processing instruction", "<?php x?>" + header, "restricted-xml", ""},
	{"stanza", "<iq type='get' id='1'/>", "invalid-namespace", ""},
	{"unclosed attribute", "<stream:stream to='example.com<'>", "not-well-formed", ""},
	{"twice the same attribute", attrsHeader("to='example.com' to='example.com' xmlns='jabber:client' version='1.0'"), "not-well-formed", ""},
	{"bad entity", attrsHeader("to='&host;' xmlns='jabber:client' version='1.0'"), "restricted-xml", ""},
	{"invalid UTF-8", attrsHeader("to='\xc3\x28' xmlns='jabber:client' version='1.0'"), "not-well-formed", ""},
	{"endless header", "<stream:stream to='" + strings.Repeat("x", 17<<10), "policy-violation", ""},
	{"endless space", strings.Repeat(" ", 17<<10), "policy-violation", ""},
}

func TestBadHeader(t *testing.T) {
	w := newWorld(t, nil).listen()
	for _, tt := range badStreams {
		for layer, talk := range map[string]func(string) string{"plain": w.talk, "TLS": w.talkTLS} {
			t.Run(tt.name+"/"+layer, func(t *testing.T) {
				w.t = t
				got := talk(tt.send)
				m := ourHeader.FindStringSubmatch(got)
				if m == nil {
					t.Fatalf("no header before the error: %s", got)
				}
				if want := tt.from; layer == "plain" && m[1] != want {
					t.Errorf("header is from %q, want %q", m[1], want)
				}
				if condition := streamError(t, got); condition != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				if strings.Contains(got, "<stream:features>") {
					t.Errorf("features before an error: %s", got)
				}
				var se *stanza.StreamError
				if err := <-w.ended; !errors.As(err, &se) || string(se.Condition) != tt.want {
					t.Errorf("Serve returned %v, want %s", err, tt.want)
				}
			})
		}
	}
}

func TestGoodHeader(t *testing.T) {
	w := newWorld(t, nil).listen()
	tests := []struct{ name, send, to string }{
		{"usual", header, ""},
		{"without XML declaration", strings.TrimPrefix(header, "<?xml version='1.0'?>"), ""},
		{"double quotes", strings.ReplaceAll(header, "'", `"`), ""},
		{"version 1.1", attrsHeader("to='example.com' xmlns='jabber:client' version='1.1'"), ""},
		{"version 2.5", attrsHeader("to='example.com' xmlns='jabber:client' version='2.5'"), ""},
		{"version 10.0", attrsHeader("to='example.com' xmlns='jabber:client' version='10.0'"), ""},
		{"host in capitals", attrsHeader("to='EXAMPLE.com' xmlns='jabber:client' version='1.0'"), ""},
		{"language", attrsHeader("to='example.com' xml:lang='it' xmlns='jabber:client' version='1.0'"), ""},
		{"from", attrsHeader("from='romeo@example.com' to='example.com' xmlns='jabber:client' version='1.0'"), "romeo@example.com"},
		{"from with resource", attrsHeader("from='Romeo@example.com/orchard' to='example.com' xmlns='jabber:client' version='1.0'"), "romeo@example.com/orchard"},
		{"from to be escaped", attrsHeader("from='example.com/&apos;>' to='example.com' xmlns='jabber:client' version='1.0'"), "example.com/&apos;&gt;"},
		{"from that cannot be", attrsHeader("from='@@' to='example.com' xmlns='jabber:client' version='1.0'"), ""},
		{"more prefixes", attrsHeader("xmlns:db='jabber:server:dialback' to='example.com' xmlns='jabber:client' version='1.0'"), ""},
		{"space before", "\n " + strings.TrimPrefix(header, "<?xml version='1.0'?>"), ""},
	}
	ids := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			got := w.talk(tt.send + end)
			m := ourHeader.FindStringSubmatch(got)
			if m == nil || m[1] != domain || m[2] != tt.to {
				t.Fatalf("got %s", got)
			}
			if ids[m[3]] {
				t.Errorf("stream id %s was used before", m[3])
			}
			ids[m[3]] = true
			if !strings.HasSuffix(got, "</stream:features></stream:stream>") {
				t.Errorf("got %s", got)
			}
			if err := <-w.ended; err != nil {
				t.Errorf("Serve returned %v after a proper end", err)
			}
		})
	}
}

// The first header must say which host is meant; later ones may.
func TestHeaderWithoutTo(t *testing.T) {
	w := newWorld(t, nil).listen()
	anonymous := attrsHeader("xmlns='jabber:client' version='1.0'")
	if got := w.talk(anonymous); !ourHeader.MatchString(got) || streamError(t, got) != "improper-addressing" {
		t.Errorf("got %s", got)
	}
	if got := w.talkTLS(anonymous + end); !ourHeader.MatchString(got) || !strings.HasSuffix(got, "</stream:features>"+end) {
		t.Errorf("inside TLS: got %s", got)
	}
}

// A connection belongs to the host of its first header.
func TestOtherHostAfterTLS(t *testing.T) {
	w := newWorld(t, nil)
	other := *w.host
	other.Domain = "example.net"
	hosts := w.server.Host
	w.server.Host = func(d string) (h *stream.Host) {
		if d == other.Domain {
			return &other
		}
		return hosts(d)
	}
	w.listen()
	got := w.talkTLS(strings.Replace(header, "example.com", "example.net", 1))
	if streamError(t, got) != "host-unknown" {
		t.Errorf("got %s", got)
	}
}

func TestTLSOnPlainPort(t *testing.T) {
	w := newWorld(t, nil).listen()
	if got := w.talk("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"); got != "" {
		t.Errorf("got %q, want nothing but the end", got)
	}
	if err := <-w.ended; err == nil {
		t.Error("Serve says that all is well")
	}
}

func TestHalfAHeader(t *testing.T) {
	w := newWorld(t, nil).listen()
	nc := w.raw()
	w.write(nc, "<stream:stream to='exam")
	must(t, nc.Close())
	if err := <-w.ended; err == nil {
		t.Error("Serve says that all is well")
	}
}
