package register_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/credential"
	"rosterd/xmppcore/register"
	"rosterd/xmppcore/scan"
)

// book is accounts that do what they are told.
type book struct {
	added []string
	err   error
}

func (b *book) Add(_ context.Context, user addr.Bare, password string) (store.Place, error) {
	if b.err == nil {
		b.added = append(b.added, user.String()+" "+password)
	}
	return store.SQLite, b.err
}
func (b *book) SetPassword(context.Context, addr.Bare, string) (store.Place, error) {
	return "", errors.ErrUnsupported
}
func (b *book) Delete(context.Context, addr.Bare) ([]store.Place, error) {
	return nil, errors.ErrUnsupported
}

func parse(t testing.TB, text string) *scan.Stanza {
	t.Helper()
	var sc scan.Scanner
	st := new(scan.Stanza)
	if _, err := sc.Next([]byte(text), st); err != nil {
		t.Fatal(err)
	}
	return st
}

func door(b *book) *register.Door {
	return &register.Door{Domain: "example.com", Accounts: b, Title: "T", Instructions: "<I>", Encrypted: true, Log: slog.New(slog.DiscardHandler)}
}

func query(content string) string {
	return "<iq type='set' id='1'><query xmlns='jabber:iq:register'>" + content + "</query></iq>"
}

const (
	filled = "<username>Romeo</username><password>a &amp; b</password>"
	form   = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register</value></field>" +
		"<field var='username'><value>romeo</value></field><field var='password'><value>secret</value></field></x>"
	done = "<iq type='result' id='1' from='example.com'/>"
)

// XEP-0077 §3.1.
func TestRegister(t *testing.T) {
	for _, c := range []struct {
		name, request string
		open          bool // nothing is encrypted
		err           error
		want          string // of an answer: all of it, or its condition
		added         string
	}{
		{name: "fields", request: query(filled), want: done, added: "romeo@example.com a & b"},
		{name: "a form", request: query(form), want: done, added: "romeo@example.com secret"},
		{name: "a form beside fields", request: query(filled + form), want: done, added: "romeo@example.com secret"},
		{name: "no password", request: query("<username>romeo</username>"), want: "<not-acceptable "},
		{name: "no username", request: query("<username/><password>x</password>"), want: "<not-acceptable "},
		{name: "nothing", request: query(""), want: "<not-acceptable "},
		{name: "no localpart", request: query("<username>ro meo</username><password>x</password>"), want: "<not-acceptable "},
		{name: "a whole address", request: query("<username>a@b</username><password>x</password>"), want: "<not-acceptable "},
		{name: "to remove", request: query("<remove/>"), want: "<registration-required "},
		{name: "taken", request: query(filled), err: store.ErrUserExists, want: "<error type='cancel'><conflict "},
		{name: "a password that cannot be", request: query(filled), err: credential.ErrPassword, want: "<not-acceptable "},
		{name: "broken", request: query(filled), err: errors.New("disk on fire"), want: "<error type='wait'><internal-server-error "},
		{name: "not encrypted", request: query(filled), open: true, want: "<policy-violation "},
		{name: "an error", request: strings.Replace(query(filled), "set", "error", 1), want: ""},
		{name: "a result", request: strings.Replace(query(filled), "set", "result", 1), want: ""},
		{name: "nonsense", request: strings.Replace(query(filled), "set", "put", 1), want: "<bad-request "},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &book{err: c.err}
			got := string(door(b).Answer(t.Context(), netip.Addr{}, !c.open, parse(t, c.request)))
			if c.want == "" && got != "" || !strings.Contains(got, c.want) || c.want == done && got != done {
				t.Errorf("answered %s", got)
			}
			if added := strings.Join(b.added, ", "); added != c.added {
				t.Errorf("added %q", added)
			}
		})
	}
}

