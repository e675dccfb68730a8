package bosh_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/xmppcore/bosh"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stream"
)

// bubble runs a test in a world of its own, where time passes when nothing else happens.
func bubble(t *testing.T, settings bosh.Settings, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t, settings)) })
}

func TestCreation(t *testing.T) {
	const b = "<body xmlns='" + nsBody + "' "
	tests := []struct {
		name, body string
		want       []string
	}{
		{"usual", fmt.Sprintf(creation, first, 60, 1, ""), []string{
			" from='example.com'", " ver='1.11'", " wait='60'", " hold='1'", " requests='2'", " inactivity='60'", " maxpause='120'",
			" polling='5'", " secure='true'", " xmpp:version='1.0'", " xmpp:restartlogic='true'", " xmlns:xmpp='urn:xmpp:xbosh'", " authid='", " sid='",
			"xmlns:stream='http://etherx.jabber.org/streams'", "<stream:features><mechanisms ",
		}},
		{"as Strophe's", b + "rid='1' to='example.com' xml:lang='en' wait='60' hold='1' content='text/xml; charset=utf-8' ver='1.6' xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'/>",
			[]string{" ver='1.6'", "<stream:features>"}},
		{"no version of XMPP", b + "rid='1' to='example.com' wait='60' hold='1' ver='1.6'/>", []string{"<stream:features>"}},
		{"no version of BOSH", b + "rid='1' to='example.com' wait='60' hold='1'/>", []string{" ver='1.6'"}},
		{"older version", b + "rid='1' to='example.com' wait='60' ver='1.4'/>", []string{" ver='1.6'"}},
		{"newer version", b + "rid='1' to='example.com' wait='60' ver='1.12'/>", []string{" ver='1.11'"}},
		{"version between", b + "rid='1' to='example.com' wait='60' ver='1.8'/>", []string{" ver='1.8'"}},
		{"longer wait than allowed", b + "rid='1' to='example.com' wait='99999999999'/>", []string{" wait='120'"}},
		{"more held than one", b + "rid='1' to='example.com' wait='60' hold='5'/>", []string{" hold='1'", " requests='2'"}},
		{"no hold", b + "rid='1' to='example.com' wait='60'/>", []string{" hold='1'"}},
		{"polling by hold", b + "rid='1' to='example.com' wait='60' hold='0'/>", []string{" hold='0'", " wait='0'", " requests='1'"}},
		{"polling by wait", b + "rid='1' to='example.com' wait='0' hold='1'/>", []string{" hold='0'", " wait='0'", " requests='1'"}},
		{"other prefixes", "<b:body xmlns:b='" + nsBody + "' xmlns:x='urn:xmpp:xbosh' rid='1' to='example.com' wait='60' x:version='1.0'/>", []string{"<stream:features>"}},
		{"XML declaration", "<?xml version='1.0' encoding='UTF-8'?>\n" + b + "rid='1' to='example.com' wait='60'/>", []string{"<stream:features>"}},

		{"no to", b + "rid='1' wait='60'/>", []string{" condition='improper-addressing'"}},
		{"unknown host", b + "rid='1' wait='60' to='example.org'/>", []string{" type='terminate'", " condition='host-unknown'"}},
		{"no domain", b + "rid='1' wait='60' to='@'/>", []string{" condition='host-unknown'"}},
		{"old XMPP", b + "rid='1' to='example.com' wait='60' xmpp:version='0.9' xmlns:xmpp='urn:xmpp:xbosh'/>", []string{
			" condition='remote-stream-error'", "<stream:error><unsupported-version "}},
		{"no rid", b + "to='example.com' wait='60'/>", []string{" condition='bad-request'"}},
		{"no wait", b + "rid='1' to='example.com'/>", []string{" condition='bad-request'"}},
		{"wait that is no number", b + "rid='1' to='example.com' wait='-1'/>", []string{" condition='bad-request'"}},
		{"hold that is no number", b + "rid='1' to='example.com' wait='1' hold='one'/>", []string{" condition='bad-request'"}},
		{"rid that is too large", b + "rid='9007199254740992' to='example.com' wait='1'/>", []string{" condition='bad-request'"}},
		{"rid zero", b + "rid='0' to='example.com' wait='1'/>", []string{" condition='bad-request'"}},
		{"unknown sid", b + "rid='1' sid='nobody'/>", []string{" condition='item-not-found'"}},
		{"sid without rid", b + "sid='nobody'/>", []string{" condition='bad-request'"}},
		{"stanzas first", b + "rid='1' to='example.com' wait='60'><iq type='get' id='i'/></body>", []string{"<stream:features>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bosh.Settings{}, func(t *testing.T, w *world) { w.post(tt.body).want(tt.want...) })
		})
	}
}

