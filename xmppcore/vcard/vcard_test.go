package vcard

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/scan"
)

func element(t testing.TB, text string) scan.Element {
	t.Helper()
	e, err := parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

func TestPicture(t *testing.T) {
	for _, tt := range []struct{ name, card, typ, data, fails string }{
		{"none", "<vCard xmlns='vcard-temp'><FN>R</FN></vCard>", "", "", ""},
		{"in lines", "<vCard xmlns='vcard-temp'><PHOTO><TYPE> image/png </TYPE><BINVAL>\nYSBwaWN0\n dXJl\n</BINVAL></PHOTO></vCard>", "image/png", "a picture", ""},
		{"the first", "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>YQ==</BINVAL></PHOTO><PHOTO><BINVAL>Yg==</BINVAL></PHOTO></vCard>", "", "a", ""},
		{"elsewhere", "<vCard xmlns='vcard-temp'><PHOTO><EXTVAL>https://example.com/a.png</EXTVAL></PHOTO></vCard>", "", "", ""},
		{"empty", "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL/></PHOTO></vCard>", "", "", ""},
		{"of another namespace", "<vCard xmlns='vcard-temp'><PHOTO xmlns='x'><BINVAL>YQ==</BINVAL></PHOTO></vCard>", "", "", ""},
		{"no base64", "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>?</BINVAL></PHOTO></vCard>", "", "", "PHOTO: illegal base64 data at input byte 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := picture(element(t, tt.card))
			if tt.fails != "" {
				if err == nil || err.Error() != tt.fails {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || p.Type != tt.typ || string(p.Data) != tt.data {
				t.Errorf("%v: %q %q", err, p.Type, p.Data)
			}
		})
	}
}

// A picture takes the place of another, and what else there is means what it meant.
func TestAppendCard(t *testing.T) {
	photo := &Photo{Type: "<png>", Data: []byte("a")}
	for _, tt := range []struct {
		name, card string
		photo      *Photo
		want       string
	}{
		{"into an empty one", "<vCard xmlns='vcard-temp'/>", photo, "<vCard xmlns='vcard-temp'><PHOTO><TYPE>&lt;png&gt;</TYPE><BINVAL>YQ==</BINVAL></PHOTO></vCard>"},
		{"in the place of others", "<vCard xmlns='vcard-temp'><PHOTO/><FN>R</FN><PHOTO/></vCard>", &Photo{Data: []byte("a")}, "<vCard xmlns='vcard-temp'><FN>R</FN><PHOTO><BINVAL>YQ==</BINVAL></PHOTO></vCard>"},
		{"out", "<vCard xmlns='vcard-temp'><FN>R</FN><PHOTO/></vCard>", nil, "<vCard xmlns='vcard-temp'><FN>R</FN></vCard>"},
		{"prefixes", "<v:vCard xmlns:v='vcard-temp' xmlns:o='other'><v:FN>R</v:FN><o:x/></v:vCard>", nil,
			"<vCard xmlns='vcard-temp'><v:FN xmlns='jabber:client' xmlns:v='vcard-temp'>R</v:FN><o:x xmlns='jabber:client' xmlns:o='other'/></vCard>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(appendCard(nil, element(t, tt.card), tt.photo)); got != tt.want {
				t.Errorf("%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func presence(t testing.TB, text string) *scan.Stanza {
	t.Helper()
	st, err := scanned([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestDressed(t *testing.T) {
	const x = "<x xmlns='vcard-temp:x:update'><photo>abc</photo></x>"
	for _, tt := range []struct{ name, presence, want string }{
		{"nothing in it", "<presence/>", "<presence>" + x + "</presence>"},
		{"nothing between its tags", "<presence id='1'></presence >", "<presence id='1'>" + x + "</presence >"},
		{"something", "<presence from='a@b' to='c@d' xml:lang='de'><show>dnd</show></presence>", "<presence xml:lang='de'><show>dnd</show>" + x + "</presence>"},
		{"an update that says nothing", "<presence><x xmlns='vcard-temp:x:update'/><show/></presence>", "<presence><show/>" + x + "</presence>"},
		{"a client that knows its picture", "<presence><x xmlns='vcard-temp:x:update'><photo>d</photo></x></presence>", "<presence><x xmlns='vcard-temp:x:update'><photo>d</photo></x></presence>"},
		{"a client that knows that it has none", "<presence><x xmlns='vcard-temp:x:update'><photo/></x></presence>", "<presence><x xmlns='vcard-temp:x:update'><photo/></x></presence>"},
		{"a prefix", "<c:presence xmlns:c='jabber:client' xmlns='u'/>", "<c:presence xmlns:c='jabber:client' xmlns='u'>" + x + "</c:presence>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st, err := Dressed(presence(t, tt.presence), "abc")
			if err != nil || string(st.Raw) != tt.want {
				t.Errorf("%v\n%s\nwant\n%s", err, st.Raw, tt.want)
			}
		})
	}
	// What the server says later wins over what a client has said, and nothing is said twice.
	for before, want := range map[string]string{"d": "abc", "abc": ""} {
		st, changed, err := Redressed([]byte("<presence from='a@b/c'><x xmlns='vcard-temp:x:update'><photo>"+before+"</photo></x><show/></presence>"), "abc")
		if err != nil || changed != (want != "") || changed && string(st.Raw) != "<presence><show/>"+x+"</presence>" {
			t.Errorf("%s: %v, %v, %s", before, changed, err, st.Raw)
		}
	}
}

// owner has a vCard, and what avatars he publishes.
type avatars struct {
	Photo
	ok, known bool
}

func (a *avatars) Avatar(context.Context, addr.Bare, addr.JID) (Photo, bool, bool, error) {
	return a.Photo, a.ok, a.known, nil
}

func (a *avatars) SetAvatar(_ context.Context, _ addr.Bare, p Photo) error {
	a.Photo, a.ok, a.known = p, len(p.Data) > 0, true
	return nil
}

// The picture of a vCard of before becomes the avatar, once, and unless there is one.
func TestUpgrade(t *testing.T) {
	romeo := addr.MustBare("romeo@example.com")
	const card = "<vCard xmlns='vcard-temp'><FN>R</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>YQ==</BINVAL></PHOTO></vCard>"
	const rest = "<vCard xmlns='vcard-temp'><FN>R</FN></vCard>"
	for _, tt := range []struct {
		name, card string
		known      bool
		left, data string
	}{
		{"a picture", card, false, rest, "a"},
		{"he has published one, or none", card, true, card, ""},
		{"no picture", rest, false, rest, ""},
		{"a picture that cannot be read", strings.Replace(card, "YQ==", "?", 1), false, strings.Replace(card, "YQ==", "?", 1), ""},
		{"no vCard", "", false, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, err := store.OpenMemory(slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			a := &avatars{known: tt.known}
			c := &Cards{Store: db.Stores("example.com").Keyed("vcard"), Avatars: a, Log: slog.New(slog.DiscardHandler)}
			if tt.card != "" {
				if err := c.Store.Change(t.Context(), romeo, map[string][]byte{"": []byte(tt.card)}); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if err := c.Upgrade(t.Context(), romeo); err != nil {
					t.Fatal(err)
				}
				left, _, err := c.Store.Get(t.Context(), romeo, "")
				if err != nil || string(left) != tt.left || string(a.Data) != tt.data {
					t.Errorf("%v: %s, picture %q", err, left, a.Data)
				}
			}
			// Before and after, others see the same.
			if tt.known {
				return
			}
			b, err := c.card(t.Context(), romeo, romeo.Full())
			if err != nil || string(b) != tt.card {
				t.Errorf("%v: %s", err, b)
			}
		})
	}
}

// Whatever a vCard holds, it can be put together again, and a picture that was put in comes out.
func FuzzCard(f *testing.F) {
	f.Add("<vCard xmlns='vcard-temp'><FN>R</FN><PHOTO><BINVAL>YQ==</BINVAL></PHOTO></vCard>", []byte("x"))
	f.Add("", []byte("x"))
	f.Add("<vCard xmlns='vcard-temp'><a b='c'>d</a><PHOTO/><PHOTO><TYPE>e</TYPE></PHOTO></vCard>", []byte("xyz"))
	f.Add("<v:vCard xmlns:v='vcard-temp'><v:PHOTO/><a xmlns='u'/>text</v:vCard>", []byte{})
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		e, err := parse([]byte(text))
		if err != nil || len(e.Raw) != len(text) {
			return
		}
		_, _ = picture(e)
		again, err := parse(appendCard(nil, e, &Photo{Data: data}))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		p, err := picture(again)
		if err != nil || !bytes.Equal(p.Data, data) {
			t.Errorf("%s: %v, %q", text, err, p.Data)
		}
	})
}

// Whatever a presence holds, it can be dressed, and is a presence.
func FuzzDressed(f *testing.F) {
	f.Add("<presence/>", "abc")
	f.Add("<presence><x xmlns='vcard-temp:x:update'/><!-- --></presence>", "<")
	f.Add("<p:presence xmlns:p='jabber:client'><show>a</show></p:presence>", "")
	f.Fuzz(func(t *testing.T, text, hash string) {
		var sc scan.Scanner
		var st scan.Stanza
		if _, err := sc.Next([]byte(text), &st); err != nil || len(text) > 10_000 {
			return
		}
		d, err := Dressed(&st, hash)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if string(d.Name) != string(st.Name) || string(d.Space) != string(st.Space) {
			t.Errorf("%s became %s", text, d.Raw)
		}
	})
}

func TestHash(t *testing.T) {
	data, err := base64.StdEncoding.DecodeString("YSBwaWN0dXJl")
	if err != nil {
		t.Fatal(err)
	}
	if h := (Photo{Data: data}).Hash(); !isHash.MatchString(h) {
		t.Error(h)
	}
}