func TestForm(t *testing.T) {
	got := string(door(nil).Answer(t.Context(), netip.Addr{}, true, parse(t, "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")))
	const want = "<iq type='result' id='1' from='example.com'><query xmlns='jabber:iq:register'><instructions>&lt;I&gt;</instructions><username/><password/>" +
		"<x xmlns='jabber:x:data' type='form'><title>T</title><instructions>&lt;I&gt;</instructions>"
	if !strings.HasPrefix(got, want) {
		t.Error(got)
	}
	parse(t, got)
}

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func TestLimits(t *testing.T) {
	limited := func() *register.Throttle[netip.Addr] { return register.NewThrottle[netip.Addr](1, time.Hour, 10) }
	for _, c := range []struct {
		name   string
		limits register.Limits
		from   []string
		want   string // what becomes of each: y or the condition's first letter
	}{
		{"none", register.Limits{}, []string{"192.0.2.1", "192.0.2.1", ""}, "yyy"},
		{"blocked", register.Limits{Blocked: prefixes("192.0.2.0/24", "2001:db8::/32")}, []string{"192.0.2.1", "::ffff:192.0.2.1", "192.0.3.1", "2001:db8::1", ""}, "ffyfy"},
		{"allowed only", register.Limits{Allowed: prefixes("192.0.2.0/24"), AllowedOnly: true}, []string{"192.0.2.1", "192.0.3.1", ""}, "yff"},
		{"blocked and allowed", register.Limits{Allowed: prefixes("192.0.2.0/24"), Blocked: prefixes("192.0.2.1/32")}, []string{"192.0.2.1", "192.0.2.2"}, "fy"},
		{"throttled", register.Limits{Throttle: limited()}, []string{"192.0.2.1", "192.0.2.1", "192.0.2.2", "", ""}, "ypyyp"},
		{"throttled by network", register.Limits{Throttle: limited()}, []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "fe80::1%eth0", "fe80::1%eth1"}, "ypyyp"},
		{"throttled but allowed", register.Limits{Allowed: prefixes("192.0.2.1/32"), Throttle: limited()}, []string{"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"}, "yyyp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := door(&book{})
			d.Limits = c.limits
			for i, from := range c.from {
				var a netip.Addr
				if from != "" {
					a = netip.MustParseAddr(from)
				}
				got := string(d.Answer(t.Context(), a, true, parse(t, query(filled))))
				want := map[byte]string{'y': done, 'f': "<error type='auth'><forbidden ", 'p': "<error type='wait'><policy-violation "}[c.want[i]]
				if !strings.Contains(got, want) {
					t.Errorf("%d. from %s: %s", i, from, got)
				}
			}
		})
	}
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := register.NewThrottle[string](3, time.Minute, 3)
		take := func(who, want string) {
			t.Helper()
			for _, w := range want {
				if got := th.Take(who, time.Now()); got != (w == 'y') {
					t.Fatalf("%s at %v: %v", who, time.Now(), got)
				}
			}
		}
		take("a", "yyynn")
		time.Sleep(20 * time.Second)
		take("a", "yn")
		time.Sleep(time.Hour)
		take("a", "yyyn")
		// There is room for three: who has most left is forgotten.
		take("b", "y")
		take("c", "yy")
		take("d", "y")    // for b
		take("b", "yyyn") // for d
		take("a", "n")
		small := register.NewThrottle[string](1, time.Minute, 1).After(th)
		if small.Take("a", time.Now()) || !small.Take("e", time.Now()) || small.Take("e", time.Now()) {
			t.Error("what was done before does not count")
		}
		var nobody *register.Throttle[string]
		if nobody.After(th) != nil || th.After(nobody) != th {
			t.Error("there is a throttle of nobody")
		}
		if !nobody.Take("a", time.Now()) {
			t.Error("throttled without a throttle")
		}
	})
}

// Whatever a client sends is answered with one well-formed stanza, or not at all.
func FuzzAnswer(f *testing.F) {
	f.Add(query(filled))
	f.Add(query(form))
	f.Add("<iq type='get' id='&lt;'><query xmlns='jabber:iq:register'/></iq>")
	f.Add("<iq id='1'><r:query xmlns:r='jabber:iq:register'><r:remove/></r:query></iq>")
	f.Fuzz(func(t *testing.T, text string) {
		var sc scan.Scanner
		var st scan.Stanza
		if _, err := sc.Next([]byte(text), &st); err != nil || !door(nil).Asks(&st) {
			return
		}
		b := &book{}
		got := door(b).Answer(t.Context(), netip.Addr{}, true, &st)
		if got != nil {
			parse(t, string(got))
		}
		if len(b.added) > 0 && !strings.Contains(string(got), "type='result'") {
			t.Errorf("added %v and answered %s", b.added, got)
		}
	})
}
