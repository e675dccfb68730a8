package xep_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/xmppcore/presence"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/xep"
)

// wire keeps what is written to a client.
type wire struct{ got bytes.Buffer }

func (w *wire) Run(func(*scan.Stanza) error) error { return io.EOF }
func (w *wire) Close(*stanza.StreamError)          {}
func (w *wire) Abort()                             {}
func (w *wire) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (w *wire) Secure() bool                       { return true }
func (w *wire) Write(b []byte) error               { w.got.Write(b); return nil }

// ask returns what a host with these extensions answers to a request.
func ask(t *testing.T, request string, list ...xep.Extension) string {
	t.Helper()
	host := &router.Host{Domain: "example.com"}
	xep.Install(host, list...)
	var reg registry.Registry
	r := router.Router{Registry: &reg, Presence: &presence.Presence{Registry: &reg}, Host: func(domain string) *router.Host { return map[string]*router.Host{"example.com": host}[domain] }}
	w := &wire{}
	full := addr.MustParse("romeo@example.com/x")
	res := &registry.Resource{Session: session.New(full, w, session.NewLimits(session.Limits{})), Account: reg.Join(full.Bare())}
	res.Account.Enter(res)
	reg.Add(res)
	res.Start()
	var sc scan.Scanner
	var st scan.Stanza
	if _, err := sc.Next([]byte(request), &st); err != nil {
		t.Fatal(err)
	}
	if err := r.Route(res, &st); err != nil {
		t.Fatal(err)
	}
	res.Close(nil)
	res.Wait()
	return w.got.String()
}

const (
	answered = "<iq type='result' id='1' from='example.com' to='romeo@example.com/x'"
	refused  = "<iq type='error' id='1' from='example.com' to='romeo@example.com/x'>"
)

func get(payload string) string { return "<iq type='get' id='1' to='example.com'>" + payload + "</iq>" }

// XEP-0202 §2, XEP-0082: the zone with its sign, and the time in UTC.
func TestTime(t *testing.T) {
	for _, c := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"UTC", time.Date(2006, 12, 19, 17, 58, 35, 0, time.UTC), "<tzo>+00:00</tzo><utc>2006-12-19T17:58:35Z</utc>"},
		{"west", time.Date(2006, 12, 19, 11, 58, 35, 999, time.FixedZone("", -6*3600)), "<tzo>-06:00</tzo><utc>2006-12-19T17:58:35Z</utc>"},
		{"half an hour", time.Date(2006, 12, 19, 23, 28, 35, 0, time.FixedZone("", 5*3600+1800)), "<tzo>+05:30</tzo><utc>2006-12-19T17:58:35Z</utc>"},
		{"the next day", time.Date(2007, 1, 1, 1, 0, 0, 0, time.FixedZone("", 13*3600)), "<tzo>+13:00</tzo><utc>2006-12-31T12:00:00Z</utc>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ask(t, get("<time xmlns='urn:xmpp:time'/>"), xep.Time(func() time.Time { return c.now }))
			if want := answered + "><time xmlns='urn:xmpp:time'>" + c.want + "</time></iq>"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// XEP-0030 §3.1: each feature once, and sorted, as XEP-0115 wants them.
func TestDisco(t *testing.T) {
	const info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
	const form = "<x xmlns='jabber:x:data' type='result'/>"
	features := func(list ...string) (s string) {
		for _, f := range list {
			s += "<feature var='" + f + "'/>"
		}
		return s
	}
	for _, c := range []struct {
		name, host string
		features   []string
		form, want string
	}{
		{"nothing else", "", nil, "", "<identity category='server' type='im'/>" + features("http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items")},
		{"twice", "", []string{"x", "a", "x"}, "", "<identity category='server' type='im'/>" + features("a", "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "x")},
		{"escaped", "R&D's", []string{"<'&>"}, "", "<identity category='server' type='im' name='R&amp;D&apos;s'/>" + features("&lt;&apos;&amp;&gt;", "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items")},
		{"a form", "", nil, form, "<identity category='server' type='im'/>" + features("http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items") + form},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ask(t, get(info), xep.Disco(c.host, "registered", []xep.Extension{{Features: c.features}, {Form: []byte(c.form)}}, nil))
			if want := answered + "><query xmlns='http://jabber.org/protocol/disco#info'>" + c.want + "</query></iq>"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	got := ask(t, get("<query xmlns='http://jabber.org/protocol/disco#items'/>"), xep.Disco("", "registered", nil, []xep.Item{{JID: "b.example.com", Name: "<B>"}, {JID: "a.example.com"}}))
	if want := answered + "><query xmlns='http://jabber.org/protocol/disco#items'><item jid='b.example.com' name='&lt;B&gt;'/><item jid='a.example.com'/></query></iq>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestVersion(t *testing.T) {
	got := ask(t, get("<query xmlns='jabber:iq:version'/>"), xep.Version("a&b", "<1>"))
	if want := answered + "><query xmlns='jabber:iq:version'><name>a&amp;b</name><version>&lt;1&gt;</version></query></iq>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What is installed later adds to what is there, and what is not installed is not there.
func TestInstall(t *testing.T) {
	const ping = "<ping xmlns='urn:xmpp:ping'/>"
	if got := ask(t, get(ping), xep.Version("", ""), xep.Ping()); got != answered+"/>" {
		t.Errorf("got %s", got)
	}
	if got := ask(t, get(ping), xep.Version("", "")); !strings.HasPrefix(got, refused) {
		t.Errorf("got %s", got)
	}
	if got := ask(t, get(ping)); !strings.HasPrefix(got, refused) {
		t.Errorf("got %s", got)
	}
	// The name alone does not tell what it is.
	if got := ask(t, get("<ping xmlns='urn:xmpp:pong'/>"), xep.Ping()); !strings.HasPrefix(got, refused) {
		t.Errorf("got %s", got)
	}
	if got := ask(t, get("<p:ping xmlns:p='urn:xmpp:ping'/>"), xep.Ping()); got != answered+"/>" {
		t.Errorf("got %s", got)
	}
}