func TestNoBody(t *testing.T) {
	for _, tt := range []struct{ name, in string }{
		{"nothing", ""},
		{"space", " \n"},
		{"no XML", "sid=1"},
		{"no end of the tag", "<body rid='1'"},
		{"other element", "<presence xmlns='jabber:client'/>"},
		{"other namespace", "<body xmlns='jabber:client'/>"},
		{"no namespace", "<body/>"},
		{"comment", "<!-- --><body xmlns='" + nsBody + "'/>"},
		{"document type", "<!DOCTYPE body [<!ENTITY a 'b'>]><body xmlns='" + nsBody + "'/>"},
		{"attribute twice", "<body xmlns='" + nsBody + "' rid='1' rid='1'/>"},
		{"prefix without a namespace", "<body xmlns='" + nsBody + "' rid='1' xmpp:restart='true'/>"},
		{"not UTF-8", "<body xmlns='" + nsBody + "' to='\xff'/>"},
		{"UTF-16", "\xfe\xff\x00<\x00b"},
		{"a tag without end", "<body " + strings.Repeat("a", 5000)},
		{"a tag that is too long", "<body xmlns='" + nsBody + "' to='" + strings.Repeat("a", 5000) + "'/>"},
		{"ack that is no number", "<body xmlns='" + nsBody + "' rid='1' sid='a' ack='x'/>"},
		{"pause that is no number", "<body xmlns='" + nsBody + "' rid='1' sid='a' pause='x'/>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bosh.Settings{}, func(t *testing.T, w *world) { w.post(tt.in).ends("bad-request") })
		})
	}
}

// What is wrong inside the body ends the stream as it does on TCP.
func TestHostileStanzas(t *testing.T) {
	for _, tt := range []struct{ name, content, want string }{
		{"text between stanzas", "hello", "bad-format"},
		{"comment", "<!-- -->", "restricted-xml"},
		{"processing instruction", "<?php?>", "restricted-xml"},
		{"document type", "<!DOCTYPE a>", "restricted-xml"},
		{"entity", "<message><body>&a;</body></message>", "restricted-xml"},
		{"no end", "<message><body>", "not-well-formed"},
		{"other end", "<message></iq>", "not-well-formed"},
		{"end of the stream", "</stream:stream>", "not-well-formed"},
		{"prefix", "<a:message/>", "bad-namespace-prefix"},
		{"depth", strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100), "policy-violation"},
		{"attributes", "<message " + manyAttributes() + "/>", "policy-violation"},
		{"other namespace", "<message xmlns='urn:x'/>", "unsupported-stanza-type"},
		{"no namespace", "<message xmlns=''/>", "unsupported-stanza-type"},
		{"something behind the body", "</body><iq/>", "not-well-formed"},
		{"opened anew", "", "bad-format"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
				c := w.login(romeo)
				attrs := ""
				if tt.name == "opened anew" {
					attrs = " xmpp:restart='true' to='example.com'"
				}
				e := c.attrs(attrs, tt.content)
				e.want("type='terminate'", "condition='remote-stream-error'", "<stream:error>", "<"+tt.want+" ")
				c.send("").ends("item-not-found")
				if n := w.core.Sessions(); n != 0 {
					t.Errorf("%d resources are left", n)
				}
			})
		})
	}
}

func manyAttributes() string {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "a%d='' ", i)
	}
	return b.String()
}

// What comes before the mistake is handled, as on TCP.
func TestStanzasBeforeMistake(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.login(juliet)
		held := j.send("")
		r.send(message(juliet, "Farewell") + "<!-- -->").ends("remote-stream-error")
		held.want("Farewell")
	})
}

// Clients that leave out the namespace of stanzas mean jabber:client (XEP-0206 §2).
func TestStanzasWithoutNamespace(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.login(juliet)
		held := j.send("")
		r.send("<message to='" + juliet + "'><body>hi</body><x xmlns='urn:x'/></message>")
		held.want("<message xmlns='jabber:client'", "xml:lang='en'", "<body>hi</body><x xmlns='urn:x'/></message></body>")
	})
}

