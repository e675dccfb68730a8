package addr

import (
	"errors"
	"strings"
	"testing"

	"mellium.im/xmpp/jid"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "romeo@example.com/orchard", "romeo@example.com/orchard"},
		{"bare", "romeo@example.com", "romeo@example.com"},
		{"domain", "example.com", "example.com"},
		{"domain with resource", "example.com/x", "example.com/x"},
		{"case", "ROMEO@Example.COM/Orchard", "romeo@example.com/Orchard"},
		{"resource with at and slash", "a@b/c@d/e", "a@b/c@d/e"},
		{"resource with space", "a@b/my phone", "a@b/my phone"},
		{"utf-8 local", "JÖRG@example.com", "jörg@example.com"},
		{"utf-8 domain", "a@BÜCHER.example", "a@bücher.example"},
		{"a-label", "a@xn--bcher-kva.example", "a@bücher.example"},
		{"final dot", "a@example.com.", "a@example.com"},
		{"xep-0106 escape", `john\20doe@example.com`, `john\20doe@example.com`},
		{"odd but allowed", "x#y?r=1&"[:7] + "@example.com", "x#y?r=1@example.com"},
		{"ipv4", "a@127.0.0.1", "a@127.0.0.1"},
		{"underscore in domain", "a@chat_1.example", "a@chat_1.example"},
		{"ipv6", "a@[::1]", "a@[::1]"},
		{"fullwidth", "ａ@example.com", "a@example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := Parse(c.in)
			if err != nil || j.String() != c.want {
				t.Fatalf("Parse(%q) = %q, %v; want %q", c.in, j, err, c.want)
			}
			if k := MustParse(c.want); k != j {
				t.Fatalf("%#v and %#v are not ==", k, j)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"empty": "", "only at": "@", "no local": "@example.com", "no domain": "a@", "no resource": "a@b/", "space in local": "a b@c",
		"quote": `a"b@c`, "ampersand": "a&b@c", "colon": "a:b@c", "lt": "a<b@c", "two ats": "a@b@c", "space in domain": "a@b c", "words": "not a jid",
		"control in resource": "a@b/\x01", "newline in resource": "a@b/c\n", "invalid utf-8": "a\xff@b", "empty label": "a@b..c", "long local": strings.Repeat("a", 1024) + "@b",
		"long resource": "a@b/" + strings.Repeat("a", 1024), "tag in domain": "a@<b>", "apostrophe in domain": "a@b'c",
	} {
		t.Run(name, func(t *testing.T) {
			if j, err := Parse(in); !errors.Is(err, ErrInvalid) {
				t.Fatalf("Parse(%q) = %q, %v", in, j, err)
			}
		})
	}
}

func TestParts(t *testing.T) {
	j := MustParse("romeo@example.com/orchard")
	if j.Local() != "romeo" || j.Domain() != "example.com" || j.Resource() != "orchard" || j.IsBare() || j.IsZero() || j.Bare() != MustBare("romeo@example.com") {
		t.Fatalf("%#v", j)
	}
	d := MustBare("example.com")
	if d.Local() != "" || d.Domain() != "example.com" || d.Full().Bare() != d || !d.Full().IsBare() {
		t.Fatalf("%#v", d)
	}
	if _, err := ParseBare("a@b/c"); err == nil {
		t.Fatal("a full JID passed as a bare one")
	}
	if (JID{}).Bare() != (Bare{}) || (JID{}).Resource() != "" || !(Bare{}).IsZero() {
		t.Fatal("zero values")
	}
	if k, err := j.WithResource("balcony"); err != nil || k != MustParse("romeo@example.com/balcony") {
		t.Fatal(k, err)
	}
}

// FuzzParse: what is prepared stays as it is, and the fast path agrees with mellium's jid.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@b/c", "ROMEO@Example.com/x y", "jörg@bücher.example", "a@[::1]/x", "x--y@ab--c", "@", "a@b@c/d", "\u212a@b", "a@b./c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		j, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		k, err := Parse(j.String())
		if err != nil || k != j {
			t.Fatalf("%q → %#v → %#v, %v", s, j, k, err)
		}
		if strings.Contains(j.Domain(), "_") {
			return // more than mellium takes
		}
		m, err := jid.New(j.Local(), j.Domain(), j.Resource())
		if err != nil || m.Localpart() != j.Local() || m.Domainpart() != j.Domain() || m.Resourcepart() != j.Resource() {
			t.Fatalf("%q: ours %q, mellium %q, %v", s, j, m, err)
		}
		if strings.ContainsAny(j.Bare().String(), "<>&'\"") {
			t.Fatalf("%q needs escaping in a bare JID", j)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, s := range []string{"user123@example.com/phone", "User123@Example.com"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
