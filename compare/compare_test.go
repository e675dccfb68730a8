package compare

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for _, tt := range []struct {
		in, want string // want is empty where it is refused
		direct   bool
	}{
		{"127.0.0.1:15222", "127.0.0.1:15222", false},
		{"example.com", "example.com:5222", false},
		{"xmpp://example.com", "example.com:5222", false},
		{"xmpps://example.com/", "example.com:5223", true},
		{"xmpps://[::1]:5443", "[::1]:5443", true},
		{"::1", "[::1]:5222", false},
		{"https://example.com", "", false},
		{"", "", false},
		{"example.com:", "", false},
		{"romeo@example.com", "", false},
	} {
		got, err := ParseTarget(tt.in)
		if err != nil && tt.want != "" || got.Address != tt.want || got.Direct != tt.direct {
			t.Errorf("%s: %+v, %v", tt.in, got, err)
		}
	}
}

func TestFeatures(t *testing.T) {
	for _, tt := range []struct {
		name, heard string
		want        []string
	}{
		{"two streams", `<?xml version='1.0'?><stream:stream from='example.com' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>` +
			`<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>` +
			`<stream:stream><stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sub xmlns='urn:x:sub'/></stream:features>`, []string{"starttls", "bind sub"}},
		{"none", `<stream:features/>`, []string{""}},
		{"another prefix", `<s:features xmlns:s='http://etherx.jabber.org/streams'><x xmlns='y'/></s:features>`, []string{"x"}},
		{"cut off", `<stream:features><bind xmlns='urn`, nil},
		{"not XML", `<stream:features><a></b></stream:features>`, nil},
	} {
		var got []string
		for _, n := range featuresIn([]byte(tt.heard)) {
			var names []string
			for _, c := range n.Nodes {
				names = append(names, c.XMLName.Local)
			}
			got = append(got, strings.Join(names, " "))
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzFeatures(f *testing.F) {
	f.Add([]byte(`<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>`))
	f.Add([]byte(`<features/><stream:features xmlns:a='b'><a:c d='e'>&lt;</a:c></stream:features>`))
	f.Fuzz(func(t *testing.T, heard []byte) {
		for _, n := range featuresIn(heard) {
			if len(n.outline("", true)) == 0 {
				t.Error("features without a name")
			}
		}
	})
}

func TestServerWithoutVersion(t *testing.T) {
	for name, want := range map[string]string{"Prosody": prosody, "rosterd": rosterd, "Our chat": ""} {
		var s seen
		s.add("disco", "identity server/im", `identity server/im is named "`+name+`"`)
		if got := s.calledBy("disco"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestReport: what is explained is told apart from what is not, and two servers of a kind have no excuse.
func TestReport(t *testing.T) {
	old, young := &seen{software: "Prosody 0.12.3"}, &seen{software: "rosterd 1"}
	for _, s := range []*seen{old, young} {
		s.add("roster", "result", "juliet@example.com both")
		s.add("ping", "result")
		s.add(mechanisms, "SCRAM-SHA-1")
	}
	young.add(mechanisms, "SCRAM-SHA-1-PLUS")
	old.add("roster", "nurse@example.com to")
	old.add(after, "result", "juliet@example.com both named \"J\"", "paris@example.com both")
	young.add(after, "result", "juliet@example.com both named \"Juliet\"", "paris@example.com both")
	young.add(pushes, "juliet@example.com both named \"Juliet\"", "tybalt@example.com both")

	report := func(a, b *seen) string {
		r := Report{User: "romeo@example.com", Servers: [2]Server{{"a:1", a.software}, {"b:2", b.software}}}
		r.compare(a, b)
		var out bytes.Buffer
		r.Write(&out)
		return out.String()
	}
	want := `A is a:1, Prosody 0.12.3
B is b:2, rosterd 1
As romeo@example.com:
DIFFERS   roster: only A: nurse@example.com to
DIFFERS   pushes after a refresh: only B: tybalt@example.com both
EXPECTED  SASL mechanisms: only B: SCRAM-SHA-1-PLUS
          ` + binding + `
EXPECTED  roster after a refresh: only A: juliet@example.com both named "J"
          ` + renamed + `
EXPECTED  roster after a refresh: only B: juliet@example.com both named "Juliet"
          ` + renamed + `
EXPECTED  pushes after a refresh: only B: juliet@example.com both named "Juliet"
          ` + renamed + `
SAME      ping
1 of 5 answers are the same; 4 expected differences; 2 unexpected
`
	if got := report(old, young); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	young.software = old.software
	if got := report(old, young); !strings.Contains(got, "; 0 expected differences; 6 unexpected\n") {
		t.Errorf("two of a kind:\n%s", got)
	}
}