func TestTooLong(t *testing.T) {
	long := message(juliet, strings.Repeat("a", 20000))
	limits := stream.Limits{Stanza: 10000, Negotiation: 5000}
	synctest.Test(t, func(t *testing.T) {
		w := newLimitedWorld(t, bosh.Settings{}, limits)
		w.login(romeo).send(long).want("remote-stream-error", "<policy-violation ")
		w.begin(60, 1, "").send(strings.Repeat(" ", 6000)).want("remote-stream-error", "<policy-violation ")
		c := w.begin(60, 1, "")
		c.send(strings.Repeat(" ", 4000) + "<a xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").want("<failure ")
		c.send(strings.Repeat(" ", 4000)+"<a xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").want("remote-stream-error", "<policy-violation ")
		w.post(fmt.Sprintf(creation, first, 60, 1, strings.Repeat(" ", 3000))).want("sid=")
	})
}

func TestAuthentication(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.begin(60, 1, "")
		c.send("<auth xmlns='"+nsSASL+"' mechanism='PLAIN'>AGEAYg==</auth>").want("<failure xmlns='"+nsSASL+"'>", "not-authorized")
		poll := c.send("")
		if !poll.open() {
			t.Fatal(poll.body)
		}
		last := c.send(plain("romeo"))
		poll.want("<success ")
		c.attrs(" xmpp:restart='true'", "")
		last.want("<stream:features>")
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.begin(60, 1, "")
		c.authenticate("romeo")
		c.send(bind("a")).want("remote-stream-error", "<bad-format ")
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		w.begin(60, 1, "").send(ping).want("remote-stream-error", "<not-authorized ")
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.begin(60, 1, "")
		c.send("").want("remote-stream-error", "<connection-timeout ") // after 15 seconds, and the wait is longer
		c.send("").ends("item-not-found")
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		w.begin(60, 1, "").attrs(" type='terminate'", "").want("type='terminate'")
	})
}

// Too many who are not authenticated are refused as on TCP.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLimitedWorld(t, bosh.Settings{}, stream.Limits{PerAddress: 2})
		w.begin(60, 1, "")
		w.begin(60, 1, "").authenticate("romeo") // no longer counts
		w.begin(60, 1, "")
		w.post(fmt.Sprintf(creation, first, 60, 1, "")).want("remote-stream-error", "<policy-violation ")
	})
}

func TestWait(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.loginWith(romeo, 30, 1, "")
		began := time.Now()
		c.send("").nothing()
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("held for %v", took)
		}
	})
}

// A new request releases the one that is held; what it causes leaves with that one (XEP-0124 §4).
func TestHold(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.login(romeo)
		a := c.send("")
		if !a.open() {
			t.Fatal(a.body)
		}
		b := c.send(ping)
		a.want("type='result'", "id='p'")
		if !b.open() {
			t.Fatal(b.body)
		}
		d := c.send(message("nobody@example.com", "Anybody?"))
		b.want("<message xmlns='jabber:client'", "type='error'", "id='Anybody?'")
		e := c.send("<iq type='result' id='x'/>") // nothing comes of it
		d.nothing()
		if !e.open() {
			t.Fatal(e.body)
		}
	})
}

// Whatever the stanzas of one request cause leaves together.
func TestAnswersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newEcho(t, nil)
		got := c.send(strings.Repeat(ping, 20)).response()
		if n := strings.Count(got, "id='echo'"); n != 20 {
			t.Errorf("%d answers in the first response: %s", n, got)
		}
	})
}

// But not for ever: what takes long does not keep the client from hearing the rest.
func TestAnswersWhileHandling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		c := newEcho(t, func(n int) {
			if n == 1 {
				<-gate
			}
		})
		c.send(ping + ping).want("id='echo'")
		next := c.send("")
		if !next.open() {
			t.Fatal(next.body)
		}
		close(gate)
		next.want("id='echo'")
	})
}

