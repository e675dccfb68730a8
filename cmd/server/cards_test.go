package main

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rosterd/xmppcore/xmpptest"
)

// staff is a backend that says who its users are.
type staff struct {
	*httptest.Server
	mu    sync.Mutex
	cards map[string]string
	down  bool
	asked map[string]int // cards, by user
	keys  map[string]bool
}

func newStaff(t *testing.T) *staff {
	s := &staff{cards: map[string]string{}, asked: map[string]int{}, keys: map[string]bool{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *staff) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind, user, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if kind == "rosters" {
		fmt.Fprint(w, map[string]string{"romeo": `{"juliet@example.com":{}}`, "juliet": `{"romeo@example.com":{}, "mercutio@example.com":{}}`}[user])
		return
	}
	s.asked[user]++
	s.keys[r.Header.Get("X-Key")] = true
	card, ok := s.cards[user]
	switch {
	case s.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		fmt.Fprint(w, card)
	}
}

func (s *staff) set(user, card string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cards[user] = card
}

func (s *staff) fail(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *staff) times(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[user]
}

// picture is one in JSON, with its hash.
func picture(data string) (photo, hash string) {
	sum := sha1.Sum([]byte(data))
	return `{"type":"image/png","data":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"}`, hex.EncodeToString(sum[:])
}

// wantPicture waits for what tells a contact's clients of his picture: its hash in the presence, and the event. Without a hash
// there is none any more.
func (c *client) wantPicture(of, hash string) {
	c.t.Helper()
	c.wantHash(of, hash)
	c.wantEvent(of, hash)
}

func (c *client) wantHash(of, hash string) {
	c.t.Helper()
	_, err := c.Expect(c.ctx, "presence with "+hash, func(e xmpptest.Element) bool {
		photo, ok := e.Path("x", "photo")
		return ok && e.Name.Local == "presence" && strings.HasPrefix(e.Attr("from"), of) && photo.Text == hash
	})
	c.must(err)
}

func (c *client) wantEvent(of, hash string) {
	c.t.Helper()
	_, err := c.Expect(c.ctx, "event with "+hash, func(e xmpptest.Element) bool {
		m, ok := e.Path("event", "items", "item", "metadata")
		info, some := m.Find("", "info")
		return ok && e.Attr("from") == of && e.Attr("type") == "headline" && some == (hash != "") && info.Attr("id") == hash
	})
	c.must(err)
}

// appearWith sends initial presence of a client that wants the events of a node, and answers what the server asks of it.
func (c *client) appearWith(node string) {
	c.t.Helper()
	sum := sha1.Sum([]byte("client/pc//<" + node + "+notify<"))
	c.send("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://c.example' ver='%s'/></presence>", base64.StdEncoding.EncodeToString(sum[:]))
	asked, err := c.Expect(c.ctx, "a question", func(e xmpptest.Element) bool { return e.Name.Local == "iq" && e.Attr("type") == "get" })
	c.must(err)
	q, _ := asked.Find("", "query")
	c.send("<iq type='result' id='%s' to='%s'><query xmlns='http://jabber.org/protocol/disco#info' node='%s'><identity category='client' type='pc'/><feature var='%s+notify'/></query></iq>",
		asked.Attr("id"), asked.Attr("from"), q.Attr("node"), node)
}

// TestBackendCards: vCards and avatars are what the backend says; the standard one, and scripts in a process of their own and
// in the server's.
func TestBackendCards(t *testing.T) {
	script := `local http = require "net.http"
local rosters, cards = module:get_option_url_template("http_roster_url"), module:get_option_url_template("crm_cards")
module:provides("roster", {
	fetch = function(name) return http.request(rosters(name)) end,
	vcard = function(r)
		assert(r.jid == r.username.."@"..r.host)
		local res, err = http.request(cards(r.username))
		if not res then return nil, "temporary", err end
		if res.code ~= 200 then return res end
		return require "util.json".decode(res.body)
	end })`
	for _, tt := range []struct{ name, module, option string }{
		{"standard", "http_roster_admin", `rosterd_vcard_url = "URL/cards/%s"`},
		{"isolated", "crm", `crm_cards = "URL/cards/%s"`},
		{"in the server's process", "crm", `rosterd_plugin_isolation = "inproc" crm_cards = "URL/cards/%s"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := newStaff(t)
			photo, hash := picture("\x89PNG one")
			backend.set("romeo", `{"fn":"Romeo <M>","given":"Romeo","family":"Montague","nickname":"Ro","email":["r@m.example"],"tel":"+39 1","org":"Montague","title":"Son","role":"Lover","url":"https://m.example/?a&b","bday":"1580-01-02","note":"star-crossed","x":[1],"photo":`+photo+`}`)
			portrait, hash3 := picture("GIF89a")
			backend.set("mercutio", `{"photo":`+portrait+`}`)
			backend.set("paris", `{"fn":5}`)
			text := open(backend.URL+"/rosters/%s", strings.ReplaceAll(tt.option, "URL", backend.URL), `rosterd_backend_headers = { ["X-Key"] = "k" }`)
			text = strings.ReplaceAll(strings.ReplaceAll(text, `"disco", "ping"`, `"disco", "ping", "pep", "vcard_legacy", "vcard4"`), `"http_roster_admin"`, `"`+tt.module+`"`)
			p := newPlace(t, "plugin_paths = { \"mods\" }\n"+text)
			mods := filepath.Join(p.dir, "mods")
			if err := os.MkdirAll(mods, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(mods, "mod_crm.lua"), []byte(script), 0o644); err != nil {
				t.Fatal(err)
			}
			s := p.serve(t)
			garden := s.login(t, "juliet@example.com/garden") // a client that wants no events
			garden.wantRoster("mercutio@example.com||both|", "romeo@example.com||both|")
			garden.appear()
			romeo := s.login(t, "romeo@example.com/orchard")
			romeo.wantRoster("juliet@example.com||both|")
			romeo.appear()
			garden.wantHash("romeo@example.com", hash)
			juliet := s.login(t, "juliet@example.com/balcony")
			juliet.appearWith("urn:xmpp:avatar:metadata")
			juliet.wantHash("romeo@example.com", hash)
			juliet.wantEvent("romeo@example.com", hash)
			juliet.wantEvent("mercutio@example.com", hash3) // who is offline, and nobody has asked for before
			ask := func(c *client, typ, to, payload string) xmpptest.Element {
				t.Helper()
				e, err := c.IQ(c.ctx, typ, to, payload)
				c.must(err)
				return e
			}
			holds := func(e xmpptest.Element, want string) {
				t.Helper()
				if e.Attr("type") != "result" || !strings.Contains(e.Raw, want) {
					t.Errorf("%s\nwant %s", e, want)
				}
			}
			data := base64.StdEncoding.EncodeToString([]byte("\x89PNG one"))
			holds(ask(juliet, "get", "romeo@example.com", "<vCard xmlns='vcard-temp'/>"), "<vCard xmlns='vcard-temp'><FN>Romeo &lt;M&gt;</FN><N><FAMILY>Montague</FAMILY><GIVEN>Romeo</GIVEN></N><NICKNAME>Ro</NICKNAME>"+
				"<PHOTO><TYPE>image/png</TYPE><BINVAL>"+data+"</BINVAL></PHOTO><BDAY>1580-01-02</BDAY><TEL><NUMBER>+39 1</NUMBER></TEL><EMAIL><INTERNET/><USERID>r@m.example</USERID></EMAIL>"+
				"<TITLE>Son</TITLE><ROLE>Lover</ROLE><ORG><ORGNAME>Montague</ORGNAME></ORG><NOTE>star-crossed</NOTE><URL>https://m.example/?a&amp;b</URL></vCard>")
			holds(ask(romeo, "get", "", "<vCard xmlns='vcard-temp'/>"), "<FN>Romeo &lt;M&gt;</FN>")
			four := "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Romeo &lt;M&gt;</text></fn><n><surname>Montague</surname><given>Romeo</given></n>"
			holds(ask(juliet, "get", "romeo@example.com", "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>"), four)
			items := func(node, more string) string {
				return "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='" + node + "'>" + more + "</items></pubsub>"
			}
			holds(ask(juliet, "get", "romeo@example.com", items("urn:xmpp:vcard4", "")), "<item id='current'>"+four)
			holds(ask(juliet, "get", "romeo@example.com", items("urn:xmpp:avatar:metadata", "")),
				fmt.Sprintf("<item id='%s'><metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='8' id='%s' type='image/png'/></metadata></item>", hash, hash))
			holds(ask(juliet, "get", "romeo@example.com", items("urn:xmpp:avatar:data", "<item id='"+hash+"'/>")), "<item id='"+hash+"'><data xmlns='urn:xmpp:avatar:data'>"+data+"</data></item>")
			equal(t, "fetches", backend.times("romeo"), 1)

			// It is not theirs to change.
			publish := "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='%s'><item id='x'><a xmlns='b'/></item></publish></pubsub>"
			for _, set := range []string{
				"<vCard xmlns='vcard-temp'><FN>R</FN></vCard>", "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>",
				fmt.Sprintf(publish, "urn:xmpp:avatar:data"), fmt.Sprintf(publish, "urn:xmpp:avatar:metadata"), fmt.Sprintf(publish, "urn:xmpp:vcard4"),
				"<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='urn:xmpp:avatar:data'/></pubsub>",
			} {
				equal(t, set, refusal(ask(romeo, "set", "", set)), "cancel/not-allowed")
			}
			holds(ask(romeo, "set", "", fmt.Sprintf(publish, "urn:other")), "<publish node='urn:other'>")
			equal(t, "another's", refusal(ask(juliet, "set", "romeo@example.com", "<vCard xmlns='vcard-temp'/>")), "auth/forbidden")

			// What there is not, and what is wrong.
			equal(t, "nobody", refusal(ask(juliet, "get", "tybalt@example.com", "<vCard xmlns='vcard-temp'/>")), "cancel/item-not-found")
			equal(t, "no picture", refusal(ask(juliet, "get", "tybalt@example.com", items("urn:xmpp:avatar:data", ""))), "cancel/item-not-found")
			equal(t, "a wrong field", refusal(ask(juliet, "get", "paris@example.com", "<vCard xmlns='vcard-temp'/>")), "wait/internal-server-error")
			if len(s.log.find("vCard not fetched", "vCard of paris@example.com: fn: a number, not a string")) != 1 {
				t.Errorf("the log does not say what is wrong:\n%s", s.log)
			}

			// Another picture, of which the backend tells.
			other, hash2 := picture("\x89PNG two")
			backend.set("romeo", `{"fn":"Romeo","photo":`+other+`}`)
			s.refresh(t, "romeo")
			juliet.wantPicture("romeo@example.com", hash2)
			romeo.send("<presence><show>away</show><x xmlns='vcard-temp:x:update'><photo>%s</photo></x></presence>", hash)
			juliet.must(func() error {
				_, err := juliet.Expect(juliet.ctx, "away, with the picture of the backend", func(e xmpptest.Element) bool {
					_, away := e.Find("", "show")
					photo, _ := e.Path("x", "photo")
					return away && photo.Text == hash2
				})
				return err
			}())

			// An outage: what is known is served, the rest has to wait, and everything else goes on.
			backend.fail(true)
			s.refresh(t, "romeo")
			holds(ask(juliet, "get", "romeo@example.com", "<vCard xmlns='vcard-temp'/>"), "<FN>Romeo</FN>")
			equal(t, "not known", refusal(ask(juliet, "get", "nurse@example.com", "<vCard xmlns='vcard-temp'/>")), "wait/remote-server-timeout")
			juliet.alive()
			backend.fail(false)
			backend.set("romeo", `{"fn":"Romeo"}`)
			s.refresh(t, "romeo")
			juliet.wantPicture("romeo@example.com", "")
			equal(t, "sent along", backend.keys["k"] && len(backend.keys) == 1, true)
			s.refresh(t, "abram")
			equal(t, "fetches of who is of no concern", backend.times("abram"), 0)
		})
	}
}
