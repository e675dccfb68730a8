package stream

import (
	"bytes"
	"testing"

	"rosterd/xmppcore/scan"
)

func TestForClients(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"the namespace is left to the stream", `<message><body>a</body></message>`, `<message><body>a</body></message>`},
		{"of the stanza", `<message xmlns='jabber:component:accept' to='a'/>`, `<message xmlns='jabber:client' to='a'/>`},
		{"of a child", `<message><body xmlns="jabber:component:accept">a</body></message>`, `<message><body xmlns="jabber:client">a</body></message>`},
		{"by a prefix", `<c:message xmlns:c = 'jabber:component:accept'><c:body/></c:message>`, `<c:message xmlns:c = 'jabber:client'><c:body/></c:message>`},
		{"other namespaces", `<message xmlns:x='jabber:component:accepted'><x:y xmlns='u'/></message>`, `<message xmlns:x='jabber:component:accepted'><x:y xmlns='u'/></message>`},
		{"another attribute", `<message id='jabber:component:accept' x-xmlns='jabber:component:accept'/>`, `<message id='jabber:component:accept' x-xmlns='jabber:component:accept'/>`},
		{"text", `<message><body>xmlns='jabber:component:accept'></body></message>`, `<message><body>xmlns='jabber:component:accept'></body></message>`},
		{"CDATA", `<message><![CDATA[<a xmlns='jabber:component:accept'>]]></message>`, `<message><![CDATA[<a xmlns='jabber:component:accept'>]]></message>`},
		{"a value with the end of a tag", `<a b='>' xmlns='jabber:component:accept'/>`, `<a b='>' xmlns='jabber:client'/>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(appendForClients(nil, []byte(c.in))); got != c.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// What a component may write is, when it is translated, an element that may be written, with the same children; and it
// is not translated twice.
func FuzzForClients(f *testing.F) {
	for _, s := range []string{
		`<message xmlns='jabber:component:accept' to="it's"><body xmlns="jabber:component:accept">a &lt; b</body><![CDATA[<c>]]></message>`,
		`<c:iq xmlns:c="jabber:component:accept"><q xmlns='u' xmlns:d='jabber:component:accept' d:e='>'/></c:iq>`,
		`<presence/>`, `<a b = '/>' c = "'"></a >`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var sc scan.Scanner
		var before, after scan.Stanza
		n, err := sc.Next([]byte(text), &before)
		if err != nil {
			return
		}
		got := appendForClients(nil, before.Raw)
		sc = scan.Scanner{}
		m, err := sc.Next(got, &after)
		if se, ok := err.(*scan.Error); ok && se.Condition == scan.NotWellFormed {
			return // an attribute of either namespace: two of one
		}
		if err != nil || m != len(got) || len(after.Children) != len(before.Children) || !bytes.Equal(after.Name, before.Name) {
			t.Fatalf("%q (%d bytes) became %q: %v", text, n, got, err)
		}
		if again := appendForClients(nil, got); !bytes.Equal(again, got) {
			t.Fatalf("%q became %q and then %q", text, got, again)
		}
	})
}
