package stanza_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// parse checks that b is one stanza for the scanner and for encoding/xml.
func parse(t *testing.T, b []byte) *scan.Stanza {
	t.Helper()
	var sc scan.Scanner
	var st scan.Stanza
	if n, err := sc.Next(b, &st); err != nil || n != len(b) {
		t.Fatalf("%q: n = %d, err = %v", b, n, err)
	}
	const around = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`
	d := xml.NewDecoder(strings.NewReader(around + string(b) + `</stream:stream>`))
	for {
		switch _, err := d.Token(); {
		case err == io.EOF:
			return &st
		case err != nil:
			t.Fatalf("%q: encoding/xml: %v", b, err)
		}
	}
}

// from returns the stanza in, sent inside a stream with the given header.
func from(t *testing.T, header, in string) *scan.Stanza {
	t.Helper()
	var sc scan.Scanner
	var st scan.Stanza
	if header != "" {
		var h scan.Header
		if _, err := sc.NextHeader([]byte(header), &h); err != nil {
			t.Fatalf("%q: %v", header, err)
		}
	}
	if n, err := sc.Next([]byte(in), &st); err != nil || n != len(in) {
		t.Fatalf("%q: n = %d, err = %v", in, n, err)
	}
	return &st
}

func TestBuilders(t *testing.T) {
	payload := []byte(`<query xmlns='jabber:iq:roster'/>`)
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"result", stanza.AppendResult(nil, "1", "", "a@b/c", payload), `<iq type='result' id='1' to='a@b/c'><query xmlns='jabber:iq:roster'/></iq>`},
		{"empty result", stanza.AppendResult(nil, "1", "a@b", "a@b/c", nil), `<iq type='result' id='1' from='a@b' to='a@b/c'/>`},
		{"set", stanza.AppendIQ(nil, stanza.TypeSet, "p'1", "", "a@b/<c>&", payload), `<iq type='set' id='p&apos;1' to='a@b/&lt;c&gt;&amp;'><query xmlns='jabber:iq:roster'/></iq>`},
		{"get", stanza.AppendIQ(nil, stanza.TypeGet, "1", "b", "", payload), `<iq type='get' id='1' from='b'><query xmlns='jabber:iq:roster'/></iq>`},
		{"available", stanza.AppendPresence(nil, "a@b/c", "d@e", "", []byte(`<show>away</show>`)), `<presence from='a@b/c' to='d@e'><show>away</show></presence>`},
		{"unavailable", stanza.AppendPresence(nil, "a@b/c", "d@e", stanza.TypeUnavailable, nil), `<presence type='unavailable' from='a@b/c' to='d@e'/>`},
		{"appended", stanza.AppendPresence([]byte("<a/>")[:0], "", "", "", nil), `<presence/>`},
		{"addressed", stanza.AppendAddressed(nil, []byte(`<presence from='a@b/c'><show>away</show></presence>`), "d'@e"), `<presence to='d&apos;@e' from='a@b/c'><show>away</show></presence>`},
		{"addressed, no attributes", stanza.AppendAddressed(nil, []byte(`<presence><show>away</show></presence>`), "d@e"), `<presence to='d@e'><show>away</show></presence>`},
		{"addressed, empty", stanza.AppendAddressed(nil, []byte(`<presence/>`), "d@e"), `<presence to='d@e'/>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if string(tt.got) != tt.want {
				t.Errorf("%s\nwant %s", tt.got, tt.want)
			}
			if k := stanza.KindOf(parse(t, tt.got)); k == stanza.None {
				t.Error("no stanza")
			}
		})
	}
}

func TestKindOf(t *testing.T) {
	tests := []struct {
		in   string
		want stanza.Kind
	}{
		{`<message/>`, stanza.Message},
		{`<presence/>`, stanza.Presence},
		{`<iq id='1'/>`, stanza.IQ},
		{`<iq xmlns='jabber:client'/>`, stanza.IQ},
		{`<c:iq xmlns:c='jabber:client' xmlns='u'/>`, stanza.IQ},
		{`<message xmlns='foo'/>`, stanza.None},
		{`<message xmlns=''/>`, stanza.None},
		{`<stream:message/>`, stanza.None},
		{`<Message/>`, stanza.None},
		{`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>`, stanza.None},
	}
	for _, tt := range tests {
		if got := stanza.KindOf(parse(t, []byte(tt.in))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.in, got, tt.want)
		}
	}
	if s := stanza.Message.String() + stanza.Presence.String() + stanza.IQ.String() + stanza.None.String(); s != "messagepresenceiq" {
		t.Error(s)
	}
}

