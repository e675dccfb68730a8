package admin

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"rosterd/engine"
)

// WriteText writes the roster for people.
func (r Roster) WriteText(w io.Writer) error {
	p := &page{w: w}
	p.line("%s", r.User)
	p.field("roster", "%s", r.state())
	p.origin(r.Source, r.Fetched, r.State)
	switch {
	case !r.FreshUntil.IsZero():
		p.field("fresh until", "%s; a login until then asks nobody", moment(r.FreshUntil))
	case !r.ServeUntil.IsZero():
		p.field("served until", "%s at most, when the backend fails", moment(r.ServeUntil))
	}
	if !r.Fetched.IsZero() {
		p.version(r.Version, r.Revision)
		p.field("kept", "%s", map[bool]string{true: "yes: it outlives the session", false: "no: it lives as long as the session"}[r.Kept])
	}
	p.trouble(r.LastError, r.FailedAt, r.NextTry)
	p.held(r.Held, r.User.String())
	if b := r.Breaker; b != nil {
		p.field("breaker", "open since %s: the backend is asked again at %s%s", moment(b.Since), moment(b.Until), because(b.LastError))
	}
	p.line("")
	p.contacts(r.Contacts)
	p.dropped(r.Dropped, r.DroppedMore)
	return p.err
}

func (p *page) version(ours, backends string) {
	if backends != "" {
		ours += ", the backend's " + printable(backends)
	}
	p.field("version", "%s", ours)
}

// standing is a state in words.
func standing(state string, held *Held) string {
	switch {
	case state == "fresh":
		return "fresh: what the backend said last"
	case state == "offline":
		return "the last good one, as it was kept: the user is offline"
	case state == "absent":
		return "none: the backend has not supplied one yet"
	case held != nil:
		return "stale: the last good one, since a newer answer is held back"
	}
	return "stale: the last good one, since the backend failed"
}

func (r Roster) state() string {
	s := standing(r.State, r.Held)
	if r.State != "offline" {
		s += "; " + count(r.Resources, "resource") + " online"
	}
	if r.Fetching {
		s += "; being fetched now"
	}
	return s
}

// WriteOutcomes writes what became of a refresh or a release, a line a user.
func WriteOutcomes(w io.Writer, list []Outcome) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range list {
		text := printable(o.Error)
		switch engine.Outcome(o.Outcome) {
		case engine.Updated:
			text = count(o.Changes, "contact") + " changed"
		case engine.Unchanged:
			text = "nothing to tell"
		case engine.Offline:
			text = "nobody to tell; the next login fetches anew"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", printable(o.User), o.Outcome, text)
	}
	return t.Flush()
}

// WriteText writes the overview for people.
func (o Overview) WriteText(w io.Writer) error {
	p := &page{w: w}
	p.side(&o.Side)
	p.field("contacts", "%d: %d available here, of whom it sees %d and %d see it; %d at other servers, which are not reached",
		o.Roster.Contacts, o.Online, o.Sees, o.SeenBy, o.Elsewhere)
	if o.Own != nil {
		p.field("of these", "%d the user's own; %d more of these are hidden by the backend's", o.Own.Contacts, o.Own.Hidden)
	}
	if len(o.HalfOpen) > 0 {
		p.line("\nThe two rosters do not agree about")
		t := p.table()
		for _, h := range o.HalfOpen {
			they := "does not have " + o.JID.String()
			if h.They != "" {
				they = "says " + h.They
			}
			fmt.Fprintf(t, "  %s\tthis roster says %s,\ttheirs %s\n", h.JID, h.Says, they)
		}
		p.flush(t)
	}
	p.dropped(o.Dropped, o.Forgotten)
	return p.err
}

// WriteText writes the explanation for people.
func (e Explanation) WriteText(w io.Writer) error {
	p := &page{w: w}
	for k := range e.Sides {
		s := &e.Sides[k]
		p.side(s)
		if len(e.Sides) == 2 {
			p.says(s, &e.Sides[1-k])
		}
		for _, d := range s.Dropped {
			p.field("left out", "%s: %s", printable(d.JID), printable(d.Reason))
		}
		if s.Forgotten > 0 {
			p.field("left out", "%d more, which are not remembered", s.Forgotten)
		}
		p.line("")
	}
	for _, f := range e.Flows {
		p.line("presence of %s to %s: %s", f.From, f.To, map[bool]string{true: "flows", false: "does not flow"}[f.Flows])
		for _, why := range f.Why {
			p.line("  - %s", printable(why))
		}
	}
	if len(e.Sides) == 1 {
		p.line("%s is no address; %s", printable(e.Contact), map[bool]string{true: "the backend wrote it so", false: "nothing is known of it"}[e.Known])
	}
	return p.err
}

// page writes lines until one fails.
type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *page) field(name, format string, args ...any) {
	p.line("  %-12s  %s", name, fmt.Sprintf(format, args...))
}

func (p *page) table() *tabwriter.Writer { return tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0) }

