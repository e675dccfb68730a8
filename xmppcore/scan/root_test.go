package scan_test

import (
	"errors"
	"fmt"
	"testing"

	"rosterd/xmppcore/scan"
)

// document reads a document as BOSH does: a root element, and elements inside it.
func document(in, space, lang string) (string, error) {
	var sc scan.Scanner
	var root, st scan.Stanza
	b := []byte(in)
	n, err := sc.NextRoot(b, &root)
	if err != nil {
		return "", err
	}
	got := fmt.Sprintf("%s %s %q", root.Space, root.Name, root.Get("rid"))
	if space != "" {
		sc.Content(space, lang)
	}
	for b = b[n:]; ; b = b[n:] {
		if n, err = sc.Next(b, &st); err != nil {
			return got, err
		}
		got += fmt.Sprintf(" | %s %s %s", st.Space, st.Name, st.Lang)
	}
}

func TestNextRoot(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", `<body rid='1' xmlns='b'/>`, `b body "1"`},
		{"empty, with an end tag", "<?xml version='1.0'?>\n<body rid='1' xmlns='b'>\n</body>", `b body "1"`},
		{"elements without a namespace of their own", `<body xmlns='b'><iq/><iq xmlns='c'/></body>`, `b body "" | jabber:client iq en | c iq en`},
		{"a language of its own", `<body xmlns='b' xml:lang='de'><iq/></body>`, `b body "" | jabber:client iq de`},
		{"prefixes", `<b:body xmlns:b='b' xmlns:c='c' xmlns='d'><c:iq/></b:body>`, `b body "" | c iq en`},
		{"a stream header that is none", `<stream:stream xmlns:stream='http://etherx.jabber.org/streams'></stream:stream>`, `http://etherx.jabber.org/streams stream ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := document(tt.in, scan.NSClient, "en")
			if !errors.Is(err, scan.ErrEnd) || got != tt.want {
				t.Errorf("%s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
	t.Run("the namespace that is declared", func(t *testing.T) {
		if got, _ := document(`<body xmlns='b'><iq/></body>`, "", ""); got != `b body "" | b iq ` {
			t.Error(got)
		}
	})
}

func TestNextRootInPieces(t *testing.T) {
	const in = "<?xml version='1.0'?> <body rid='17' xmlns='b' >"
	var sc scan.Scanner
	var st scan.Stanza
	for i := range in {
		if _, err := sc.NextRoot([]byte(in[:i]), &st); !errors.Is(err, scan.ErrMore) {
			t.Fatalf("%q: %v", in[:i], err)
		}
	}
	if n, err := sc.NextRoot([]byte(in), &st); n != len(in) || err != nil || string(st.Get("rid")) != "17" {
		t.Errorf("%d, %v, rid %q", n, err, st.Get("rid"))
	}
}

func TestNextRootRefused(t *testing.T) {
	tests := []struct {
		name, in string
		want     scan.Condition
	}{
		{"comment", `<!-- --><body xmlns='b'/>`, scan.RestrictedXML},
		{"document type", `<!DOCTYPE body><body xmlns='b'/>`, scan.RestrictedXML},
		{"text", `body`, scan.NotWellFormed},
		{"prefix", `<b:body/>`, scan.BadNamespacePrefix},
		{"attribute's prefix", `<body xmpp:restart='true'/>`, scan.BadNamespacePrefix},
		{"other end tag", `<body xmlns='b'></stream>`, scan.NotWellFormed},
		{"text inside", `<body xmlns='b'>hello</body>`, scan.BadFormat},
		{"processing instruction inside", `<body xmlns='b'><?php?></body>`, scan.RestrictedXML},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := document(tt.in, scan.NSClient, "")
			se, ok := errors.AsType[*scan.Error](err)
			if !ok || se.Condition != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}