func TestBrokenConnections(t *testing.T) {
	t.Run("a response that was lost", func(t *testing.T) {
		bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
			c := w.login(romeo)
			want := c.send(ping).want("id='p'")
			if got := c.post(c.with(c.rid, "", ping)).response(); got != want {
				t.Errorf("first %s\nthen  %s", want, got)
			}
			next := c.send("")
			if got := c.post(c.with(c.rid-1, "", ping)).response(); got != want {
				t.Errorf("first %s\nthen  %s", want, got)
			}
			if !next.open() {
				t.Errorf("a ping that was repeated is answered anew: %s", next.body)
			}
		})
	})
	t.Run("a request that was held", func(t *testing.T) {
		bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
			r, j := w.login(romeo), w.login(juliet)
			broken := j.send("")
			broken.open()
			broken.cancel()
			broken.response()
			r.send(message(juliet, "one"))
			again := j.post(j.with(j.rid, "", ""))
			again.want("one")
		})
	})
	t.Run("a request that is repeated before the server knows", func(t *testing.T) {
		bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
			r, j := w.login(romeo), w.login(juliet)
			broken := j.send(message(romeo, "once"))
			broken.open()
			again := j.post(j.with(j.rid, "", message(romeo, "once")))
			broken.nothing()
			got := r.send("").want("once")
			if strings.Count(got, "<body>once") != 1 {
				t.Error(got)
			}
			quiet := r.send("")
			if !quiet.open() {
				t.Errorf("more: %s", quiet.body)
			}
			r.send(message(juliet, "one"))
			again.want("one")
		})
	})
	t.Run("a page that is loaded anew", func(t *testing.T) {
		bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
			r, j := w.login(romeo), w.login(juliet)
			old := j.send("")
			old.open()
			old.cancel()
			old.response()
			r.send(message(juliet, "one"))
			j.send("").want("one") // not kept for a response that nobody will ask for
			j.post(j.with(j.rid-1, "", "")).nothing()
		})
	})
	t.Run("nobody remembers", func(t *testing.T) {
		bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
			c := w.login(romeo)
			for range 3 {
				c.send(ping).want("id='p'")
			}
			c.post(c.with(c.rid-1, "", ping)).want("id='p'")
			held := c.send("")
			held.open()
			c.post(c.with(c.rid-3, "", ping)).ends("item-not-found")
			held.ends("item-not-found")
			c.send("").ends("item-not-found")
		})
	})
}

func TestOrder(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.login(juliet)
		n := j.rid
		second := j.post(j.with(n+2, "", message(romeo, "two")))
		if !second.open() {
			t.Fatal(second.body)
		}
		quiet := r.send("")
		if !quiet.open() {
			t.Fatalf("handled too early: %s", quiet.body)
		}
		before := j.post(j.with(n+1, "", message(romeo, "one")))
		got := r.gather(quiet, "<body>one", "<body>two")
		if strings.Index(got, "one") > strings.Index(got, "two") {
			t.Error(got)
		}
		before.nothing()
		r.send(message(juliet, "three"))
		second.want("three")
	})
}

func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		name string
		skip int64
		attr string
		want string
	}{
		{"too far ahead", 3, "", "item-not-found"},
		{"a pause too far ahead", 4, " pause='10'", "item-not-found"},
		{"the end too far ahead", 4, " type='terminate'", "item-not-found"},
		{"before the first", -100, "", "item-not-found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
				c := w.login(romeo)
				c.post(c.with(c.rid+tt.skip, tt.attr, "")).ends(tt.want)
				c.send("").ends("item-not-found")
				synctest.Wait()
				if n := w.core.Sessions(); n != 0 {
					t.Errorf("%d resources are left", n)
				}
			})
		})
	}
}

func TestTooManyRequests(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.login(romeo)
		n := c.rid
		a := c.post(c.with(n+1, "", ""))
		a.open()
		// Within the time that a request is given before it releases the other.
		b := c.post(c.with(n+2, "", "<iq type='result' id='x'/>"))
		b.open()
		for _, e := range []*exchange{c.post(c.with(n+3, "", "")), a, b} {
			e.ends("policy-violation")
		}
	})
}

// The end may come with one request more than otherwise allowed (XEP-0124 §11).
func TestEndWithOneMore(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.login(romeo)
		n := c.rid
		a := c.post(c.with(n+1, "", ""))
		a.open()
		b := c.post(c.with(n+2, "", "<iq type='result' id='x'/>"))
		d := c.post(c.with(n+3, " type='terminate'", ""))
		for _, e := range []*exchange{a, b, d} {
			if got := e.response(); strings.Contains(got, "condition") {
				t.Error(got)
			}
		}
	})
}

