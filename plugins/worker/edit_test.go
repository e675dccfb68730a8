package worker

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// What travels of an edit comes back as it was, and so does what is said of it; what breaks the rules does not.
func TestEdits(t *testing.T) {
	contact := addr.MustBare("juliet@example.net")
	for _, e := range []engine.Edit{
		{ID: "17", User: addr.MustBare("romeo@example.com"), Contact: contact, Action: engine.Set, Rev: "r",
			Item: roster.Item{JID: contact, Name: "J", Groups: []string{"a", "b"}, Subscription: roster.Both, Ask: true, Approved: true}},
		{User: addr.MustBare("romeo@example.com"), Contact: contact, Action: engine.OutUnsubscribed, Item: roster.Item{JID: contact, Groups: []string{}}},
	} {
		b := appendEdit(nil, e)
		d := decoder{s: string(b)}
		if got := d.edit(); d.end("an edit") != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%+v, want %+v (%v)", got, e, d.end("an edit"))
		}
		for n := range b {
			d := decoder{s: string(b[:n])}
			if d.edit(); d.end("an edit") == nil {
				t.Errorf("%d bytes of it are read", n)
			}
		}
	}
	err := fmt.Errorf("edit: %w", &engine.VetoError{Text: "ask Jane\x00"})
	d := decoder{s: string(appendError(nil, err))}
	var veto *engine.VetoError
	if got := d.error(); !errors.As(got, &veto) || veto.Text != "ask Jane" || got.Error() != err.Error() || d.end("an error") != nil {
		t.Errorf("%v came back as %v", err, got)
	}
	d = decoder{s: string(appendError(nil, fmt.Errorf("%w: 404", engine.ErrNoItem)))}
	if got := d.error(); !errors.Is(got, engine.ErrNoItem) {
		t.Errorf("came back as %v", got)
	}
}

// FuzzEdit: a child reads any bytes or refuses them.
func FuzzEdit(f *testing.F) {
	f.Add(appendEdit(nil, engine.Edit{ID: "17", User: addr.MustBare("romeo@example.com"), Contact: addr.MustBare("a@b"), Action: engine.Set, Item: roster.Item{Groups: []string{"a"}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{s: string(b)}
		e := d.edit()
		if d.end("an edit") != nil {
			return
		}
		again := decoder{s: string(appendEdit(nil, e))}
		if got := again.edit(); again.end("an edit") != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%+v became %+v", e, got)
		}
	})
}