func TestID(t *testing.T) {
	if id := stanza.ID(parse(t, []byte(`<iq id='a&amp;b'/>`))); id != "a&b" {
		t.Errorf("%q", id)
	}
	if id := stanza.ID(parse(t, []byte(`<iq/>`))); id != "" {
		t.Errorf("%q", id)
	}
}

func TestAppendRouted(t *testing.T) {
	const (
		usual  = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`
		german = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xml:lang='de'>`
		more   = `<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' xmlns:p="urn:p'q&amp;r" xmlns:q='urn:q'>`
		server = `<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:c='jabber:client'>`
		none   = `<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>`
	)
	tests := []struct{ name, header, in, from, want string }{
		{"plain", "", `<message to='b' type='chat'><body>hi</body></message>`, "a@b/c", `<message from='a@b/c' to='b' type='chat'><body>hi</body></message>`},
		{"from replaced", "", `<message from='evil' to='b'/>`, "a@b/c", `<message from='a@b/c' to='b'/>`},
		{"from left out", "", `<message from='evil' to='b'/>`, "", `<message to='b'/>`},
		{"from escaped", "", `<message to='b'/>`, `a@b/'<&>"`, `<message from='a@b/&apos;&lt;&amp;&gt;"' to='b'/>`},
		{"values as they were", "", `<message to="it's" id='&#65;&quot;"' x=""><a b="c"/> </message >`, "a", `<message from='a' to="it's" id='&#65;&quot;"' x=''><a b="c"/> </message >`},
		{"xmlns dropped", "", `<message xmlns='jabber:client' to='b'><x xmlns='jabber:client'/></message>`, "a", `<message from='a' to='b'><x xmlns='jabber:client'/></message>`},
		{"xmlns dropped, escaped", "", `<message xmlns='jabber&#58;client'/>`, "a", `<message from='a'/>`},
		{"another xmlns kept", "", `<message xmlns='foo'><x/></message>`, "a", `<message from='a' xmlns='foo'><x/></message>`},
		{"no xmlns kept", "", `<message xmlns=''><x/></message>`, "a", `<message from='a' xmlns=''><x/></message>`},
		{"self-closed with space", "", "<presence to='b' \n />", "a", `<presence from='a' to='b'/>`},
		{"own prefixes", "", `<message xmlns:p='u' p:x='1'><p:y/></message>`, "a", `<message from='a' xmlns:p='u' p:x='1'><p:y/></message>`},
		{"attributes named like those set", "", `<message xmlns:p='u' p:from='1' p:to='2'/>`, "a", `<message from='a' xmlns:p='u' p:from='1' p:to='2'/>`},
		{"unused prefixes", more, `<message/>`, "a", `<message from='a'/>`},
		{"used prefixes", more, `<message><x><p:y q:z=''/></x></message>`, "a", `<message from='a' xmlns:p='urn:p&apos;q&amp;r' xmlns:q='urn:q'><x><p:y q:z=''/></x></message>`},
		{"stream's own prefix", more, `<message><s:x/></message>`, "a", `<message from='a' xmlns:s='http://etherx.jabber.org/streams'><s:x/></message>`},
		{"redeclared prefix", more, `<message xmlns:p='own'><p:x/></message>`, "a", `<message from='a' xmlns:p='own'><p:x/></message>`},
		{"root with a prefix of its own", "", `<c:iq xmlns:c='jabber:client' xmlns='u'><x/></c:iq>`, "a", `<c:iq from='a' xmlns:c='jabber:client' xmlns='u'><x/></c:iq>`},
		{"root with a prefix of the header", server, `<c:iq><x/></c:iq>`, "a", `<c:iq from='a' xmlns='jabber:server' xmlns:c='jabber:client'><x/></c:iq>`},
		{"header without default", none, `<iq xmlns='jabber:client'/>`, "a", `<iq from='a'/>`},
		{"header without default, content without", none, `<iq/>`, "a", `<iq from='a' xmlns=''/>`},
		{"language of the stream", german, `<message/>`, "a", `<message from='a' xml:lang='de'/>`},
		{"language of its own", german, `<message xml:lang='en'/>`, "a", `<message from='a' xml:lang='en'/>`},
		{"no language of its own", german, `<message xml:lang=''/>`, "a", `<message from='a' xml:lang=''/>`},
		{"no language", usual, `<message/>`, "a", `<message from='a'/>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := stanza.AppendRouted([]byte("x"), from(t, tt.header, tt.in), tt.from)[1:]
			if string(got) != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			sameContent(t, from(t, tt.header, tt.in), parse(t, got))
		})
	}
}

func TestAppendRoutedTo(t *testing.T) {
	tests := []struct{ in, from, to, want string }{
		{`<presence/>`, "a", "b", `<presence from='a' to='b'/>`},
		{`<presence to='c' from='d' type='unavailable'/>`, "a", "b'", `<presence from='a' to='b&apos;' type='unavailable'/>`},
		{`<presence to='c'><show>dnd</show></presence>`, "a", "", `<presence from='a'><show>dnd</show></presence>`},
	}
	for _, tt := range tests {
		got := stanza.AppendRoutedTo(nil, from(t, "", tt.in), tt.from, tt.to)
		if string(got) != tt.want {
			t.Errorf("%s\nwant %s", got, tt.want)
		}
		parse(t, got)
	}
}

// sameContent checks that routed says what sent says, but for addresses and
// language.
func sameContent(t *testing.T, sent, routed *scan.Stanza) {
	t.Helper()
	a, b := dump(sent.Root(), true), dump(routed.Root(), true)
	if a != b {
		t.Errorf("sent   %s\nrouted %s", a, b)
	}
	if len(routed.Inherited) != 0 {
		t.Errorf("%s depends on its stream: %s", routed.Raw, routed.Inherited)
	}
}

func dump(e scan.Element, root bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{%s}%s", e.Space, e.Name)
	for a := range e.Attrs() {
		name := string(a.Name)
		declares := name == "xmlns" || strings.HasPrefix(name, "xmlns:")
		if declares || root && (name == "from" || name == "to" || name == "xml:lang") {
			continue
		}
		v, _ := e.Attr(name)
		fmt.Fprintf(&b, " %s=%q", name, v)
	}
	fmt.Fprintf(&b, "[%q", e.Text())
	for c := range e.Elements() {
		b.WriteString(dump(c, false))
	}
	b.WriteString("]")
	return b.String()
}

func FuzzAppendRouted(f *testing.F) {
	f.Add([]byte(`<message to='b' type='chat' xml:lang='en'><body>hi</body></message>`), "romeo@example.net/orchard")
	f.Add([]byte(`<p:message q:x='1' from="it's"><y xmlns='' p:z='"'><s:w/></y></p:message>`), "a'<&>\"")
	f.Add([]byte(`<iq xmlns='jabber:server' xmlns:p='u'><p:x/></iq>`), "")
	f.Fuzz(func(t *testing.T, in []byte, user string) {
		var sc scan.Scanner
		var st scan.Stanza
		var h scan.Header
		const header = `<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' xmlns:p="urn:p'&amp;" xmlns:q='urn:q' xml:lang='de'>`
		if _, err := sc.NextHeader([]byte(header), &h); err != nil {
			t.Fatal(err)
		}
		if _, err := sc.Next(in, &st); err != nil || len(st.Attrs) > 50 {
			return // the copy may have more attributes and prefixes than the limits allow
		}
		sameContent(t, &st, parse(t, stanza.AppendRouted(nil, &st, user)))
		sameContent(t, &st, parse(t, stanza.AppendRoutedTo(nil, &st, user, user)))
	})
}