func TestOveractivity(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.login(romeo)
		held := c.send("")
		held.open()
		for range 5 { // forgiven
			next := c.send("")
			held.nothing()
			held = next
		}
		c.send("").ends("policy-violation")
		held.ends("policy-violation")
	})
	bubble(t, bosh.Settings{Polling: 2 * time.Second}, func(t *testing.T, w *world) {
		c := w.login(romeo)
		held := c.send("")
		for range 50 {
			time.Sleep(2 * time.Second)
			next := c.send("")
			held.nothing()
			held = next
		}
		held.cancel()
	})
	bubble(t, bosh.Settings{Polling: -1}, func(t *testing.T, w *world) {
		c := w.login(romeo)
		held := c.send("")
		for range 50 {
			next := c.send("")
			held.nothing()
			held = next
		}
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.login(romeo)
		for range 50 { // what holds something is never too much
			c.send(ping).want("id='p'")
		}
	})
}

func TestPolling(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.loginWith(romeo, 60, 0, "")
		w.login(juliet).send(message(romeo, "one")).open()
		c.send("").want("one")
		for range 6 { // the first comes after a response that held something
			c.send("").nothing()
		}
		c.send("").ends("policy-violation")
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.loginWith(romeo, 60, 0, "")
		for range 20 {
			time.Sleep(5 * time.Second)
			c.send("").nothing()
		}
		c.send(ping).want("id='p'")
		a := c.send("")
		a.open()
		c.send(ping).ends("policy-violation") // two at once
		a.ends("policy-violation")
	})
}

func TestPause(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.login(juliet)
		held := j.send("")
		held.open()
		j.attrs(" pause='100'", "").nothing()
		held.nothing()
		r.send(message(juliet, "one"))
		time.Sleep(99 * time.Second)
		j.send("").want("one")
		time.Sleep(59 * time.Second)
		held = j.send("")
		if !held.open() {
			t.Fatal(held.body)
		}
		held.cancel()
		time.Sleep(61 * time.Second) // it is as before
		j.send("").ends("item-not-found")
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.login(romeo)
		held := c.attrs(" pause='121'", "") // more than allowed is no pause
		if !held.open() {
			t.Fatal(held.body)
		}
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.login(romeo)
		c.attrs(" pause='5'", "").nothing()
		time.Sleep(6 * time.Second)
		c.send("").ends("item-not-found")
	})
}

func TestInactivity(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.login(juliet)
		poll := r.send("")
		time.Sleep(59 * time.Second)
		held := j.send("") // in time
		if !held.open() {
			t.Fatal(held.body)
		}
		held.cancel()
		poll.nothing()
		poll = r.send(message(juliet, "Are you there?"))
		poll.want("type='error'", "<service-unavailable ", "Are you there?")
		if n := w.core.Sessions(); n != 1 {
			t.Errorf("%d resources", n)
		}
		j.send("").ends("item-not-found")
	})
}

// A client that vanishes with a response has not received it, as far as anybody knows. What it acknowledged by coming
// back has arrived.
func TestUndelivered(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.login(juliet)
		held := j.send("")
		held.open()
		r.send(message(juliet, "one")).open()
		held.want("one")
		held = j.send("")
		held.open()
		poll := r.send(message(juliet, "two"))
		held.want("two") // and is never seen again
		got := r.until(poll, "type='error'", "two")
		if strings.Contains(got, "one") {
			t.Errorf("bounced, though it arrived: %s", got)
		}
	})
}

// A client that says what it has received is taken at its word (XEP-0124 §9.2).
func TestAcknowledgements(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.loginWith(juliet, 60, 1, " ack='1'")
		held := j.send("")
		held.open()
		r.send(message(juliet, "one")).open()
		held.want("one")
		j.attrs(fmt.Sprintf(" ack='%d'", j.rid-1), "").cancel() // not that
		r.until(r.send(""), "type='error'", "one")
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.loginWith(juliet, 60, 1, " ack='1'")
		held := j.send("")
		held.open()
		r.send(message(juliet, "one")).open()
		held.want("one")
		j.attrs(fmt.Sprintf(" ack='%d'", j.rid), "").cancel()
		quiet := r.send("")
		time.Sleep(65 * time.Second)
		if quiet.nothing(); w.core.Sessions() > 1 {
			t.Error("juliet is still there")
		}
	})
}

