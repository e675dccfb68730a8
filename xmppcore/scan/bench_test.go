package scan_test

import (
	"testing"

	"rosterd/xmppcore/scan"
)

// message is the size and shape of what chat clients send: a body, a chat state,
// a receipt request and an origin id; 297 bytes.
const message = `<message to='juliet@example.com/balcony' id='f2b5a6c8-6d11-4a5e-8c0e-3b1f0a9c7d21' type='chat'>` +
	`<body>Art thou not Romeo, and a Montague? Neither, fair saint, if either.</body>` +
	`<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>` +
	`<x id='a1' xmlns='urn:xmpp:sid:0'/></message>`

func BenchmarkNext(b *testing.B) {
	var sc scan.Scanner
	var st scan.Stanza
	in := []byte(message)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := sc.Next(in, &st); err != nil || n != len(in) {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkNextUnicode(b *testing.B) {
	var sc scan.Scanner
	var st scan.Stanza
	in := []byte(`<message to='juliet@example.com' type='chat'><body>Ромео, о зачем же ты, Ромео? Покинь отца и отрекись навеки от имени родного</body></message>`)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := sc.Next(in, &st); err != nil || n != len(in) {
			b.Fatal(n, err)
		}
	}
}
