package scan_test

import (
	"fmt"
	"strings"
	"testing"

	"rosterd/xmppcore/scan"
)

func mustScan(t *testing.T, in string) *scan.Stanza {
	t.Helper()
	st, n, err := scanOne(in)
	if err != nil || n != len(in) {
		t.Fatalf("%q: n = %d, err = %v", in, n, err)
	}
	return st
}

func TestFind(t *testing.T) {
	st := mustScan(t, `<iq id='1' type='set'><x/><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balc&#111;ny</resource></bind></iq>`)
	bind, ok := st.Find("urn:ietf:params:xml:ns:xmpp-bind", "bind")
	if !ok {
		t.Fatal("no bind")
	}
	resource, ok := bind.Find("urn:ietf:params:xml:ns:xmpp-bind", "resource")
	if !ok || resource.Text() != "balcony" || string(resource.Inner()) != "balc&#111;ny" {
		t.Errorf("resource %t %q %q", ok, resource.Text(), resource.Inner())
	}
	if _, ok := st.Find("jabber:client", "bind"); ok {
		t.Error("found bind in another namespace")
	}
	if _, ok := bind.Find("", "jid"); ok {
		t.Error("found a jid")
	}
	if e, ok := st.Find("", "bind"); !ok || string(e.Raw) != string(bind.Raw) {
		t.Error("any namespace: bind not found")
	}
}

func TestElements(t *testing.T) {
	const in = `<iq><query xmlns='jabber:iq:roster' ver='a"b'>text` +
		`<item jid='juliet@example.com' name = "J &amp; co &lt;3 > /"><group>Friends</group><group/></item >` +
		`<![CDATA[<item/>]]><p:item xmlns:p='urn:p' p:a="'"><p:b/><c xmlns=''/><d xmlns='urn:&#100;'><e/></d></p:item></query></iq>`
	query := mustScan(t, in).Element(0)
	var got []string
	var walk func(e scan.Element, depth int)
	walk = func(e scan.Element, depth int) {
		var attrs []string
		for a := range e.Attrs() {
			v, _ := e.Attr(string(a.Name))
			attrs = append(attrs, fmt.Sprintf(" %s=[%s]", a.Name, v))
		}
		got = append(got, fmt.Sprintf("%s%s %s%s", strings.Repeat(".", depth), e.Space, e.Name, strings.Join(attrs, "")))
		for c := range e.Elements() {
			walk(c, depth+1)
		}
	}
	walk(query, 0)
	want := []string{
		`jabber:iq:roster query xmlns=[jabber:iq:roster] ver=[a"b]`,
		`.jabber:iq:roster item jid=[juliet@example.com] name=[J & co <3 > /]`,
		`..jabber:iq:roster group`,
		`..jabber:iq:roster group`,
		`.urn:p item xmlns:p=[urn:p] p:a=[']`,
		`..urn:p b`,
		`.. c xmlns=[]`,
		`..urn:d d xmlns=[urn:d]`,
		`...urn:d e`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if text := query.Text(); text != "text<item/>" {
		t.Errorf("Text = %q", text)
	}
	for range query.Elements() {
		break // yield must not be called again
	}
	if _, ok := query.Attr("jid"); ok {
		t.Error("query has no jid")
	}
}

func TestText(t *testing.T) {
	tests := []struct{ in, want string }{
		{`<a/>`, ""},
		{`<a></a>`, ""},
		{`<a>b</a>`, "b"},
		{`<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x1F600;</a>`, "<>&'\"A\U0001F600"},
		{"<a>1\r\n2\r3\n4\t5&#13;&#10;6</a>", "1\n2\n3\n4\t5\r\n6"},
		{"<a>x<![CDATA[&lt;\r\n\r<b>]]]]>y</a>", "x&lt;\n\n<b>]]y"},
		{"<a>x\r<![CDATA[\r]]>\n</a>", "x\n\n\n"},
		{`<a>b<c>d</c>e<f/>g<![CDATA[]]></a>`, "beg"},
		{`<a> <b c='>'>x</b> </a >`, "  "},
	}
	for _, tt := range tests {
		if got := mustScan(t, tt.in).Root().Text(); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestAppendValue(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain é", "plain é"},
		{"a\tb\nc\r\nd\re", "a b c d e"},
		{"&#9;&#10;&#xD;", "\t\n\r"},
		{"&lt;&amp;amp;", "<&amp;"},
		{"not checked: & &foo; &#0; &", "not checked: & &foo; &#0; &"},
	}
	for _, tt := range tests {
		if got := string(scan.AppendValue([]byte("x"), []byte(tt.in))); got != "x"+tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

// An Element knows the prefixes of the stream header too.
func TestElementInherits(t *testing.T) {
	var sc scan.Scanner
	var h scan.Header
	var st scan.Stanza
	if _, err := sc.NextHeader([]byte(`<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:p='urn:p' xmlns:q='urn:q'>`), &h); err != nil {
		t.Fatal(err)
	}
	if _, err := sc.Next([]byte(`<p:iq xmlns:q='urn:own'><a><p:b/><q:c/><xml:d/></a></p:iq>`), &st); err != nil {
		t.Fatal(err)
	}
	root := st.Root()
	if string(root.Space) != "urn:p" || string(root.Name) != "iq" {
		t.Errorf("root %s in %s", root.Name, root.Space)
	}
	for _, e := range []scan.Element{st.Element(0), first(root)} {
		if string(e.Space) != "jabber:server" {
			t.Errorf("a in %s", e.Space)
		}
		for _, want := range []string{"urn:p b", "urn:own c", scan.NSXML + " d"} {
			space, name, _ := strings.Cut(want, " ")
			if _, ok := e.Find(space, name); !ok {
				t.Errorf("no %s", want)
			}
		}
	}
}

func first(e scan.Element) scan.Element {
	for c := range e.Elements() {
		return c
	}
	return scan.Element{}
}