func TestTerminate(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.login(juliet)
		poll := r.send("")
		held := j.send("")
		held.open()
		got := j.attrs(" type='terminate'", message(romeo, "Good night")).want("type='terminate'")
		if strings.Contains(got, "condition") {
			t.Error(got)
		}
		held.want("type='terminate'")
		poll.want("Good night")
		j.send("").ends("item-not-found")
		if n := w.core.Sessions(); n != 1 {
			t.Errorf("%d resources", n)
		}
	})
}

// What the last stanzas cause is not lost, though a session that ends has few responses left.
func TestTerminateWithAnswers(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		w.login(romeo).attrs(" type='terminate'", ping).want("type='terminate'", "id='p'")
		j := w.login(juliet)
		held := j.send("")
		held.open()
		j.attrs(" type='terminate'", ping).want("type='terminate'")
		held.want("id='p'")
	})
}

func TestConflict(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		old := w.login(romeo)
		held := old.send("")
		held.open()
		w.login(romeo)
		held.want("type='terminate'", "condition='remote-stream-error'", "xmlns:stream='http://etherx.jabber.org/streams'", "<stream:error><conflict xmlns=")
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		old := w.login(romeo) // between two requests
		w.login(romeo)
		old.send("").want("<conflict ")
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		old := w.login(romeo)
		w.login(romeo)
		time.Sleep(6 * time.Second)
		old.send("").ends("item-not-found")
	})
}

// What waits goes out before the end does.
func TestEndAfterStanzas(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.login(juliet)
		r.send(message(juliet, "one")).open()
		w.login(juliet)
		j.send("").want("one")
		j.send("").want("<conflict ")
	})
}

func TestShutdown(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j, b := w.login(romeo), w.login(juliet), w.begin(60, 1, "")
		held, opening := r.send(""), b.send("")
		held.open()
		began := time.Now()
		if err := w.manager.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("took %v", took)
		}
		held.ends("system-shutdown")
		opening.ends("system-shutdown")
		j.send("").ends("item-not-found")
		w.post(fmt.Sprintf(creation, first, 60, 1, "")).ends("system-shutdown")
		synctest.Wait()
		if n := w.core.Sessions(); n != 0 {
			t.Errorf("%d resources are left", n)
		}
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		held, opening := w.login(romeo).send(""), w.begin(60, 1, "").send("")
		held.open()
		if err := w.core.Shutdown(t.Context()); err != nil { // the other way round
			t.Error(err)
		}
		held.ends("system-shutdown")
		opening.ends("system-shutdown")
		if err := w.manager.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		w.login(romeo) // does not come for its good-bye
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.manager.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

// A session can be found where it began, and not in the clear if it was encrypted.
func TestWhere(t *testing.T) {
	clear := func(r *http.Request) { r.URL.Scheme = "http" }
	https := func(r *http.Request) { r.URL.Scheme = "https" }
	// A proxy whose client spoke in the clear, and which speaks TLS with us.
	inside := func(r *http.Request) { r.URL.Scheme, r.TLS = "http", new(tls.ConnectionState) }
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		c := w.login(romeo)
		c.rid++
		request(t, w.manager.Handler("example.net"), nil, c.with(c.rid, "", ping)).ends("item-not-found")
		c.post(c.with(c.rid, "", ping)).want("id='p'") // and nothing has happened to it
	})
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		e := request(t, w.handler, https, fmt.Sprintf(creation, first, 60, 1, ""))
		sid := strings.Split(strings.Split(e.want("sid='"), " sid='")[1], "'")[0]
		c := &client{world: w, sid: sid, rid: first}
		const wrong = "<a xmlns='" + nsSASL + "'/>"
		request(t, w.handler, clear, c.with(first+1, "", wrong)).ends("item-not-found")
		request(t, w.handler, inside, c.with(first+1, "", wrong)).ends("item-not-found")
		request(t, w.handler, https, c.with(first+1, "", wrong)).want("<failure ")
	})
	bubble(t, bosh.Settings{Secure: true}, func(t *testing.T, w *world) {
		w.login(romeo)
	})
}

func TestMethods(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			method string
			status int
			text   string
		}{
			{"GET", 200, "BOSH endpoint (XEP-0124) of example.com"},
			{"HEAD", 200, ""},
			{"PUT", 405, ""},
			{"DELETE", 405, ""},
		} {
			rec := w.call(tt.method)
			if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.text) {
				t.Errorf("%s: %d %s", tt.method, rec.Code, rec.Body)
			}
		}
	})
}

