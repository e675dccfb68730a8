//go:build linux

package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/plugins"
)

func TestErrors(t *testing.T) {
	option := &plugins.OptionError{Name: "n", Pos: "f:1", Reason: "wrong"}
	deep := error(engine.ErrDenied)
	for range 1000 {
		deep = &engine.TemporaryError{Err: deep}
	}
	for _, c := range []struct {
		name string
		err  error
		is   []error
		as   func(error) bool
	}{
		{name: "plain", err: errors.New("plain")},
		{name: "unknown user", err: fmt.Errorf("%w: GET http://x → 404", engine.ErrUnknownUser), is: []error{engine.ErrUnknownUser}},
		{name: "denied", err: engine.ErrDenied, is: []error{engine.ErrDenied}},
		{name: "unsupported", err: &engine.PermanentError{Err: plugins.ErrUnsupported}, is: []error{plugins.ErrUnsupported}, as: find[*engine.PermanentError](nil)},
		{name: "temporary", err: fmt.Errorf("a: %w", &engine.TemporaryError{RetryAfter: time.Hour, Err: errors.New("b")}),
			as: find(func(e *engine.TemporaryError) bool { return e.RetryAfter == time.Hour && e.Error() == "b" })},
		{name: "fault", err: &engine.FaultError{Kind: "instructions", Err: errors.New("x.lua:1: too many")}, as: faulty("instructions")},
		{name: "fault of a kind of its own", err: &engine.FaultError{Kind: "trap", Err: errors.New("b")}, as: faulty("trap")},
		{name: "wrapped fault", err: fmt.Errorf("a: %w", &engine.FaultError{Kind: "memory", Err: context.DeadlineExceeded}), is: []error{context.DeadlineExceeded}, as: faulty("memory")},
		{name: "option", err: fmt.Errorf("a: %w", option), as: find(func(e *plugins.OptionError) bool { return *e == *option })},
		{name: "several", err: errors.Join(errors.New("a"), option, plugins.ErrLimit), is: []error{plugins.ErrLimit}, as: find[*plugins.OptionError](nil)},
		{name: "cancelled", err: fmt.Errorf("%w: %w", context.Canceled, plugins.ErrRefused), is: []error{context.Canceled, plugins.ErrRefused}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := decoder{s: string(appendError(nil, c.err))}
			got := d.error()
			if err := d.end("an error"); err != nil {
				t.Fatal(err)
			}
			if got.Error() != c.err.Error() {
				t.Errorf("says %q, want %q", got, c.err)
			}
			for _, is := range c.is {
				if !errors.Is(got, is) {
					t.Errorf("%v is not %v any more", got, is)
				}
			}
			if c.as != nil && !c.as(got) {
				t.Errorf("got %#v", got)
			}
		})
	}
	for _, err := range []error{deep, nil, &engine.TemporaryError{}, errors.New(strings.Repeat("x", 1<<20))} {
		d := decoder{s: string(appendError(nil, err))}
		if got := d.error(); d.end("an error") != nil || got == nil || len(got.Error()) > maxText+10 {
			t.Errorf("got %v", got)
		}
	}
}

func find[T error](ok func(T) bool) func(error) bool {
	return func(err error) bool {
		var e T
		return errors.As(err, &e) && (ok == nil || ok(e))
	}
}

func TestValues(t *testing.T) {
	for _, v := range []any{
		nil, "", "ä\x00\xff", true, false, int64(0), int64(math.MinInt64), int64(math.MaxInt64), 0.1, math.Inf(1), math.Copysign(0, -1),
		[]any{}, []any{nil, "a", []any{int64(1), 1.0}}, map[string]any{}, map[string]any{"": map[string]any{"a": false}},
	} {
		b, err := appendValue(nil, v)
		d := decoder{s: string(b)}
		if got := d.value(maxDepth); err != nil || d.end("a value") != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%#v became %#v (%v)", v, got, err)
		}
	}
	deep := any("bottom")
	for range maxDepth + 1 {
		deep = []any{deep}
	}
	b, err := appendValue(nil, deep)
	d := decoder{s: string(b)}
	if d.value(maxDepth); err != nil || d.end("a value") == nil {
		t.Error("a value without a bottom is read")
	}
}

// TestAnswers: what breaks the rules in what a child says of a roster.
func TestAnswers(t *testing.T) {
	owner := addr.MustBare("john@example.com")
	good := string(appendAnswer(nil, people(2)))
	many := string(appendAnswer(nil, engine.Answer{Dropped: make([]roster.BadItem, maxDropped+7)}))
	for _, c := range []struct {
		name, payload, err string
		contacts, dropped  int
	}{
		{"good", good, "", 2, 1},
		{"empty", "", "cannot be read", 0, 0},
		{"cut", good[:len(good)-1], "cannot be read", 0, 0},
		{"too long", good + "x", "1 bytes too many", 0, 0},
		{"unknown flags", "\x04" + good[1:], "cannot be read", 0, 0},
		{"too many contacts", "\x00\x00\x00\x00\x00\x06" + strings.Repeat("\x00\x03a@b\x00\x00", 6), "6 contacts, more than 5", 0, 0},
		{"more contacts than bytes", "\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f", "cannot be read", 0, 0},
		{"flags of a contact", "\x00\x00\x00\x00\x00\x01\x10\x03a@b\x00\x00", "cannot be read", 0, 0},
		{"a bad JID", "\x00\x00\x00\x00\x00\x01\x00\x03@@b\x00\x00", "", 0, 1},
		{"the owner", "\x00\x00\x00\x00\x00\x01\x00\x10john@example.com\x00\x00", "", 0, 1},
		{"a name that XML cannot carry", "\x00\x00\x00\x00\x00\x01\x00\x03a@b\x01\x01\x00", "", 0, 1},
		{"many are left out", many, "", 0, maxDropped + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := decoder{s: c.payload}
			a, err := d.answer(owner, roster.Limits{Items: 5})
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Fatalf("got %v, want %q", err, c.err)
			}
			if err == nil && (a.Roster.Len() != c.contacts || len(a.Dropped) != c.dropped) {
				t.Errorf("%d contacts, %d left out", a.Roster.Len(), len(a.Dropped))
			}
		})
	}
}