func TestAppendError(t *testing.T) {
	const ns = ` xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'`
	tests := []struct {
		name string
		in   string
		err  stanza.Error
		want string
	}{
		{"default type", `<iq type='get' id='1' to='b'><x xmlns='u'/></iq>`, stanza.Error{Condition: stanza.ServiceUnavailable},
			`<iq type='error' id='1' from='b' to='a'><error type='cancel'><service-unavailable` + ns + `/></error></iq>`},
		{"all fields", `<message id="it's" type='chat'><body>x</body></message>`,
			stanza.Error{Type: stanza.Wait, Condition: stanza.PolicyViolation, Text: "too <fast>", App: []byte(`<slow xmlns='u'/>`)},
			`<message type='error' id="it's" from='b' to='a'><error type='wait'><policy-violation` + ns + `/><text` + ns + ` xml:lang='en'>too &lt;fast&gt;</text><slow xmlns='u'/></error></message>`},
		{"address", `<presence/>`, stanza.Error{Condition: stanza.Gone, Address: "xmpp:a@b?x;y=&"},
			`<presence type='error' from='b' to='a'><error type='cancel'><gone` + ns + `>xmpp:a@b?x;y=&amp;</gone></error></presence>`},
		{"zero", `<presence/>`, stanza.Error{}, `<presence type='error' from='b' to='a'><error type='cancel'><undefined-condition` + ns + `/></error></presence>`},
		{"prefix", `<c:iq xmlns:c='jabber:client' id='1'/>`, stanza.Error{Condition: stanza.BadRequest}, `<iq type='error' id='1' from='b' to='a'><error type='modify'><bad-request` + ns + `/></error></iq>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := stanza.AppendError(nil, from(t, "", tt.in), "b", "a", tt.err)
			if string(got) != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			parse(t, got)
		})
	}
	if got := stanza.AppendError(nil, from(t, "", `<iq id=''/>`), "", "", stanza.Error{}); !strings.HasPrefix(string(got), `<iq type='error' id=''><error`) {
		t.Errorf("no addresses: %s", got)
	}
}

// Every condition of RFC 6120 §8.3.3, in its order, with the types it names.
func TestConditions(t *testing.T) {
	tests := []struct {
		condition stanza.Condition
		types     string
	}{
		{stanza.BadRequest, "modify"},
		{stanza.Conflict, "cancel"},
		{stanza.FeatureNotImplemented, "cancel modify"},
		{stanza.Forbidden, "auth"},
		{stanza.Gone, "cancel"},
		{stanza.InternalServerError, "cancel"},
		{stanza.ItemNotFound, "cancel"},
		{stanza.JIDMalformed, "modify"},
		{stanza.NotAcceptable, "modify"},
		{stanza.NotAllowed, "cancel"},
		{stanza.NotAuthorized, "auth"},
		{stanza.PolicyViolation, "modify wait"},
		{stanza.RecipientUnavailable, "wait"},
		{stanza.Redirect, "modify"},
		{stanza.RegistrationRequired, "auth"},
		{stanza.RemoteServerNotFound, "cancel"},
		{stanza.RemoteServerTimeout, "wait"},
		{stanza.ResourceConstraint, "wait"},
		{stanza.ServiceUnavailable, "cancel"},
		{stanza.SubscriptionRequired, "auth"},
		{stanza.UndefinedCondition, "cancel"},
		{stanza.UnexpectedRequest, "wait modify"},
	}
	if len(tests) != 22 {
		t.Errorf("%d conditions", len(tests))
	}
	for _, tt := range tests {
		if want, _, _ := strings.Cut(tt.types, " "); string(tt.condition.Type()) != want {
			t.Errorf("%s: %s, want %s", tt.condition, tt.condition.Type(), want)
		}
		st := parse(t, stanza.AppendError(nil, from(t, "", `<iq/>`), "b", "a", stanza.Error{Condition: tt.condition}))
		e, _ := st.Find(scan.NSClient, "error")
		if _, ok := e.Find(stanza.NSStanzas, string(tt.condition)); !ok {
			t.Errorf("%s", st.Raw)
		}
	}
}

func TestErrorText(t *testing.T) {
	err := fmt.Errorf("route: %w", &stanza.Error{Condition: stanza.Forbidden, Text: "no"})
	if got := err.Error(); got != "route: auth/forbidden: no" {
		t.Error(got)
	}
	var e *stanza.Error
	if !errors.As(err, &e) || e.Condition != stanza.Forbidden {
		t.Error("not found by errors.As")
	}
	if got := (stanza.Error{}).Error(); got != "cancel/undefined-condition" {
		t.Error(got)
	}
	if got := (&stanza.StreamError{Condition: stanza.StreamConflict, Text: "replaced"}).Error(); got != "stream error conflict: replaced" {
		t.Error(got)
	}
}

func TestAppendStreamError(t *testing.T) {
	const ns = ` xmlns='urn:ietf:params:xml:ns:xmpp-streams'`
	tests := []struct {
		name string
		err  stanza.StreamError
		want string
	}{
		{"condition", stanza.StreamError{Condition: stanza.StreamHostUnknown}, `<stream:error><host-unknown` + ns + `/></stream:error>`},
		{"all fields", stanza.StreamError{Condition: stanza.StreamConflict, Text: "a & b", App: []byte(`<x xmlns='u'/>`)},
			`<stream:error><conflict` + ns + `/><text` + ns + ` xml:lang='en'>a &amp; b</text><x xmlns='u'/></stream:error>`},
		{"host", stanza.StreamError{Condition: stanza.StreamSeeOtherHost, Host: "[2001:db8::1]:5222"}, `<stream:error><see-other-host` + ns + `>[2001:db8::1]:5222</see-other-host></stream:error>`},
		{"zero", stanza.StreamError{}, `<stream:error><undefined-condition` + ns + `/></stream:error>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := stanza.AppendStreamError(nil, &tt.err)
			if string(got) != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			parse(t, got)
		})
	}
}