// A slow reader's stanzas wait in its outbox, which has its limits.
func TestMuchWaits(t *testing.T) {
	bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
		r, j := w.login(romeo), w.login(juliet)
		text := strings.Repeat("a", 10000)
		for range 20 {
			r.send(message(juliet, text) + ping).want("id='p'")
		}
		n := 0
		for n < 20 {
			got := j.send("").want(text)
			if len(got) > 300<<10 {
				t.Errorf("a response of %d bytes", len(got))
			}
			n += strings.Count(got, text)
		}
	})
}

// Who sends too fast is read more slowly, and hears from others meanwhile.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLimitedWorld(t, bosh.Settings{}, stream.Limits{Rate: 1000, Burst: time.Second})
		r, j := w.login(romeo), w.login(juliet)
		time.Sleep(time.Second)
		poll := j.send("")
		began := time.Now()
		slow := r.send(message(juliet, strings.Repeat("a", 10000)))
		poll.want("aaa")
		if took := time.Since(began); took < 9*time.Second || took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		slow.nothing()
		slow = r.send(message(juliet, strings.Repeat("b", 30000)))
		slow.open()
		began = time.Now()
		j.send(message(romeo, "hello"))
		slow.want("hello")
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// Who breaks each connection has no more requests open than others, and may still send more than is handled.
func TestFlood(t *testing.T) {
	flood := func(t *testing.T, c *client, content string, n int) (bytes, requests int) {
		t.Helper()
		for range n {
			e := c.send(content)
			e.open()
			e.cancel()
			e.response()
			b, r := bosh.Kept(c.manager, c.sid)
			bytes, requests = max(bytes, b), max(requests, r)
		}
		return bytes, requests
	}
	// stuck is a client whose stanzas, or whose password, somebody looks at until gate is closed.
	stuck := func(t *testing.T, gate chan struct{}, bound bool) *client {
		w := &world{t: t}
		w.manager = &bosh.Manager{Serve: func(c stream.Carrier, _ netip.Addr) {
			c.Allow(4096)
			var h scan.Header
			c.ReadOpen(&h)
			c.WriteOpen(stream.Opening{From: domain, ID: "i", Features: []byte("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")})
			if bound {
				c.Run(func(*scan.Stanza) error { <-gate; return nil })
			} else {
				c.Next(new(scan.Stanza))
				<-gate
			}
			c.Abort()
		}}
		w.handler = w.manager.Handler(domain)
		return w.begin(60, 1, "")
	}
	for name, bound := range map[string]bool{"that is not handled": true, "before the client is anybody": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				c := stuck(t, gate, bound)
				defer c.manager.Shutdown(context.Background())
				defer close(gate)
				if bytes, _ := flood(t, c, message(juliet, strings.Repeat("a", 10000)), 100); bytes > 256<<10 {
					t.Errorf("%d bytes are kept", bytes)
				}
				c.send("").ends("item-not-found")
			})
		})
	}
	t.Run("of requests that hold nothing", func(t *testing.T) {
		bubble(t, bosh.Settings{}, func(t *testing.T, w *world) {
			c := w.login(romeo)
			if _, requests := flood(t, c, "", 300); requests > 10 {
				t.Errorf("%d requests are remembered", requests)
			}
			held := c.send("")
			if _, requests := flood(t, c, "", 300); requests > 10 {
				t.Errorf("%d requests are remembered while one is held", requests)
			}
			held.nothing()
			c.send(ping).want("id='p'")
		})
	})
	t.Run("of a client that waits for its turn", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newLimitedWorld(t, bosh.Settings{}, stream.Limits{Rate: 20_000, Burst: time.Second})
			r, j := w.login(romeo), w.login(juliet)
			text := strings.Repeat("a", 100_000)
			go func() {
				e := r.send(message(juliet, text))
				for range 20 {
					next := r.send(message(juliet, text))
					e.response()
					e = next
				}
			}()
			for n := 0; n < 20; {
				n += strings.Count(j.send("").response(), text)
				if bytes, _ := bosh.Kept(w.manager, r.sid); bytes > 1<<20 {
					t.Fatalf("%d bytes are kept", bytes)
				}
			}
		})
	})
}
