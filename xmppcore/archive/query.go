package archive

import (
	"strconv"
	"strings"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// query is what a client wants of its archive (XEP-0313 §4).
type query struct {
	store.Query
	id    string // to be in each result
	flip  bool   // the latest first
	count bool   // no messages at all
	part  bool   // before-id or after-id leave out some
}

func bad(text string) *stanza.Error { return &stanza.Error{Condition: stanza.BadRequest, Text: text} }

// parseQuery reads a query; results is the most that is answered at once.
func parseQuery(e scan.Element, results int) (*query, *stanza.Error) {
	q := &query{Query: store.Query{Max: results, Count: true}}
	q.id, _ = e.Attr("queryid")
	if node, _ := e.Attr("node"); node != "" {
		return nil, &stanza.Error{Condition: stanza.ItemNotFound}
	}
	_, q.flip = e.Find(nsMAM, "flip-page")
	if form, ok := e.Find(nsForm, "x"); ok {
		if err := q.form(form); err != nil {
			return nil, err
		}
	}
	if set, ok := e.Find(nsRSM, "set"); ok {
		if err := q.paging(set); err != nil {
			return nil, err
		}
	}
	if !q.Start.IsZero() && !q.End.IsZero() && q.End.Before(q.Start) {
		return nil, bad("end is before start")
	}
	return q, nil
}

// form reads the conditions (XEP-0313 §4.1).
func (q *query) form(x scan.Element) *stanza.Error {
	if typ, _ := x.Attr("type"); typ != "submit" {
		return bad("the form is not of type submit")
	}
	typed := false
	for f := range x.Elements() {
		if string(f.Name) != "field" {
			continue
		}
		name, _ := f.Attr("var")
		if name == "FORM_TYPE" {
			typed = value(f) == nsMAM
			continue
		}
		if err := q.field(name, f); err != nil {
			return err
		}
	}
	if !typed {
		return bad("FORM_TYPE is not " + nsMAM)
	}
	return nil
}

func (q *query) field(name string, f scan.Element) *stanza.Error {
	switch name {
	case "with":
		j, err := addr.Parse(value(f))
		if err != nil {
			return &stanza.Error{Condition: stanza.JIDMalformed, Text: err.Error()}
		}
		q.With = j.String()
	case "start":
		return instant(value(f), &q.Start)
	case "end":
		return instant(value(f), &q.End)
	case "before-id": // a page may begin within these bounds, of which nobody can say how much there is
		q.Before, q.Count, q.part = value(f), false, true
	case "after-id":
		q.After, q.Count, q.part = value(f), false, true
	case "ids":
		q.IDs = []string{}
		for v := range f.Elements() {
			if string(v.Name) == "value" {
				q.IDs = append(q.IDs, v.Text())
			}
		}
	default: // what is not understood would be more than was asked for
		return &stanza.Error{Condition: stanza.FeatureNotImplemented, Text: "no such field"}
	}
	return nil
}

func value(f scan.Element) string {
	v, ok := f.Find(nsForm, "value")
	if !ok {
		return ""
	}
	return strings.TrimSpace(v.Text())
}

// instant reads a DateTime of XEP-0082.
func instant(s string, to *time.Time) *stanza.Error {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return bad("no date and time of XEP-0082")
	}
	*to = t
	return nil
}

// paging reads what XEP-0059 says about the page.
func (q *query) paging(set scan.Element) *stanza.Error {
	for e := range set.Elements() {
		text := strings.TrimSpace(e.Text())
		switch string(e.Name) {
		case "max":
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil {
				return bad("max is no number")
			}
			q.Max = min(int(n), q.Max)
			q.count = n == 0
		case "after":
			if text != "" { // an after-id is before that
				q.After = text
			}
		case "before":
			q.Last = true
			if text != "" {
				q.Before = text
			}
		case "index":
			return &stanza.Error{Condition: stanza.FeatureNotImplemented, Text: "pages are not had by index"}
		}
	}
	if q.count {
		q.Max, q.Count = 1, !q.part
	}
	return nil
}
