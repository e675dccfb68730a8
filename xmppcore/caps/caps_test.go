package caps

import (
	"io"
	"net"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/session"
	"rosterd/xmppcore/stanza"
)

// element reads a stanza.
func element(t testing.TB, text string) *scan.Stanza {
	t.Helper()
	var sc scan.Scanner
	st := new(scan.Stanza)
	if _, err := sc.Next([]byte(text), st); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return st
}

func query(inner string) string {
	return "<iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#info'>" + inner + "</query></iq>"
}

// The hashes of XEP-0115 §5.2 and §5.3, and what §5.4 says that nobody may have.
func TestVer(t *testing.T) {
	const simple = "<identity category='client' name='Exodus 0.9.1' type='pc'/><feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/><feature var='http://jabber.org/protocol/caps'/>"
	const complex = `<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/><identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>` +
		"<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>"
	const form = "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>" +
		"<field var='ip_version'><value>ipv4</value><value>ipv6</value></field><field var='os'><value>Mac</value></field><field var='os_version'><value>10.5.1</value></field>" +
		"<field var='software'><value>Psi</value></field><field var='software_version'><value>0.11</value></field></x>"
	for _, tt := range []struct{ name, hash, info, want string }{
		{"§5.2", "sha-1", simple, "QgayPKawpkPSDYmwT/WM94uAlu0="},
		{"§5.3", "sha-1", complex + form, "q07IKJEyjvHSyhy//CH0CxmKi8w="},
		{"§5.3, a form that does not say what it is", "sha-1", complex + form + "<x xmlns='jabber:x:data'><field var='a'><value>b</value></field></x>", "q07IKJEyjvHSyhy//CH0CxmKi8w="},
		{"§5.3, one whose FORM_TYPE is not hidden", "sha-1", complex + form + "<x xmlns='jabber:x:data'><field var='FORM_TYPE'><value>b</value></field></x>", "q07IKJEyjvHSyhy//CH0CxmKi8w="},
		{"another hash", "sha-256", "", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
		{"a hash that nobody knows", "md5", simple, ""},
		{"an identity twice", "sha-1", simple + "<identity category='client' name='Exodus 0.9.1' type='pc'/>", ""},
		{"a feature twice", "sha-1", simple + "<feature var='http://jabber.org/protocol/muc'/>", ""},
		{"a form twice", "sha-1", complex + form + form, ""},
		{"a form of two types", "sha-1", "<x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'><value>a</value><value>b</value></field></x>", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, _ := element(t, query(tt.info)).Find(nsInfo, "query")
			if got := read(q).ver(tt.hash); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// Of features it is what a client wants to be told of that counts, and not too much of that.
func TestCapabilities(t *testing.T) {
	many := ""
	for range maxNotify + 10 {
		many += "<feature var='" + strings.Repeat("n", len(many)%50+1) + "+notify'/>"
	}
	for _, tt := range []struct{ name, info, want string }{
		{"sorted, each once", "<feature var='b+notify'/><feature var='c'/><feature var='a+notify'/><feature var='b+notify'/>", "a b"},
		{"none", "<feature var='c'/><identity category='x+notify'/>", ""},
		{"too long together", "<feature var='" + strings.Repeat("x", maxNotifyBytes+1) + "+notify'/>", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, _ := element(t, query(tt.info)).Find(nsInfo, "query")
			if got := strings.Join(read(q).capabilities().Notify, " "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	q, _ := element(t, query(many)).Find(nsInfo, "query")
	if n := len(read(q).capabilities().Notify); n > maxNotify {
		t.Errorf("%d nodes", n)
	}
}

type wire struct{}

func (wire) Run(func(*scan.Stanza) error) error { return io.EOF }
func (wire) Close(*stanza.StreamError)          {}
func (wire) Abort()                             {}
func (wire) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (wire) Secure() bool                       { return true }
func (wire) Write([]byte) error                 { return nil }

// world is a cache with clients that answer when they are told to.
type world struct {
	t testing.TB
	Cache
	asked   []string
	answers []func(*scan.Stanza)
	learned []string
}

func newWorld(t testing.TB) *world {
	w := &world{t: t}
	w.Ask = func(_ *registry.Resource, payload []byte, f func(*scan.Stanza)) bool {
		w.asked, w.answers = append(w.asked, string(payload)), append(w.answers, f)
		return true
	}
	w.Learned = func(_ *registry.Resource, nodes []string) { w.learned = append(w.learned, strings.Join(nodes, " ")) }
	return w
}

func (w *world) resource(full string) *registry.Resource {
	j := addr.MustParse(full)
	a := &registry.Account{User: j.Bare()}
	r := &registry.Resource{Session: session.New(j, wire{}, session.NewLimits(session.Limits{})), Account: a, Available: true}
	a.Enter(r)
	return r
}

func (w *world) shows(r *registry.Resource, caps string, initial bool) {
	w.t.Helper()
	w.Shown(r, element(w.t, "<presence>"+caps+"</presence>"), initial)
}

func (w *world) answer(info string) {
	w.t.Helper()
	f := w.answers[0]
	w.answers = w.answers[1:]
	f(element(w.t, info))
}

func (w *world) want(asked int, learned string) {
	w.t.Helper()
	if got := strings.Join(w.learned, ", "); len(w.asked) != asked || got != learned {
		w.t.Errorf("asked %d times, learned %q; want %d, %q", len(w.asked), got, asked, learned)
	}
	w.learned = nil
}

func c(hash, ver string) string {
	return "<c xmlns='http://jabber.org/protocol/caps' hash='" + hash + "' node='urn:x' ver='" + ver + "'/>"
}

const (
	answered = "<identity category='client' type='pc' name='x'/><feature var='http://jabber.org/protocol/nick+notify'/>"
	ver      = "5w3W7tAdJ6f0TniLuuQPrtLunk8="
	nick     = "http://jabber.org/protocol/nick"
)

// The first client of a kind is asked, and no other (XEP-0115 §6.2).
func TestAskedOnce(t *testing.T) {
	w := newWorld(t)
	romeo, juliet := w.resource("romeo@example.com/x"), w.resource("juliet@example.com/x")
	w.shows(romeo, c("sha-1", ver), true)
	w.want(1, "")
	w.answer(query(answered))
	w.want(1, nick)
	w.shows(romeo, c("sha-1", ver)+"<show>dnd</show>", false) // says nothing new
	w.shows(romeo, "<show>away</show>", false)
	w.want(1, "")
	w.shows(juliet, c("sha-1", ver), true)
	w.want(1, nick)
	if !juliet.Caps.Wants(nick) || juliet.Caps != romeo.Caps {
		t.Error("not shared")
	}
	w.shows(romeo, c("sha-1", ver), true) // back after unavailable: it has missed things
	w.want(1, nick)
	w.shows(romeo, "", true)
	w.want(1, "")
	if romeo.Caps.Wants(nick) {
		t.Error("what another client of the resource said still counts")
	}
}

// Who lies, or has a hash that we cannot compute, speaks for itself alone (XEP-0115 §5.4).
func TestLies(t *testing.T) {
	w := newWorld(t)
	romeo, juliet := w.resource("romeo@example.com/x"), w.resource("juliet@example.com/x")
	for n, caps := range []string{c("sha-1", ver), c("md5", "abc"), "<c xmlns='http://jabber.org/protocol/caps' node='urn:old' ver='1'/>"} {
		w.shows(romeo, caps, true)
		w.want(2*n+1, "")
		w.answer(query("<feature var='lie+notify'/>"))
		w.want(2*n+1, "lie")
		w.shows(juliet, caps, true)
		w.want(2*n+2, "")
		w.answer("<iq type='error' id='1'><error type='cancel'/></iq>")
		w.want(2*n+2, "")
		if juliet.Caps != nil {
			t.Errorf("%s: believed of another", caps)
		}
		w.shows(romeo, caps, true)
		w.want(2*n+2, "lie") // it has answered already
	}
}

// What a client wanted before it still wants while it is asked what it now can; only what is new is learned.
func TestChanged(t *testing.T) {
	w := newWorld(t)
	romeo := w.resource("romeo@example.com/x")
	w.shows(romeo, c("sha-1", ver), true)
	w.answer(query(answered))
	w.want(1, nick)
	w.shows(romeo, c("sha-1", "other"), false)
	if !romeo.Caps.Wants(nick) {
		t.Error("forgotten while it is asked")
	}
	w.answer(query(answered + "<feature var='b+notify'/>"))
	w.want(2, "b")
	// An answer to a question about what it no longer says is too late.
	w.shows(romeo, c("sha-1", "third"), false)
	w.shows(romeo, c("sha-1", ver), false)
	w.answer(query("<feature var='late+notify'/>"))
	w.want(3, "")
	if romeo.Caps.Wants("late") || !romeo.Caps.Wants(nick) {
		t.Error(romeo.Caps.Notify)
	}
	// And so is one of a client that is no longer available.
	w.shows(romeo, c("sha-1", "fourth"), false)
	romeo.Available = false
	w.answer(query("<feature var='late+notify'/>"))
	w.want(4, "")
}

// Clients that invent hashes push out what was not used for long.
func TestBounded(t *testing.T) {
	var k Cache
	big := &registry.Capabilities{Notify: []string{strings.Repeat("x", maxNotifyBytes)}}
	for i := range 2 * maxBytes / maxNotifyBytes {
		k.keep("sha-1 "+strings.Repeat("v", i), big)
		k.find("sha-1 ")
	}
	if k.bytes > maxBytes || len(k.byHash) != k.recent.Len() {
		t.Errorf("%d bytes, %d entries, %d in the list", k.bytes, len(k.byHash), k.recent.Len())
	}
	if k.find("sha-1 ") == nil {
		t.Error("what is used was pushed out")
	}
	if k.find("sha-1 v") != nil {
		t.Error("what is not used stays")
	}
}

// Whatever a client answers is read.
func FuzzRead(f *testing.F) {
	f.Add(query(answered))
	f.Add(query("<x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'><value>a</value></field><field/></x>"))
	f.Fuzz(func(t *testing.T, text string) {
		var sc scan.Scanner
		var st scan.Stanza
		if _, err := sc.Next([]byte(text), &st); err != nil || len(st.Children) == 0 {
			return
		}
		i := read(st.Element(0))
		if n := i.capabilities(); len(n.Notify) > maxNotify {
			t.Errorf("%d nodes", len(n.Notify))
		}
		if i.ver("sha-1") != read(st.Element(0)).ver("sha-1") {
			t.Error("the same twice is not the same")
		}
	})
}