func (p *page) flush(t *tabwriter.Writer) {
	if err := t.Flush(); p.err == nil {
		p.err = err
	}
}

func (p *page) origin(source string, fetched time.Time, state string) {
	from := source
	if state == "offline" {
		from = "the kept copy; what is asked is " + source
	}
	p.field("from", "%s", printable(from))
	if fetched.IsZero() {
		p.field("fetched", "never")
	} else {
		p.field("fetched", "%s", moment(fetched))
	}
}

func (p *page) trouble(lastError string, at, next time.Time) {
	if lastError == "" {
		return
	}
	p.field("last error", "%s: %s", moment(at), printable(lastError))
	if !next.IsZero() {
		p.field("next try", "%s", moment(next))
	}
}

func (p *page) held(h *Held, user string) {
	if h != nil {
		p.field("held back", "since %s: an answer that removes %d of %d contacts; let it through with: rosterd roster release %s", moment(h.Since), h.Removed, h.Of, user)
	}
}

// side writes who somebody is and where the roster comes from.
func (p *page) side(s *Side) {
	p.line("%s", s.JID)
	switch {
	case !s.Served:
		p.field("is", "not of a VirtualHost of this server")
	case len(s.Resources) == 0:
		p.field("is", "offline")
	default:
		p.field("is", "online with %s", count(len(s.Resources), "resource"))
	}
	t := p.table()
	for _, r := range s.Resources {
		fmt.Fprintf(t, "    %s\t%s\t%s\n", printable(r.Resource), r.state(), r.carrier())
	}
	p.flush(t)
	if s.Roster == nil {
		if s.Served {
			p.field("roster", "nothing is known of it")
		}
		return
	}
	o := s.Roster
	p.field("roster", "%s", standing(o.State, o.Held))
	p.origin(o.Source, o.Fetched, o.State)
	p.trouble(o.LastError, o.FailedAt, o.NextTry)
	p.held(o.Held, s.JID.String())
}

func (r Resource) state() string {
	s := "connected, has sent no presence"
	if r.Available {
		s = fmt.Sprintf("available since %s, priority %d", moment(r.Shown), r.Priority)
	}
	if r.Interested {
		return s + ", has the roster"
	}
	return s + ", has not asked for the roster"
}

func (r Resource) carrier() string {
	if r.Encrypted {
		return r.Address + ", encrypted"
	}
	return r.Address + ", not encrypted"
}

// says writes what one roster says of the other side.
func (p *page) says(s, other *Side) {
	if s.Roster == nil || s.Roster.State == "absent" {
		return
	}
	c := s.Says
	if c == nil {
		p.field("contact", "%s is not in it", other.JID)
		return
	}
	text := other.JID.String() + ": subscription " + c.Subscription
	if c.Name != "" {
		text += ", name " + strconv.Quote(c.Name)
	}
	if len(c.Groups) > 0 {
		text += ", groups " + groups(c.Groups)
	}
	if c.Ask {
		text += ", asked to subscribe"
	}
	if c.Approved {
		text += ", approved beforehand"
	}
	p.field("contact", "%s", text)
	if c.Of != "" {
		p.field("", "%s", c.owner())
	}
	p.field("", "lets it see %s: %s", s.JID, yes(s.Grants, "from or both"))
	p.field("", "shows it to %s: %s", s.JID, yes(s.Wants, "to or both"))
}

// owner says whose a contact is.
func (c Contact) owner() string {
	switch {
	case c.Of == ofUser:
		return "the user's own"
	case c.Hides:
		return "the backend's, before one of the user's own"
	}
	return "the backend's"
}

func yes(b bool, which string) string {
	if b {
		return "yes (" + which + ")"
	}
	return "no (" + which + " would)"
}

func (p *page) contacts(list []Contact) {
	if len(list) == 0 {
		p.line("no contacts")
		return
	}
	t := p.table()
	fmt.Fprintf(t, "CONTACT\tSUBSCRIPTION\tNAME\tGROUPS%s\n", map[bool]string{true: "\tWHOSE"}[list[0].Of != ""])
	for _, c := range list {
		sub := c.Subscription
		if c.Ask {
			sub += " ask"
		}
		if c.Approved {
			sub += " approved"
		}
		whose := ""
		if c.Of != "" {
			whose = "\t" + c.owner()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s%s\n", c.JID, sub, orDash(printable(c.Name)), orDash(groups(c.Groups)), whose)
	}
	p.flush(t)
}

func (p *page) dropped(list []Dropped, more int) {
	if len(list) == 0 {
		return
	}
	p.line("\nleft out of what the backend said")
	for _, d := range list {
		p.line("  %s: %s", printable(d.JID), printable(d.Reason))
	}
	if more > 0 {
		p.line("  and %d more", more)
	}
}

func groups(list []string) string {
	shown := make([]string, len(list))
	for i, g := range list {
		shown[i] = printable(g)
	}
	return strings.Join(shown, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return " (" + printable(text) + ")"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// printable is s as a terminal may have it: names come from a backend, and may hold anything.
func printable(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