// Every condition of RFC 6120 §4.9.3, in its order.
func TestStreamConditions(t *testing.T) {
	want := "bad-format bad-namespace-prefix conflict connection-timeout host-gone host-unknown improper-addressing " +
		"internal-server-error invalid-from invalid-namespace invalid-xml not-authorized not-well-formed policy-violation " +
		"remote-connection-failed reset resource-constraint restricted-xml see-other-host system-shutdown " +
		"undefined-condition unsupported-encoding unsupported-feature unsupported-stanza-type unsupported-version"
	all := []stanza.StreamCondition{
		stanza.StreamBadFormat, stanza.StreamBadNamespacePrefix, stanza.StreamConflict, stanza.StreamConnectionTimeout,
		stanza.StreamHostGone, stanza.StreamHostUnknown, stanza.StreamImproperAddressing, stanza.StreamInternalServerError,
		stanza.StreamInvalidFrom, stanza.StreamInvalidNamespace, stanza.StreamInvalidXML, stanza.StreamNotAuthorized,
		stanza.StreamNotWellFormed, stanza.StreamPolicyViolation, stanza.StreamRemoteConnectionFailed, stanza.StreamReset,
		stanza.StreamResourceConstraint, stanza.StreamRestrictedXML, stanza.StreamSeeOtherHost, stanza.StreamSystemShutdown,
		stanza.StreamUndefinedCondition, stanza.StreamUnsupportedEncoding, stanza.StreamUnsupportedFeature,
		stanza.StreamUnsupportedStanzaType, stanza.StreamUnsupportedVersion,
	}
	var got []string
	for _, c := range all {
		got = append(got, string(c))
		st := parse(t, stanza.AppendStreamError(nil, &stanza.StreamError{Condition: c, Text: "t"}))
		if _, ok := st.Find(stanza.NSStreams, string(c)); !ok || string(st.Space) != scan.NSStream || string(st.Name) != "error" {
			t.Errorf("%s", st.Raw)
		}
	}
	if strings.Join(got, " ") != want {
		t.Errorf("%s", got)
	}
}

