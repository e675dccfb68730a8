package trial

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"rosterd/engine/roster"
)

// Judge says what of an outcome is not as the case expects; nothing if all is. A problem may have several lines.
func (c *Case) Judge(o Outcome) (problems []string) {
	if c.Expect == nil {
		return append(slices.Clone(o.Problems), "the case expects nothing: --update fills in what comes of it")
	}
	e := c.Expect
	if e.Fault != nil {
		if Kind(o.Err) == "fault" {
			problems = append(problems, "a fault, and anything else would do: "+o.Err.Error())
		}
		return problems
	}
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if c.judgeError(o, add) {
		switch c.Call {
		case CallFetch:
			c.judgeRoster(o, add)
		case CallCard:
			c.judgeCard(o, add)
		case CallHTTP:
			e.judgeReply(o, add)
		case CallTimer:
			if e.Again != nil && *e.Again != o.Again.Seconds() {
				add("wants to be called again in %v, not in %v", o.Again, time.Duration(*e.Again*float64(time.Second)))
			}
		}
	}
	if got, want := sorted(o.Refreshed), sorted(e.Refreshed); e.Refreshed != nil && !slices.Equal(got, want) {
		add("refreshed are %s, not %s", list(got), list(want))
	}
	e.judgeStore(o, add)
	for _, text := range e.Log {
		if !slices.ContainsFunc(o.Logged, func(l Line) bool { return strings.Contains(l.Text, text) }) {
			add("no line of the log has %q", text)
		}
	}
	return append(problems, o.Problems...)
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

func list(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

// judgeError looks at whether the call failed. It is true if it succeeded as it should have.
func (c *Case) judgeError(o Outcome, add func(string, ...any)) (ok bool) {
	e := c.Expect
	got, want := Kind(o.Err), e.Error
	if c.Call == CallAuth && want == "" {
		switch {
		case *e.In && o.Err != nil:
			add("not let in: %s: %v", got, o.Err)
		case !*e.In && o.Err == nil:
			add("let in, and should be refused")
		case !*e.In && got != "denied" && got != "not-found":
			add("should be refused, but failed: %s: %v", got, o.Err)
		}
		return o.Err == nil
	}
	switch {
	case want == "" && got != "":
		add("failed: %s: %v", got, o.Err)
	case want != "" && got == "":
		add("should fail (%s), but %s", want, c.result(o))
	case want != got:
		add("failed with %s, not with %s: %v", got, want, o.Err)
	case want != "" && !strings.Contains(o.Err.Error(), e.Contains):
		add("the error does not contain %q: %v", e.Contains, o.Err)
	}
	return want == "" && got == ""
}

// result is a good outcome in a few words.
func (c *Case) result(o Outcome) string {
	switch c.Call {
	case CallAuth:
		return "lets the user in"
	case CallHTTP:
		return fmt.Sprintf("answers with status %d", o.Reply.Status)
	case CallTimer:
		return "succeeds"
	case CallEdit:
		return "takes the edit"
	case CallCard:
		return "gives a vCard"
	}
	return "gives a roster of " + contacts(o.Answer.Roster.Len())
}

func contacts(n int) string {
	if n == 1 {
		return "1 contact"
	}
	return fmt.Sprintf("%d contacts", n)
}

func (c *Case) judgeRoster(o Outcome, add func(string, ...any)) {
	owner, err := c.user()
	if err != nil {
		add("user: %v", err)
		return
	}
	want, _, err := roster.DecodeJSON(owner, c.Expect.Roster, roster.Limits{})
	if err != nil {
		add("expect.roster: %v", err)
		return
	}
	if !o.Answer.Roster.Equal(want) {
		add("the roster differs (- expected, + got):\n%s", Diff(want, o.Answer.Roster))
	}
	var unexpected []string
	left := slices.Clone(c.Expect.Dropped)
	for _, bad := range o.Answer.Dropped {
		if i := slices.Index(left, bad.JID); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		unexpected = append(unexpected, fmt.Sprintf("  %s: %s", bad.JID, bad.Reason))
	}
	if len(unexpected) > 0 {
		add("left out, which expect.dropped does not say:\n%s", strings.Join(unexpected, "\n"))
	}
	for _, jid := range left {
		add("expect.dropped says %s, which is not left out", jid)
	}
}

func (e *Expect) judgeReply(o Outcome, add func(string, ...any)) {
	if e.Status != 0 && o.Reply.Status != e.Status {
		add("answers with status %d, not %d: %q", o.Reply.Status, e.Status, short(o.Reply.Body))
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		if got := o.Reply.Header.Values(name); !slices.Equal(got, e.Headers[name]) {
			add("header field %s is %q, not %q", name, strings.Join(got, ", "), strings.Join(e.Headers[name], ", "))
		}
	}
	if e.Body != nil && string(o.Reply.Body) != *e.Body {
		add("the body is %q, not %q", short(o.Reply.Body), short([]byte(*e.Body)))
	}
	if e.JSON != nil && !sameJSON(e.JSON, o.Reply.Body) {
		add("the body is %s, not %s", short(o.Reply.Body), short(e.JSON))
	}
}

func (e *Expect) judgeStore(o Outcome, add func(string, ...any)) {
	for _, store := range slices.Sorted(maps.Keys(e.Store)) {
		for _, key := range slices.Sorted(maps.Keys(e.Store[store])) {
			want := e.Store[store][key]
			got, ok := o.Kept[store][key]
			switch gone := string(want) == "null"; {
			case gone && ok:
				add("store %s keeps %s as %q, and should keep nothing there", store, short(got), key)
			case !gone && !ok:
				add("store %s keeps nothing as %q, and should keep %s", store, key, short(want))
			case !gone && !sameJSON(want, got):
				add("store %s keeps %s as %q, not %s", store, short(got), key, short(want))
			}
		}
	}
}

// Update makes the expectation what came of the call. What a case says of errors beyond their kind, and of the store and the
// log, stays where it still holds.
func (c *Case) Update(o Outcome) {
	old := c.Expect
	if old == nil {
		old = &Expect{}
	}
	e := &Expect{Store: old.Store, Log: old.Log}
	for store, values := range e.Store {
		for key := range values {
			if v, ok := o.Kept[store][key]; ok {
				values[key] = v
			} else {
				values[key] = json.RawMessage("null")
			}
		}
	}
	if old.Refreshed != nil || len(o.Refreshed) > 0 {
		e.Refreshed = append([]string{}, sorted(o.Refreshed)...)
	}
	switch kind := Kind(o.Err); {
	case c.Call == CallAuth && (kind == "" || old.In != nil && (kind == "denied" || kind == "not-found")):
		in := kind == ""
		e.In = &in
	case kind != "":
		if e.Error = kind; strings.Contains(o.Err.Error(), old.Contains) {
			e.Contains = old.Contains
		}
	case c.Call == CallFetch:
		e.Roster = o.Answer.Roster.EncodeJSON()
		for _, bad := range o.Answer.Dropped {
			e.Dropped = append(e.Dropped, bad.JID)
		}
	case c.Call == CallHTTP:
		e.updateReply(old, o)
	case c.Call == CallEdit:
		e.Taken = true
	case c.Call == CallCard:
		e.VCard = EncodeCard(o.Card)
	case c.Call == CallTimer:
		again := math.Round(o.Again.Seconds()*1000) / 1000
		e.Again = &again
	}
	c.Expect = e
}

func (e *Expect) updateReply(old *Expect, o Outcome) {
	e.Status = o.Reply.Status
	for name := range old.Headers {
		if values := o.Reply.Header.Values(name); len(values) > 0 {
			if e.Headers == nil {
				e.Headers = Header{}
			}
			e.Headers[http.CanonicalHeaderKey(name)] = values
		}
	}
	switch {
	case json.Valid(o.Reply.Body) && old.Body == nil:
		e.JSON = o.Reply.Body
	case len(o.Reply.Body) > 0 || old.Body != nil:
		s := string(o.Reply.Body)
		e.Body = &s
	}
}

// Diff shows what one roster has and the other has not, contact by contact.
func Diff(from, to roster.Roster) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	same := to.Len()
	for _, ch := range roster.Diff(from, to) {
		if ch.Old != nil {
			fmt.Fprintf(w, "  - %s\n", row(*ch.Old))
		}
		if ch.New != nil {
			same--
			fmt.Fprintf(w, "  + %s\n", row(*ch.New))
		}
	}
	_ = w.Flush() // to memory
	if same > 0 {
		fmt.Fprintf(&b, "  %s as expected\n", contacts(same))
	}
	return trimLines(b.String())
}

// trimLines takes the blanks from the ends of lines, which tables leave there.
func trimLines(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// row is a contact as a line of a table.
func row(i roster.Item) string {
	sub := i.Subscription.String()
	if i.Ask {
		sub += ", asks"
	}
	if i.Approved {
		sub += ", approved"
	}
	name := "-"
	if i.Name != "" {
		name = i.Name
	}
	return strings.Join([]string{i.JID.String(), sub, printable(name), printable(groups(i))}, "\t")
}

func groups(i roster.Item) string {
	if len(i.Groups) == 0 {
		return "-"
	}
	return strings.Join(i.Groups, "; ")
}

// printable keeps a table one, whatever stands in it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, s)
}

// WriteRoster writes a roster as a table.
func WriteRoster(w io.Writer, r roster.Roster) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CONTACT\tSUBSCRIPTION\tNAME\tGROUPS")
	for i := range r.All() {
		fmt.Fprintln(t, row(i))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, trimLines(b.String()))
	return err
}
