package wasm

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// encodeFlat is what an SDK writes for a document and a roster.
func encodeFlat(d document, r roster.Roster) []byte {
	text := func(b []byte, s string) []byte {
		return append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	form := byte(0)
	if d.unchanged {
		form |= formUnchanged
	}
	if d.rev != "" || d.maxAge > 0 {
		form |= formKept
	}
	b := append([]byte("RF\x01"), form)
	if form&formKept != 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(d.maxAge.Seconds()))
		b = text(b, d.rev)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Len()))
	for i := range r.All() {
		var flags byte
		for k, s := range subscriptions {
			if i.Subscription == s {
				flags = byte(k)
			}
		}
		if i.Approved {
			flags |= flagApproved
		}
		if i.Ask {
			flags |= flagAsk
		}
		b = text(text(append(b, flags), i.JID.String()), i.Name)
		b = append(b, byte(len(i.Groups)))
		for _, g := range i.Groups {
			b = text(b, g)
		}
	}
	return b
}

// FuzzFlat decodes whatever comes. What is a roster stays one when it is written and read again.
func FuzzFlat(f *testing.F) {
	f.Add([]byte("RF\x01\x00\x00\x00\x00\x00"))
	f.Add([]byte("RF\x01\x03\x2c\x01\x00\x00\x02\x0042\x00\x00\x00\x00"))
	f.Add([]byte("RF\x01\x00\x01\x00\x00\x00\x0f\x03\x00a@b\x01\x00A\x02\x01\x00B\x01\x00C"))
	f.Add([]byte("RF\x01\x00\xff\xff\xff\xff\x0f\x03\x00a@b\x01\x00A\x02\x01\x00B\x01\x00C"))
	f.Add([]byte("RF\x01\x01\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("RF\x02"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, out []byte) {
		b := roster.NewBuilder(addr.Bare{}, roster.Limits{})
		d, err := decodeFlat(b, out)
		if err != nil {
			return
		}
		r, _, err := b.Roster()
		if err != nil {
			t.Fatal(err)
		}
		again := roster.NewBuilder(addr.Bare{}, roster.Limits{})
		e, err := decodeFlat(again, encodeFlat(d, r))
		if err != nil || e != d {
			t.Fatalf("%+v is read as %+v (%v)", d, e, err)
		}
		if s, bad, _ := again.Roster(); !s.Equal(r) || len(bad) > 0 {
			t.Fatalf("%s is read as %s, without %v", r.EncodeJSON(), s.EncodeJSON(), bad)
		}
	})
}

// FuzzDocument reads whatever comes as the JSON of a roster, of a request and of an answer.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"items":[{"jid":"a@b","groups":["A"]}],"rev":"1","max_age":3}`))
	f.Add([]byte(`{"url":"http://a/","method":"POST","headers":{"a":"b"},"timeout_ms":5,"redirects":1,"rev":"x"}`))
	f.Add([]byte(`{"refresh":["a"],"status":200,"headers":{"a":"b"},"body":"c"}`))
	f.Add([]byte(`{"unchanged":true}`))
	f.Fuzz(func(t *testing.T, out []byte) {
		b := roster.NewBuilder(addr.Bare{}, roster.Limits{})
		if d, err := decodeJSON(b, out); err == nil {
			if _, _, err := b.Roster(); err != nil || d.maxAge < 0 || d.maxAge > maxAge {
				t.Fatal(d, err)
			}
		}
		if r, err := readRequest(out); err == nil && (r.URL == "" || r.Timeout < 0 || r.Redirects < 0) {
			t.Fatalf("%+v", r)
		}
		if r, err := readReply(out); err == nil && r.Status != 0 && (r.Status < 200 || r.Status > 599) {
			t.Fatalf("%+v", r)
		}
	})
}

// TestFlatAllocates sets nothing aside for contacts that are only claimed.
func TestFlatAllocates(t *testing.T) {
	claims := append([]byte("RF\x01\x00\xff\xff\xff\x00"), bytes.Repeat([]byte{0}, 1000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := decodeFlat(roster.NewBuilder(addr.Bare{}, roster.Limits{}), claims); err == nil || !strings.Contains(err.Error(), "16777215 contacts in 1000 bytes") {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were set aside for a document of %d", n, len(claims))
	}
}
