package directory_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"rosterd/directory"
)

// act is what a server that misbehaves does with a message: more is false if it reads no further.
type act func(c net.Conn, id int64, op *ber.Packet) (more bool)

// misbehave is a server that does as it is told, with each connection.
func misbehave(t *testing.T, do act) directory.Settings {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var open []net.Conn
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open = append(open, c)
			go func() {
				for {
					p, err := ber.ReadPacket(c)
					if err != nil || len(p.Children) < 2 || !do(c, p.Children[0].Value.(int64), p.Children[1]) {
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, c := range open {
			c.Close()
		}
	})
	servers, err := directory.ParseServers(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return directory.Settings{Servers: servers}
}

func envelope(id int64, op *ber.Packet) []byte {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(op)
	return p.Bytes()
}

// result is the end of an answer.
func result(id int64, tag ber.Tag, code int64) []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "it is as it is", ""))
	return envelope(id, op)
}

// entry is one with an attribute.
func entry(id int64, dn, attribute string, values ...string) []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, dn, ""))
	list := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	one := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	one.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, attribute, ""))
	set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
	for _, v := range values {
		set.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, v, ""))
	}
	one.AppendChild(set)
	list.AppendChild(one)
	op.AppendChild(list)
	return envelope(id, op)
}

func write(c net.Conn, parts ...[]byte) bool {
	for _, p := range parts {
		if _, err := c.Write(p); err != nil {
			return false
		}
	}
	return true
}

// finds is a server that finds one entry for whatever is searched, and does something else with binds.
func finds(bind act) act {
	return func(c net.Conn, id int64, op *ber.Packet) bool {
		switch op.Tag {
		case ldap.ApplicationSearchRequest:
			return write(c, entry(id, "uid=romeo", "uid", "romeo"), result(id, ldap.ApplicationSearchResultDone, 0))
		case ldap.ApplicationBindRequest:
			return bind(c, id, op)
		}
		return false
	}
}

func answers(code int64) act {
	return func(c net.Conn, id int64, _ *ber.Packet) bool {
		return write(c, result(id, ldap.ApplicationBindResponse, code))
	}
}

