package migrate

import (
	"testing"

	"rosterd/store/prosody"
)

// Whatever Prosody has for a message or a vCard, what is kept of it is one element that can be read.
func FuzzStanzas(f *testing.F) {
	for _, s := range []string{
		"<message from='a@b/c' to='juliet@example.com'><body>x</body></message>", "<message xmlns='jabber:client' to='@'/>", "<message/><message/>",
		"<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>&lt;</text></fn><tel><uri>tel:1</uri></tel></vcard>", "<a xmlns:x='y' x:z=''/>",
		"<message xml:lang='it'><delay xmlns='urn:xmpp:delay' from='example.com'/></message>",
	} {
		f.Add(s)
	}
	o := &one{Host: &Host{}, user: juliet}
	f.Fuzz(func(t *testing.T, text string) {
		item := prosody.Item{Key: "k", Stanza: []byte(text)}
		for _, take := range []func(prosody.Item) ([]byte, error){
			func(i prosody.Item) ([]byte, error) { e, err := o.said(i); return e.Stanza, err },
			func(i prosody.Item) ([]byte, error) { e, err := o.waiting(i); return e.Stanza, err },
		} {
			kept, err := take(item)
			if err != nil {
				continue
			}
			if _, err := message(kept); err != nil {
				t.Fatalf("%q became %q: %v", text, kept, err)
			}
		}
		for _, take := range []func([]byte) ([]byte, error){
			oldCard,
			func(b []byte) ([]byte, error) { p, err := pieceOf(b); return p.text, err },
		} {
			kept, err := take([]byte(text))
			if err != nil {
				continue
			}
			if _, err := pieceOf(kept); err != nil {
				t.Fatalf("%q became %q: %v", text, kept, err)
			}
		}
	})
}