func TestScanError(t *testing.T) {
	var sc scan.Scanner
	var st scan.Stanza
	_, err := sc.Next([]byte(`<a><!-- --></a>`), &st)
	se := stanza.ScanError(fmt.Errorf("read: %w", err))
	if se == nil || se.Condition != stanza.StreamRestrictedXML || se.Text == "" {
		t.Errorf("%v", se)
	}
	if se := stanza.ScanError(io.EOF); se != nil {
		t.Errorf("%v", se)
	}
}

func TestNoAllocations(t *testing.T) {
	st := from(t, "", `<message to='b' type='chat' id='1' xmlns='jabber:client'><body>hi</body></message>`)
	dst := make([]byte, 0, 4096)
	e := stanza.Error{Condition: stanza.Forbidden, Text: "no & never"}
	se := &stanza.StreamError{Condition: stanza.StreamConflict, Text: "no"}
	routed := stanza.AppendRoutedTo(nil, st, "a@b/c", "")
	for name, f := range map[string]func() []byte{
		"AppendText":        func() []byte { return stanza.AppendText(dst, "a < b & é\x00") },
		"AppendAttr":        func() []byte { return stanza.AppendAttr(dst, "name", "a\t'b'") },
		"AppendRouted":      func() []byte { return stanza.AppendRouted(dst, st, "a@b/c") },
		"AppendRoutedTo":    func() []byte { return stanza.AppendRoutedTo(dst, st, "a@b/c", "d@e") },
		"AppendAddressed":   func() []byte { return stanza.AppendAddressed(dst, routed, "d@e") },
		"AppendError":       func() []byte { return stanza.AppendError(dst, st, "a@b/c", "d@e", e) },
		"AppendResult":      func() []byte { return stanza.AppendResult(dst, "1", "a", "b", routed) },
		"AppendPresence":    func() []byte { return stanza.AppendPresence(dst, "a", "b", "probe", routed) },
		"AppendStreamError": func() []byte { return stanza.AppendStreamError(dst, se) },
	} {
		if n := testing.AllocsPerRun(20, func() { dst = f()[:0] }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkAppendRouted(b *testing.B) {
	var sc scan.Scanner
	var st scan.Stanza
	if _, err := sc.Next([]byte(`<message to='juliet@example.com/balcony' id='f2b5a6c8-6d11-4a5e-8c0e-3b1f0a9c7d21' type='chat'>`+
		`<body>Art thou not Romeo, and a Montague? Neither, fair saint, if either.</body></message>`), &st); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = stanza.AppendRouted(dst[:0], &st, "romeo@example.net/orchard")
	}
}

func BenchmarkAppendAddressed(b *testing.B) {
	p := stanza.AppendPresence(nil, "romeo@example.net/orchard", "", "", []byte("<show>away</show><status>be right back</status>"))
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = stanza.AppendAddressed(dst[:0], p, "juliet@example.com/balcony")
	}
}

func BenchmarkAppendText(b *testing.B) {
	const s = "Art thou not Romeo, and a Montague? <Neither>, fair saint, if either & Ромео."
	dst := make([]byte, 0, 4096)
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	for b.Loop() {
		dst = stanza.AppendText(dst[:0], s)
	}
}

func BenchmarkAppendError(b *testing.B) {
	var sc scan.Scanner
	var st scan.Stanza
	if _, err := sc.Next([]byte(`<iq type='get' id='f2b5a6c8'><query xmlns='jabber:iq:last'/></iq>`), &st); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = stanza.AppendError(dst[:0], &st, "juliet@example.com", "romeo@example.net/orchard", stanza.Error{Condition: stanza.ServiceUnavailable})
	}
}