func TestExcerpt(t *testing.T) {
	var e excerpt
	whole := ""
	for n := range 3000 {
		s := fmt.Sprintf("line %d\n", n)
		whole += s
		_, _ = e.Write([]byte(s))
		if n == 100 && e.String() != whole {
			t.Errorf("%q", e.String())
		}
	}
	got := e.String()
	if !strings.HasPrefix(got, whole[:maxExcerpt]) || !strings.HasSuffix(got, whole[len(whole)-maxExcerpt:]) || len(got) > 2*maxExcerpt+50 ||
		!strings.Contains(got, fmt.Sprintf("… %d bytes …", len(whole)-2*maxExcerpt)) {
		t.Errorf("%q", got)
	}
	var large excerpt
	_, _ = large.Write(bytes.Repeat([]byte("x"), 1<<20))
	if n := len(large.String()); n > 2*maxExcerpt+50 {
		t.Errorf("%d bytes", n)
	}
}

// FuzzFrame: whatever comes, it is read or refused, and no more is allocated than came.
func FuzzFrame(f *testing.F) {
	f.Add(seal(append(begin(kindResult, 7), "payload"...)))
	f.Add([]byte("\x05\x01\x00\x00\x00\xff\xff\xff\xff"))
	f.Add([]byte("rubbish that is no frame"))
	f.Add(append(seal(begin(kindLog, 0)), seal(begin(kindCancel, 1))...))
	limit := func(k kind) int64 {
		if k == kindResult || k == kindLog {
			return 4 << 20
		}
		return 0
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newFrameReader(bytes.NewReader(in), limit)
		var again []byte
		for {
			fr, err := r.next()
			if err != nil {
				var b *breach
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &b) {
					t.Fatal(err)
				}
				break
			}
			if limit(fr.kind) == 0 || len(fr.payload) > 4<<20 {
				t.Fatalf("took a frame of kind %d of %d bytes", fr.kind, len(fr.payload))
			}
			again = append(again, seal(append(begin(fr.kind, fr.call), fr.payload...))...)
		}
		if !bytes.HasPrefix(in, again) {
			t.Fatalf("%q was read as %q", in, again)
		}
	})
}

// FuzzRoster: whatever a child says of a roster, what the parent takes is a roster, which survives another trip.
func FuzzRoster(f *testing.F) {
	f.Add(appendAnswer(nil, people(3)))
	f.Add(appendAnswer(nil, engine.Answer{Unchanged: true, Rev: "r", Bounded: true}))
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x03\x07a@b.c/d\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x00\x01\x01x\x01y\x02\x03\x03a@b\x00\x02\x00\x01g\x03\x03a@b\x00\x00"))
	owner := addr.MustBare("john@example.com")
	f.Fuzz(func(t *testing.T, in []byte) {
		d := decoder{s: string(in)}
		a, err := d.answer(owner, roster.Limits{Items: 100})
		if err != nil {
			return
		}
		if _, has := a.Roster.Get(owner); has || a.Roster.Len() > 100 || a.MaxAge < 0 || a.StaleIfError < 0 {
			t.Fatalf("took %+v", a)
		}
		d = decoder{s: string(appendAnswer(nil, a))}
		again, err := d.answer(owner, roster.Limits{Items: 100})
		if err != nil || !a.Unchanged && !again.Roster.Equal(a.Roster) || again.Rev != a.Rev || again.MaxAge != a.MaxAge || len(again.Dropped) != len(a.Dropped) {
			t.Fatalf("%+v became %+v (%v)", a, again, err)
		}
	})
}

// FuzzPayload: nothing that comes from the other side makes a decoder panic or run wild.
func FuzzPayload(f *testing.F) {
	f.Add(byte(0), appendError(nil, &engine.TemporaryError{Err: engine.ErrDenied}))
	v, _ := appendValue(nil, map[string]any{"a": []any{1.5, int64(1), "x", true, nil}})
	f.Add(byte(1), v)
	f.Add(byte(2), appendReply(nil, plugins.Reply{Status: 200, Body: []byte("x")}))
	f.Add(byte(3), appendReadiness(nil, readiness{info: plugins.Info{Routes: []plugins.Route{{Method: "GET", Path: "/"}}, Timers: []time.Duration{1}}}))
	f.Add(byte(4), appendHTTPRequest(nil, plugins.HTTPRequest{URL: "x"}))
	f.Add(byte(5), appendHandled(nil, plugins.Call{Method: "GET"}))
	f.Add(byte(6), appendTexts(nil, []string{"a", "b"}))
	f.Fuzz(func(t *testing.T, what byte, in []byte) {
		d := decoder{s: string(in)}
		switch what % 8 {
		case 0:
			if err := d.error(); err == nil || strings.Contains(err.Error(), "%!") {
				t.Error(err)
			}
		case 1:
			d.value(maxDepth)
		case 2:
			d.reply()
		case 3:
			d.readiness()
		case 4:
			d.httpRequest()
		case 5:
			d.handled()
		case 6:
			d.texts()
		case 7:
			_, _ = decodeOrder(string(in))
		}
		if d.end("it") == nil && d.bad {
			t.Error("bad and well")
		}
	})
}
