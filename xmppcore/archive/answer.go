package archive

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"rosterd/store"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
)

// Features are what an account announces.
func Features() []string { return []string{nsMAM, nsMAM + "#extended", nsStanzaID} }

// Handlers answer requests to the own account.
func (a *Archive) Handlers() router.Handlers {
	return router.Handlers{
		{Space: nsMAM, Name: "query"}: a.query, {Space: nsMAM, Name: "metadata"}: a.metadata, {Space: nsMAM, Name: "prefs"}: a.preferencesOf,
	}
}

// patience is how long an answer may take.
const patience = 30 * time.Second

func timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// failed is the answer to a client where the store fails.
func (a *Archive) failed(err error) *stanza.Error {
	if errors.Is(err, store.ErrDisabled) {
		return &stanza.Error{Condition: stanza.FeatureNotImplemented, Text: "nothing is stored here"}
	}
	if a.Failed != nil {
		a.Failed(err)
	}
	return &stanza.Error{Type: stanza.Wait, Condition: stanza.InternalServerError}
}

const form = "<query xmlns='" + nsMAM + "'><x xmlns='" + nsForm + "' type='form'>" +
	"<field type='hidden' var='FORM_TYPE'><value>" + nsMAM + "</value></field>" +
	"<field type='jid-single' var='with'/><field type='text-single' var='start'/><field type='text-single' var='end'/>" +
	"<field type='text-single' var='before-id'/><field type='text-single' var='after-id'/>" +
	"<field type='list-multi' var='ids'><validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/></validate></field>" +
	"</x></query>"

// query answers XEP-0313 §4: the form, or results.
func (a *Archive) query(q *router.Query) *stanza.Error {
	if !q.Set {
		q.Result([]byte(form))
		return nil
	}
	want, refused := parseQuery(q.Payload, a.Results)
	if refused != nil {
		return refused
	}
	if a.NoTotal && !want.count {
		want.Count = false
	}
	ctx, cancel := timeout()
	defer cancel()
	if _, err := a.explicit(ctx, q.To.Bare()); err != nil {
		return a.failed(err)
	}
	page, err := a.log.Find(ctx, q.To.Bare(), want.Query)
	switch {
	case errors.Is(err, store.ErrNoEntry):
		return &stanza.Error{Condition: stanza.ItemNotFound}
	case err != nil:
		return a.failed(err)
	}
	if want.count {
		page.Entries, page.Complete = nil, len(page.Entries) == 0
	}
	q.From.Synced = q.From.Synced || !want.count
	a.send(q, want, page)
	return nil
}

// send gives a client a page, and then the answer that says which one it is (XEP-0313 §4.2, §4.3).
func (a *Archive) send(q *router.Query, want *query, page store.Page) {
	own, to := q.To.Bare().String(), q.From.Full.String()
	entries := page.Entries
	if want.flip {
		entries = slices.Clone(entries)
		slices.Reverse(entries)
	}
	for _, e := range entries {
		q.From.AppendOwn(func(dst []byte) []byte { return appendResult(dst, own, to, want.id, e) })
	}
	q.Result(appendFin(nil, want, page))
}

func appendResult(dst []byte, from, to, queryid string, e store.Entry) []byte {
	dst = append(dst, "<message"...)
	dst = stanza.AppendAttr(dst, "from", from)
	dst = stanza.AppendAttr(dst, "to", to)
	dst = append(dst, "><result xmlns='"+nsMAM+"'"...)
	if queryid != "" {
		dst = stanza.AppendAttr(dst, "queryid", queryid)
	}
	dst = stanza.AppendAttr(dst, "id", e.ID)
	dst = append(dst, "><forwarded xmlns='"+nsForward+"'><delay xmlns='"+nsDelay+"'"...)
	dst = append(stanza.AppendAttr(dst, "stamp", stamp(e.Time)), "/>"...)
	dst = append(dst, e.Stanza...)
	return append(dst, "</forwarded></result></message>"...)
}

// stamp has all digits that are kept, so that a client that gives it back as start or end means this entry.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// appendFin says which page was sent. Where it is of those that are paged backwards, its index is left out: slixmpp would
// take the last page for the end.
func appendFin(dst []byte, want *query, page store.Page) []byte {
	dst = append(dst, "<fin xmlns='"+nsMAM+"'"...)
	if page.Complete {
		dst = append(dst, " complete='true'"...)
	}
	dst = append(dst, "><set xmlns='"+nsRSM+"'>"...)
	if n := len(page.Entries); n > 0 {
		dst = append(dst, "<first"...)
		if want.Count && !want.Last {
			dst = stanza.AppendAttr(dst, "index", strconv.Itoa(page.Index))
		}
		dst = append(stanza.AppendText(append(dst, '>'), page.Entries[0].ID), "</first>"...)
		dst = append(stanza.AppendText(append(dst, "<last>"...), page.Entries[n-1].ID), "</last>"...)
	}
	if want.Count {
		dst = append(strconv.AppendInt(append(dst, "<count>"...), int64(page.Total), 10), "</count>"...)
	}
	return append(dst, "</set></fin>"...)
}

// metadata answers XEP-0313 §5: the first entry and the last.
func (a *Archive) metadata(q *router.Query) *stanza.Error {
	if q.Set {
		return &stanza.Error{Condition: stanza.BadRequest}
	}
	ctx, cancel := timeout()
	defer cancel()
	b := []byte("<metadata xmlns='" + nsMAM + "'>")
	for _, end := range []struct {
		name string
		last bool
	}{{"start", false}, {"end", true}} {
		page, err := a.log.Find(ctx, q.To.Bare(), store.Query{Max: 1, Last: end.last})
		if err != nil {
			return a.failed(err)
		}
		for _, e := range page.Entries {
			b = stanza.AppendAttr(append(append(b, '<'), end.name...), "id", e.ID)
			b = append(stanza.AppendAttr(b, "timestamp", stamp(e.Time)), "/>"...)
		}
	}
	q.Result(append(b, "</metadata>"...))
	return nil
}
