package roster

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"rosterd/engine/addr"
)

// former are rosters that a document may be read after.
var former = []string{
	`{}`,
	`{"a@x":{"name":"A","groups":["g"]},"b@x":{"subscription":"to"},"me@x":{}}`,
	`{"b@x":{"subscription":"to"}}`,
	`{"a@x":{"name":"A","groups":["g","h"]},"b@x":{"approved":true},"c@x":{"ask":"subscribe"},"d@x":{"name":"long name"},"e@x":{},"f@x":{}}`,
}

// sameEverywhere reads a document in every way there is.
func sameEverywhere(t *testing.T, body []byte) {
	me := addr.MustBare("me@x")
	for _, lim := range []Limits{{}, {Items: 2, Text: 3, Groups: 1}} {
		want, wantBad, wantErr := decodeAny(after(Roster{}, me, lim), body)
		for _, f := range former {
			last, _, err := DecodeJSON(addr.Bare{}, []byte(f), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			r, bad, err := DecodeNext(last, me, body, lim)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(bad, wantBad) {
				t.Fatalf("%s after %s: %v %v, want %v %v", body, f, bad, err, wantBad, wantErr)
			}
			if brief, _, err := DecodeJSON(addr.Bare{}, r.AppendBrief(nil), Limits{}); err != nil || !brief.Equal(r) {
				t.Fatalf("%s: %v", r.AppendBrief(nil), err)
			}
			fresh, _ := New(addr.Bare{}, r.Items()...)
			if !r.Equal(want) || r.Version() != fresh.Version() || string(r.EncodeJSON()) != string(want.EncodeJSON()) {
				t.Fatalf("%s after %s: %s %s, want %s %s", body, f, r.Version(), r.EncodeJSON(), want.Version(), want.EncodeJSON())
			}
		}
	}
}

// TestPlain: reading in one pass finds what reading carefully does, whatever the roster was before.
func TestPlain(t *testing.T) {
	plain := append([]string{
		" { } ", `{"a@x":null}`, `{"a@x":{}}`, "{\r\n\t\"a@x\" : { \"name\" : \"A\" , \"groups\" : [ \"g\" ] } }",
		`{"a@x":{"groups":{"g":true,"h":null,"i":"j","k":12}}}`, `{"a@x":{"groups":["h","g","","g"]}}`, `{"a@x":{"groups":[]},"b@x":{"groups":{}}}`,
		`{"a@x":{"ask":"subscribe","approved":false},"b@x":{"ask":true,"approved":true},"c@x":{"ask":""}}`,
		`{"a@x":{"id":17,"name":null,"vip":false,"note":"n","name":"A"}}`, `{"a@x":{"groups":["g"],"groups":["h"]}}`,
		`{"A@X":{"name":"A","groups":["g"]},"a@x":{}}`, `{"a@x":{},"a@x":{"name":"A"}}`, `{"no jid":{},"a@x/full":{},"me@x":{},"@":{}}`,
		`{"zoë@x":{"name":"Zoë"}}`, "{\"a@x\":{\"name\":\"\xff\"}}", `{"f@x":{},"e@x":{},"d@x":{},"c@x":{},"b@x":{},"a@x":{}}`,
		`{"b@x":{"subscription":"to"},"a@x":{"name":"A","groups":["g"]}}`,
	}, former...)
	for _, body := range plain {
		if !decodePlain(NewBuilder(addr.Bare{}, Limits{}), []byte(body)) {
			t.Errorf("%q is not plain", body)
		}
		sameEverywhere(t, []byte(body))
	}
	for _, body := range []string{
		"", "[]", "null", `{"a@x":{}`, `{"a@x":{},}`, `{,}`, `{"a@x":{}} x`, `{"a@x"}`, `{"a@x":{"name"}}`, `{"a@x":{"name":"\u0041"}}`, `{"\u0061@x":{}}`,
		`{"a@x":[]}`, `{"a@x":"b"}`, `{"a@x":1}`, `{"a@x":{"id":01}}`, `{"a@x":{"id":-1}}`, `{"a@x":{"id":1.5e3}}`, `{"a@x":{"id":[1]}}`, `{"a@x":{"name":1}}`,
		`{"a@x":{"groups":[1]}}`, `{"a@x":{"groups":["a"}}`, `{"a@x":{"groups":["a",]}}`, `{"a@x":{"groups":"a"}}`, `{"a@x":{"subscription":"all"}}`,
		`{"a@x":{"ask":"perhaps"}}`, `{"a@x":{"ask":1}}`, `{"a@x":{"approved":"yes"}}`, "{\"a@x\":{\"name\":\"a\tb\"}}", `{"a@x":{"name":"A}}`,
		`{"error":null}`, `{"":null}`, `{"a@x":nullx}`, `{"a@x":{} "b@x":{}}`, `{"a@x":{"id":1 2}}`, `{"a@x":{"id":17`, "{\"a@x\":\v{}}",
	} {
		if decodePlain(NewBuilder(addr.Bare{}, Limits{}), []byte(body)) {
			t.Errorf("%q is plain", body)
		}
		sameEverywhere(t, []byte(body))
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range former {
		f.Add([]byte(s))
	}
	f.Fuzz(sameEverywhere)
}

// TestDecodeNext: what is the same is not made again.
func TestDecodeNext(t *testing.T) {
	doc := func(from, to int) []byte {
		var b strings.Builder
		for k := from; k < to; k++ {
			fmt.Fprintf(&b, `,"c%02d@x":{"name":"C","groups":["g"]}`, k)
		}
		return []byte("{" + b.String()[1:] + "}")
	}
	read := func(last Roster, body []byte) Roster {
		r, bad, err := DecodeNext(last, addr.Bare{}, body, Limits{})
		if err != nil || len(bad) > 0 {
			t.Fatal(bad, err)
		}
		return r
	}
	last := read(Roster{}, doc(0, 60))
	if r := read(last, doc(0, 60)); r.d != last.d {
		t.Error("another roster, of the same contacts")
	}
	body := doc(0, 60) // with -race, fmt's pools lose things as it happens
	if n := testing.AllocsPerRun(10, func() { read(last, body) }); n > 6 {
		t.Errorf("%v allocations for what is the same", n)
	}
	if r := read(last, doc(2, 62)); r.Len() != 60 || len(Diff(last, r)) != 4 || Diff(last, r)[3].Version != r.Version() {
		t.Error(Diff(last, r))
	}
	if r := read(last, doc(100, 103)); r.Len() != 3 || r.Version() != read(Roster{}, doc(100, 103)).Version() {
		t.Error(r.Len(), r.Version())
	}
}

func BenchmarkDecodeNext(b *testing.B) {
	var items []Item
	for k := range 100 {
		items = append(items, item(fmt.Sprintf("contact%d@example.com", k), fmt.Sprintf("Contact Number %d", k), Both, "Friends"))
	}
	last := mustNew(b, items[1:]...)
	body := mustNew(b, items...).EncodeJSON()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodeNext(last, addr.Bare{}, body, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
