package bosh

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
	"rosterd/xmppcore/stream"
)

// read reads a request as far as it goes, and writes down what is in it.
func read(text string, pieces bool, limits stream.Limits) (string, error) {
	limits = limits.Defaults()
	var r io.Reader = strings.NewReader(text)
	if pieces {
		r = iotest.OneByteReader(r)
	}
	in, err := readRoot(r)
	if err != nil {
		return "", err
	}
	defer in.release()
	if err := in.readRest(r, limits.Stanza+envelope); err != nil {
		return "", err
	}
	got := fmt.Sprintf("rid=%d sid=%s to=%s from=%s lang=%s ver=%s version=%s ack=%d wait=%d hold=%d pause=%d terminate=%t restart=%t empty=%t",
		in.rid, in.sid, in.to, in.from, in.lang, in.ver, in.version, in.ack, in.wait, in.hold, in.pause, in.terminate, in.restart, in.empty)
	in.begin(&limits, "en")
	var st scan.Stanza
	for {
		if err := in.next(&st); errors.Is(err, errDone) {
			return got, nil
		} else if err != nil {
			return got, err
		}
		got += fmt.Sprintf(" | %s %s %s", st.Space, st.Name, st.Lang)
	}
}

func TestBody(t *testing.T) {
	const b, x = "<body xmlns='" + nsBody + "' ", "xmlns:xmpp='" + nsXMPP + "' "
	tests := []struct{ name, in, want string }{
		{"poll", b + "rid='5' sid='s'/>", "rid=5 sid=s to= from= lang= ver= version= ack=0 wait=-1 hold=-1 pause=-1 terminate=false restart=false empty=true"},
		{"creation", b + x + "rid='5' to='example.com' from='romeo@example.com' xml:lang='de' ver='1.11' xmpp:version='1.0' ack='1' wait='60' hold='1' content='text/xml' secure='true' route='xmpp:a'/>",
			"rid=5 sid= to=example.com from=romeo@example.com lang=de ver=1.11 version=1.0 ack=1 wait=60 hold=1 pause=-1 terminate=false restart=false empty=true"},
		{"restart, with another prefix", b + "xmlns:x='" + nsXMPP + "' rid='5' sid='s' x:restart='true' to='e'/>",
			"rid=5 sid=s to=e from= lang= ver= version= ack=0 wait=-1 hold=-1 pause=-1 terminate=false restart=true empty=true"},
		{"restart, as a number", b + x + "rid='5' sid='s' xmpp:restart='1'/>",
			"rid=5 sid=s to= from= lang= ver= version= ack=0 wait=-1 hold=-1 pause=-1 terminate=false restart=true empty=true"},
		{"restart of somebody else", b + "xmlns:xmpp='urn:x' rid='5' sid='s' xmpp:restart='true' restart='true'/>",
			"rid=5 sid=s to= from= lang= ver= version= ack=0 wait=-1 hold=-1 pause=-1 terminate=false restart=false empty=true"},
		{"pause", b + "rid='5' sid='s' pause='60'></body>", "rid=5 sid=s to= from= lang= ver= version= ack=0 wait=-1 hold=-1 pause=60 terminate=false restart=false empty=true"},
		{"the end", b + "rid='5' sid='s' type='terminate'><presence type='unavailable' xmlns='jabber:client'/>\n</body>\n",
			"rid=5 sid=s to= from= lang= ver= version= ack=0 wait=-1 hold=-1 pause=-1 terminate=true restart=false empty=false | jabber:client presence en"},
		{"references", b + "rid='&#53;' sid='a&amp;b' wait='99999999999'/>", "rid=5 sid=a&b to= from= lang= ver= version= ack=0 wait=1073741824 hold=-1 pause=-1 terminate=false restart=false empty=true"},
		{"several, with and without a namespace", b + "rid='5' sid='s' xml:lang='fr'> <iq/>\t<message xml:lang='it'/><auth xmlns='urn:x'/> </body>",
			"rid=5 sid=s to= from= lang=fr ver= version= ack=0 wait=-1 hold=-1 pause=-1 terminate=false restart=false empty=false | jabber:client iq fr | jabber:client message fr | urn:x auth fr"},
		{"a prefix for the body", "<b:body xmlns:b='" + nsBody + "' rid='5' sid='s'><iq xmlns='jabber:client'/><iq/></b:body>",
			"rid=5 sid=s to= from= lang= ver= version= ack=0 wait=-1 hold=-1 pause=-1 terminate=false restart=false empty=false | jabber:client iq en |  iq en"},
		{"the prefix of streams", b + "xmlns:stream='" + scan.NSStream + "' rid='5' sid='s'><stream:error/></body>",
			"rid=5 sid=s to= from= lang= ver= version= ack=0 wait=-1 hold=-1 pause=-1 terminate=false restart=false empty=false | " + scan.NSStream + " error en"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, pieces := range []bool{false, true} {
				got, err := read(tt.in, pieces, stream.Limits{})
				if err != nil || got != tt.want {
					t.Errorf("pieces %t: %v\ngot  %s\nwant %s", pieces, err, got, tt.want)
				}
			}
		})
	}
}

func TestBodyTooLong(t *testing.T) {
	text := "<body xmlns='" + nsBody + "' rid='1' sid='s'>" + strings.Repeat("<a/>", 5000) + "</body>"
	_, err := read(text, false, stream.Limits{Stanza: 10000})
	if se, ok := errors.AsType[*stanza.StreamError](err); !ok || se.Condition != stanza.StreamPolicyViolation || !strings.Contains(se.Text, "14096") {
		t.Error(err)
	}
	if _, err := read(text, false, stream.Limits{Stanza: 20000}); err != nil {
		t.Error(err)
	}
}

func TestNegotiate(t *testing.T) {
	for ver, want := range map[string]string{
		"": "1.6", "1.5": "1.6", "1.6": "1.6", "1.10": "1.10", "1.11": "1.11", "1.99": "1.11", "2.0": "1.6", "1": "1.6", "1.": "1.6", "1.-7": "1.6", "1.08": "1.8", "a'": "1.6",
	} {
		if got := negotiate(ver); got != want {
			t.Errorf("%q: %s, want %s", ver, got, want)
		}
	}
}

// Whatever comes, it is read or refused with one of the errors there are, in whatever pieces it comes.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		"<body xmlns='" + nsBody + "' rid='1' sid='s'/>", "<body xmlns='" + nsBody + "' rid='1' sid='s'><iq/><message xmlns='a'>b</message></body>",
		"<?xml version='1.0'?><b:body xmlns:b='" + nsBody + "' rid='1'>", "<body xmlns='" + nsBody + "'>&a;</body>", "<body", "</body>",
		"<body xmlns='" + nsBody + "' xmlns:xmpp='" + nsXMPP + "' xmpp:restart='true' rid='2' sid='a'></body> ",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole, err := read(text, false, stream.Limits{Stanza: 10000})
		_, broken := errors.AsType[*stanza.StreamError](err)
		if err != nil && !broken && !errors.Is(err, errRequest) {
			t.Fatalf("%q: %v", text, err)
		}
		pieces, other := read(text, true, stream.Limits{Stanza: 10000})
		if whole != pieces || (err == nil) != (other == nil) {
			t.Fatalf("%q:\n%s, %v\nin pieces %s, %v", text, whole, err, pieces, other)
		}
	})
}
