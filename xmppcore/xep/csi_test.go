package xep_test

import (
	"testing"

	"rosterd/xmppcore/xep"
)

func TestCanWait(t *testing.T) {
	waits := xep.CanWait("{urn:x}y", "{http://jabber.org/protocol/muc#user}x/{http://jabber.org/protocol/muc#user}decline", "z", "{urn:any}")
	for _, c := range []struct{ name, stanza, key, waits string }{
		{"presence", "<presence from='a@b/c'><show>away</show></presence>", "presence a@b/c", "waits"},
		{"unavailable", "<presence from='a@b/c' type='unavailable'/>", "presence a@b/c", "waits"},
		{"an error of presence", "<presence from='a@b/c' type='error'/>", "", "waits"},
		{"a subscription request", "<presence from='a@b/c' type='subscribe'/>", "", ""},
		{"a subscription", "<presence from='a@b/c' type='subscribed'/>", "", ""},
		{"an iq", "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "", ""},
		{"no stanza", "<r xmlns='urn:xmpp:sm:3'/>", "", ""},
		{"no XML", "<message", "", ""},
		{"a message to read", "<message from='a@b/c'><body>hi</body></message>", "", ""},
		{"a subject", "<message type='groupchat'><subject/></message>", "", ""},
		{"another subject", "<message><subject xmlns='urn:other'/></message>", "", "waits"},
		{"a headline", "<message type='headline'><body>news</body></message>", "", "waits"},
		{"an error", "<message type='error'/>", "", ""},
		{"composing", "<message type='chat' from='a@b/c'><composing xmlns='http://jabber.org/protocol/chatstates'/><thread>1</thread></message>", "state a@b/c", "waits"},
		{"composing, and hints", "<message from='a@b'><composing xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/></message>", "state a@b", "waits"},
		{"a state and something else", "<message from='a@b'><active xmlns='http://jabber.org/protocol/chatstates'/><received xmlns='urn:xmpp:receipts' id='1'/></message>", "", "waits"},
		{"a receipt", "<message><received xmlns='urn:xmpp:receipts' id='1'/></message>", "", "waits"},
		{"encrypted", "<message><encryption xmlns='urn:xmpp:eme:0' namespace='x'/></message>", "", ""},
		{"an invitation", "<message><x xmlns='jabber:x:conference' jid='r@c'/></message>", "", ""},
		{"an invitation by a room", "<message><x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x></message>", "", ""},
		{"something else of a room", "<message><x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>", "", "waits"},
		{"a call", "<message><propose xmlns='urn:xmpp:jingle-message:0' id='1'/></message>", "", ""},
		{"a copy of what the user said elsewhere", "<message><sent xmlns='urn:xmpp:carbons:2'/></message>", "", ""},
		{"a copy of what the user got elsewhere", "<message><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@b/c'><body>x</body></message></forwarded></received></message>", "", ""},
		{"a copy of a state", "<message from='me@b'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@b/c'><paused xmlns='http://jabber.org/protocol/chatstates'/></message></forwarded></received></message>", "state a@b/c", "waits"},
		{"an important payload", "<message><y xmlns='urn:x'/></message>", "", ""},
		{"of another namespace", "<message><y xmlns='urn:y'/></message>", "", "waits"},
		{"of any namespace", "<message><z xmlns='urn:y'/></message>", "", ""},
		{"of any name", "<message><w xmlns='urn:any'/></message>", "", ""},
		{"deeper inside", "<message><x xmlns='http://jabber.org/protocol/muc#user'><decline/></x></message>", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, ok := waits([]byte(c.stanza))
			if key != c.key || ok != (c.waits != "") {
				t.Errorf("key %q, waits: %v", key, ok)
			}
		})
	}
}

// What others have written is sorted, whatever it is.
func FuzzCanWait(f *testing.F) {
	f.Add("<message><x xmlns='a'><y/></x></message>", "{a}x/y")
	f.Add("<presence/>", "/{}//")
	f.Fuzz(func(t *testing.T, stanza, path string) {
		if key, ok := xep.CanWait(path)([]byte(stanza)); key != "" && !ok {
			t.Errorf("%q has a key and does not wait", stanza)
		}
	})
}
