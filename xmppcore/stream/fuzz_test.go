package stream_test

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"rosterd/xmppcore/auth"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// Whatever a client sends, the server ends, says nothing that is not XML, and
// not much more than it was sent.
func FuzzNegotiate(f *testing.F) {
	for _, tt := range badStreams {
		f.Add([]byte(tt.send))
	}
	for _, s := range []string{
		header + end, header + starttls + header, header + login + header + bind + message + end,
		header + saslAuth("PLAIN", "\x00romeo\x00x") + authRaw("PLAIN", "") + abort + login + header + bind + "<",
		header + login + header + bindIQ("type='get'", "") + "<presence/>" + bindIQ("type='set' id='1'", "<resource>&#x7f;</resource>") + bind,
		header + saslAuth("SCRAM-SHA-1", "n,,n=romeo,r=abc") + sasl("response", "Yz1iaXdzLHI9YWJj"),
		header + login + header + bind + strings.Repeat(message, 30) + "<message><body>&#0;</body></message>",
		header + login + strings.Replace(header, "xmlns=", "xmlns:x='urn:x' xmlns=", 1) + bind + "<x:message/>" + end,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		w := newWorld(t, func(w *world) {
			w.host.Auth = &auth.Host{Domain: domain, Accounts: passwords{}, StoresPasswords: true, Iterations: 1}
			w.server.Limits = stream.Limits{Close: time.Second}
			w.handle = func(s *session, st *scan.Stanza) error {
				return s.Transport.Write(stanza.AppendRouted(nil, st, "romeo@example.com/orchard"))
			}
		})
		theirs, ours := net.Pipe()
		go func() { w.ended <- w.server.Serve(context.Background(), ours, w) }()
		received := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(theirs)
			received <- b
		}()
		theirs.Write(sent) // fails if the server closes first
		theirs.Close()
		<-w.ended
		if len(w.sessions) > 0 {
			<-(<-w.sessions).end
		}
		got := <-received
		if limit := 4096 + 64*len(sent); len(got) > limit {
			t.Errorf("%d bytes made %d", len(sent), len(got))
		}
		xml, _, _ := strings.Cut(string(got), "<proceed")
		checkStreams(t, xml)
	})
}

// checkStreams checks that text is any number of streams, of which each may end
// anywhere.
func checkStreams(t *testing.T, text string) {
	if text == "" {
		return
	}
	const declaration = "<?xml version='1.0'?>"
	first, rest, ok := strings.Cut(text, declaration)
	if !ok || first != "" {
		t.Fatalf("no stream: %q", text)
	}
	for part := range strings.SplitSeq(rest, declaration) {
		d := xml.NewDecoder(strings.NewReader(part))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil && strings.Contains(err.Error(), "unexpected EOF") {
				break
			}
			if err != nil {
				t.Fatalf("%v in %q", err, part)
			}
		}
	}
}