func TestAppendText(t *testing.T) {
	tests := []struct{ name, in, text, attr string }{
		{"nothing", "", "", ""},
		{"plain", "Ромео 😀 \"q\"", "Ромео 😀 \"q\"", "Ромео 😀 \"q\""},
		{"markup", "<a b='c'>&]]>", "&lt;a b=&apos;c&apos;&gt;&amp;]]&gt;", "&lt;a b=&apos;c&apos;&gt;&amp;]]&gt;"},
		{"line ends and tabs", "a\tb\nc\r\nd", "a\tb\nc&#13;\nd", "a&#9;b&#10;c&#13;&#10;d"},
		{"control characters", "\x00a\x1f\x7f", "\uFFFDa\uFFFD\x7f", "\uFFFDa\uFFFD\x7f"},
		{"noncharacters", "\uFFFE\uFFFF\uFFFD\U0001FFFE", "\uFFFD\uFFFD\uFFFD\U0001FFFE", "\uFFFD\uFFFD\uFFFD\U0001FFFE"},
		{"not UTF-8", "a\xffb\xe2\x82", "a\uFFFDb\uFFFD\uFFFD", "a\uFFFDb\uFFFD\uFFFD"},
		{"surrogate", "\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD", "\uFFFD\uFFFD\uFFFD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(stanza.AppendText([]byte("x"), tt.in)); got != "x"+tt.text {
				t.Errorf("text %q, want %q", got, tt.text)
			}
			if got := string(stanza.AppendAttr([]byte("x"), "n", tt.in)); got != "x n='"+tt.attr+"'" {
				t.Errorf("attribute %q, want %q", got, tt.attr)
			}
		})
	}
}

// What is written comes back: as it was, or with U+FFFD for what XML cannot carry.
func FuzzAppendText(f *testing.F) {
	for _, s := range []string{"", "a < b && c > d", "]]>", "it's \"q\"", "\t\r\n", "\x00\x1f\x7f", "\xff\xed\xa0\x80", "\uFFFE\uFFFF\uFFFD", "Ромео 😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := stanza.AppendAttr([]byte("<a"), "b", s)
		b = append(stanza.AppendText(append(b, '>'), s), "</a>"...)

		var got struct {
			B    string `xml:"b,attr"`
			Text string `xml:",chardata"`
		}
		if err := xml.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		want := strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
				return '\uFFFD'
			}
			return r
		}, string([]rune(s)))
		if got.Text != want || got.B != want {
			t.Errorf("%q: text %q, attribute %q, want %q", b, got.Text, got.B, want)
		}
		var sc scan.Scanner
		var st scan.Stanza
		sc.Limits.Stanza = len(b) + 1
		if n, err := sc.Next(b, &st); err != nil || n != len(b) {
			t.Fatalf("%q: n = %d, err = %v", b, n, err)
		}
		if v, _ := st.Attr("b"); v != want || st.Root().Text() != want {
			t.Errorf("%q: scanner says text %q, attribute %q", b, st.Root().Text(), v)
		}
	})
}
