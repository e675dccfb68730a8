package rosterproto

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

func set(t testing.TB, items string) (Set, *stanza.Error) {
	t.Helper()
	var sc scan.Scanner
	var st scan.Stanza
	text := "<iq xmlns='jabber:client' type='set' id='1'><query xmlns='jabber:iq:roster'>" + items + "</query></iq>"
	if _, err := sc.Next([]byte(text), &st); err != nil {
		t.Fatal(err)
	}
	return DecodeSet(st.Element(0))
}

// What a roster set may hold, and the conditions of RFC 6121 §2.3.3.
func TestDecodeSet(t *testing.T) {
	long := strings.Repeat("x", maxText)
	many := func(n, length int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "<group>%0*d</group>", length, i)
		}
		return b.String()
	}
	juliet := addr.MustBare("juliet@example.com")
	for _, tt := range []struct {
		name, items string
		want        Set
		condition   stanza.Condition
	}{
		{"alone", "<item jid='juliet@example.com'/>", Set{Item: roster.Item{JID: juliet}}, ""},
		{"prepared", "<item jid='JULIET@Example.COM'/>", Set{Item: roster.Item{JID: juliet}}, ""},
		{"space around", "\n <item jid='juliet@example.com'/> ", Set{Item: roster.Item{JID: juliet}}, ""},
		{"name and sorted groups", "<item jid='juliet@example.com' name='J &amp; &lt;'><group>b</group><group>a</group></item>",
			Set{Item: roster.Item{JID: juliet, Name: "J & <", Groups: []string{"a", "b"}}}, ""},
		{"groups of space, and of other case", "<item jid='juliet@example.com'><group> </group><group>a</group><group>A</group></item>",
			Set{Item: roster.Item{JID: juliet, Groups: []string{" ", "A", "a"}}}, ""},
		{"removed", "<item jid='juliet@example.com' subscription='remove' name='x'><group/></item>", Set{Item: roster.Item{JID: juliet}, Remove: true}, ""},
		{"states are not the client's", "<item jid='juliet@example.com' subscription='both' ask='subscribe' approved='true'/>", Set{Item: roster.Item{JID: juliet}}, ""},
		{"elements of others", "<item jid='juliet@example.com'><group xmlns='urn:x'/><x xmlns='urn:x'><group/></x></item>", Set{Item: roster.Item{JID: juliet}}, ""},
		{"longest", "<item jid='juliet@example.com' name='" + long + "'><group>" + long + "</group></item>", Set{Item: roster.Item{JID: juliet, Name: long, Groups: []string{long}}}, ""},

		{"nothing", "", Set{}, stanza.BadRequest},
		{"text", "juliet", Set{}, stanza.BadRequest},
		{"two", "<item jid='a@b'/><item jid='a@b'/>", Set{}, stanza.BadRequest},
		{"beside something else", "<item jid='a@b'/><x xmlns='urn:x'/>", Set{}, stanza.BadRequest},
		{"no item", "<x jid='a@b'/>", Set{}, stanza.BadRequest},
		{"no jid", "<item/>", Set{}, stanza.BadRequest},
		{"empty jid", "<item jid=''/>", Set{}, stanza.JIDMalformed},
		{"malformed jid", "<item jid='a b@example.com'/>", Set{}, stanza.JIDMalformed},
		{"full jid", "<item jid='a@b/c'/>", Set{}, stanza.BadRequest},
		{"full jid to remove", "<item jid='a@b/c' subscription='remove'/>", Set{}, stanza.BadRequest},
		{"same group", "<item jid='a@b'><group>a</group><group>b</group><group>a</group></item>", Set{}, stanza.BadRequest},
		{"empty group", "<item jid='a@b'><group></group></item>", Set{}, stanza.NotAcceptable},
		{"name too long", "<item jid='a@b' name='" + long + "x'/>", Set{}, stanza.NotAcceptable},
		{"group too long", "<item jid='a@b'><group>" + long + "x</group></item>", Set{}, stanza.NotAcceptable},
		{"too many groups", "<item jid='a@b'>" + many(maxGroups+1, 2) + "</item>", Set{}, stanza.NotAcceptable},
		{"too much of all", "<item jid='a@b'>" + many(9, 1000) + "</item>", Set{}, stanza.NotAcceptable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, refused := set(t, tt.items)
			if refused != nil {
				if refused.Condition != tt.condition || refused.Text == "" {
					t.Fatalf("refused: %v", refused)
				}
				return
			}
			if tt.condition != "" || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v", got)
			}
		})
	}
}

// Whatever comes is refused, or is what may stand in a roster: its push says the same.
func FuzzDecodeSet(f *testing.F) {
	f.Add("<item jid='juliet@example.com' name='J'><group>a</group></item>")
	f.Add("<item jid='juliet@example.com' subscription='remove'/>")
	f.Add("<item jid='a@b'><group><![CDATA[x]]></group><r:group xmlns:r='jabber:iq:roster'>&#x79;</r:group></item>")
	f.Add("<r:item xmlns:r='jabber:iq:roster' jid='a@b'/>")
	f.Fuzz(func(t *testing.T, items string) {
		var sc scan.Scanner
		var st scan.Stanza
		text := "<iq xmlns='jabber:client' type='set' id='1'><query xmlns='jabber:iq:roster'>" + items + "</query></iq>"
		if n, err := sc.Next([]byte(text), &st); err != nil || n != len(text) || len(st.Children) != 1 {
			return
		}
		s, refused := DecodeSet(st.Element(0))
		if refused != nil {
			return
		}
		if s.Remove && (s.Item.Name != "" || s.Item.Groups != nil) {
			t.Fatalf("removed: %+v", s)
		}
		b := roster.NewBuilder(addr.Bare{}, roster.Limits{Groups: maxGroups})
		b.Add(s.Item.JID.String(), roster.Item{Name: s.Item.Name, Groups: slices.Clone(s.Item.Groups)})
		list, bad, err := b.Roster()
		if err != nil || len(bad) > 0 || !list.Items()[0].Equal(s.Item) {
			t.Fatalf("%+v became %+v: %v %v", s.Item, list.Items(), bad, err)
		}
		again, refused := set(t, string(AppendItem(nil, &s.Item)))
		if refused != nil || !again.Item.Equal(s.Item) {
			t.Fatalf("%+v was written and read as %+v: %v", s.Item, again.Item, refused)
		}
	})
}