// Whatever a server does: nobody gets in unless it says so, nobody waits for ever, and what is wrong is said.
func TestMisbehaves(t *testing.T) {
	hangs := func(net.Conn, int64, *ber.Packet) bool { return true }
	says := func(bytes string) act {
		return func(c net.Conn, _ int64, _ *ber.Packet) bool { return write(c, []byte(bytes)) }
	}
	for _, tt := range []struct {
		name string
		do   act
		want string
	}{
		{"lets in", finds(answers(ldap.LDAPResultSuccess)), "in"},
		{"a wrong password", finds(answers(ldap.LDAPResultInvalidCredentials)), "refused"},
		{"the entry is gone", finds(answers(ldap.LDAPResultNoSuchObject)), "refused"},
		{"sends elsewhere", finds(answers(ldap.LDAPResultReferral)), "unknown"},
		{"wants TLS", finds(answers(ldap.LDAPResultConfidentialityRequired)), "unknown"},
		{"is busy", finds(answers(ldap.LDAPResultBusy)), "unknown"},
		{"has disabled the user", finds(answers(ldap.LDAPResultUnwillingToPerform)), "refused"},
		{"has locked the user out", finds(answers(ldap.LDAPResultConstraintViolation)), "refused"},
		{"has something else to say", finds(answers(ldap.LDAPResultOther)), "unknown"},
		{"answers with somebody else's number", finds(func(c net.Conn, id int64, _ *ber.Packet) bool {
			return write(c, result(id+1, ldap.ApplicationBindResponse, 0))
		}), "unknown"},
		{"hangs up", finds(func(c net.Conn, _ int64, _ *ber.Packet) bool { c.Close(); return false }), "unknown"},
		{"hangs up in the middle", finds(func(c net.Conn, id int64, _ *ber.Packet) bool {
			b := result(id, ldap.ApplicationBindResponse, 0)
			write(c, b[:len(b)-3])
			c.Close()
			return false
		}), "unknown"},
		{"says nothing", hangs, "unknown"},
		{"says nothing to a bind", finds(hangs), "unknown"},
		{"no BER", says("HTTP/1.1 400 Bad Request\r\n\r\n" + strings.Repeat("It is not for you. ", 10)), "unknown"},
		{"a message of 2 GiB", says("\x30\x84\x7f\xff\xff\xff\x02\x01\x01"), "unknown"},
		{"nested without end", says(strings.Repeat("\x30\x80", 100_000)), "unknown"},
		{"an answer with nothing in it", says("\x30\x00"), "unknown"},
		{"an entry without a name", func(c net.Conn, id int64, op *ber.Packet) bool {
			if op.Tag == ldap.ApplicationBindRequest {
				return answers(0)(c, id, op)
			}
			return write(c, entry(id, "", "uid", "romeo"), result(id, ldap.ApplicationSearchResultDone, 0))
		}, "unknown"},
		{"two entries", func(c net.Conn, id int64, op *ber.Packet) bool {
			if op.Tag == ldap.ApplicationBindRequest {
				return answers(0)(c, id, op)
			}
			return write(c, entry(id, "uid=a", "uid", "romeo"), entry(id, "uid=b", "uid", "romeo"), result(id, ldap.ApplicationSearchResultDone, ldap.LDAPResultSizeLimitExceeded))
		}, "unknown"},
		{"entries without end", func(c net.Conn, id int64, _ *ber.Packet) bool {
			one := entry(id, "uid=romeo", "uid", strings.Repeat("x", 1<<20))
			for write(c, one) {
			}
			return false
		}, "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := directory.New(misbehave(t, tt.do))
			defer d.Close()
			u := &directory.Users{Directory: d, Base: "dc=x", Scope: directory.Subtree, Filter: func(string) string { return "(uid=romeo)" }}
			patience := 20 * time.Second
			if strings.Contains(tt.name, "says nothing") || strings.Contains(tt.name, "number") || tt.name == "no BER" || tt.name == "an answer with nothing in it" {
				patience = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := u.CheckPassword(ctx, "romeo", "r0m30")
			got := "in"
			if errors.Is(err, directory.ErrRefused) {
				got = "refused"
			} else if err != nil {
				got = "unknown"
			}
			if got != tt.want {
				t.Errorf("%s, want %s: %v", got, tt.want, err)
			}
			if patience > time.Second && errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it took until the deadline: %v", err)
			}
		})
	}
}

// Active Directory gives 1,500 members of a group at a time.
func TestParts(t *testing.T) {
	again := false
	d := directory.New(misbehave(t, func(c net.Conn, id int64, op *ber.Packet) bool {
		wanted := string(op.Children[7].Children[0].ByteValue)
		done := result(id, ldap.ApplicationSearchResultDone, 0)
		switch {
		case wanted == "member":
			return write(c, entry(id, "cn=G", "member;range=0-1", "a", "b"), done)
		case again:
			return write(c, entry(id, "cn=G", "member;range=0-1", "a", "b"), done)
		case wanted == "member;range=2-*":
			return write(c, entry(id, "cn=G", "Member;Range=2-3", "c", "d"), done)
		}
		return write(c, entry(id, "cn=G", wanted, "e"), done)
	}))
	defer d.Close()
	q := directory.Query{Base: "dc=x", Scope: directory.Subtree, Filter: "(cn=*)", Attributes: []string{"member"}, Most: 10}
	list, err := d.Search(t.Context(), q)
	if err != nil || len(list) != 1 || strings.Join(list[0].Values("member"), "") != "abcde" {
		t.Errorf("%v, %v", list, err)
	}
	again = true
	if list, err := d.Search(t.Context(), q); err == nil {
		t.Errorf("a server that gives the same part for ever: %v", list)
	}
}
