package admin

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Explanation is the answer to "explain" for a user and a contact: what each side's roster says of the other, and
// whether presence flows.
type Explanation struct {
	Contact string `json:"contact"` // as it was named
	Known   bool   `json:"known"`   // one of the two rosters, or what was left out of them, speaks of the other
	Sides   []Side `json:"sides"`   // the user's, and the contact's if that is an address
	Flows   []Flow `json:"flows,omitzero"`
}

// Side is one of two users.
type Side struct {
	JID       addr.Bare  `json:"jid"`
	Served    bool       `json:"served"` // by a VirtualHost of this server
	Resources []Resource `json:"resources"`
	Roster    *Origin    `json:"roster,omitempty"`    // nil: there is none
	Says      *Contact   `json:"says,omitempty"`      // what that roster says of the other side; nil: nothing
	Grants    bool       `json:"grants"`              // it lets the other see this one (from, both)
	Wants     bool       `json:"wants"`               // it shows the other to this one (to, both)
	Dropped   []Dropped  `json:"dropped,omitzero"`    // what the backend said of the other that could not be used
	Forgotten int        `json:"forgotten,omitempty"` // more was left out, and is not remembered

	session Session
	roster  roster.Roster
	own     *engine.Owned
}

// Origin is where a roster comes from.
type Origin struct {
	Source    string    `json:"source"`
	State     string    `json:"state"` // as Roster.State
	Contacts  int       `json:"contacts"`
	Version   string    `json:"version"`
	Fetched   time.Time `json:"fetched,omitzero"`
	LastError string    `json:"last_error,omitempty"`
	FailedAt  time.Time `json:"failed_at,omitzero"`
	NextTry   time.Time `json:"next_try,omitzero"`
	Held      *Held     `json:"held,omitempty"`
}

// Flow is the presence of one user on its way to another.
type Flow struct {
	From  addr.Bare `json:"from"`
	To    addr.Bare `json:"to"`
	Flows bool      `json:"flows"`
	Why   []string  `json:"why"`
}

// Overview is the answer to "explain" for a user alone.
type Overview struct {
	Side
	Online    int        `json:"online"`        // contacts who are available here
	Sees      int        `json:"sees"`          // of these, those whose presence comes to the user
	SeenBy    int        `json:"seen_by"`       // of these, those to whom the user's presence goes, if there is any
	Elsewhere int        `json:"elsewhere"`     // contacts at hosts that are not served
	Own       *OwnCount  `json:"own,omitempty"` // nil where users have no contacts of their own
	HalfOpen  []HalfOpen `json:"half_open,omitzero"`
}

// OwnCount is how many contacts a user keeps himself.
type OwnCount struct {
	Contacts int `json:"contacts"`
	Hidden   int `json:"hidden"` // by contacts of the backend's
}

// HalfOpen is a pair whose two rosters do not agree.
type HalfOpen struct {
	JID  addr.Bare `json:"jid"`
	Says string    `json:"says"`     // the user's roster of the contact
	They string    `json:"they_say"` // the contact's roster of the user; "" if it says nothing
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	u, _, err := s.user(r.FormValue("user"))
	if err != nil {
		answer(w, nil, err)
		return
	}
	name := r.FormValue("contact")
	if name == "" {
		o, err := s.overview(u)
		answer(w, o, err)
		return
	}
	e, err := s.pair(u, name)
	answer(w, e, err)
}

func (s *Server) overview(u addr.Bare) (o Overview, err error) {
	i, known := s.Rosters.Inspect(u)
	if !known {
		return o, unknown(u)
	}
	o.Side = s.side(u, s.Sessions(u)[0], &i)
	if i.Own != nil {
		o.Own = &OwnCount{i.Own.Contacts.Len(), i.Own.Hidden.Len()}
	}
	o.Dropped, o.Forgotten = rosterOf(i, "").Dropped, i.DroppedMore
	for item := range o.roster.All() {
		if _, served := s.Source(item.JID.Domain()); !served {
			o.Elsewhere++
			continue
		}
		c := s.Sessions(item.JID)[0] // one after the other: to stop everybody for a look would be too much
		if !c.Loaded {
			continue
		}
		o.meet(u, item, c)
	}
	return o, nil
}

// meet counts one contact who is online.
func (o *Overview) meet(u addr.Bare, item roster.Item, c Session) {
	other, in := c.Roster.Get(u)
	if available(c.Resources) {
		o.Online++
		o.Sees += one(item.Subscription.To() && other.Subscription.From())
		o.SeenBy += one(item.Subscription.From() && other.Subscription.To())
	}
	if other.Subscription != turned(item.Subscription) {
		h := HalfOpen{JID: item.JID, Says: item.Subscription.String()}
		if in {
			h.They = other.Subscription.String()
		}
		o.HalfOpen = append(o.HalfOpen, h)
	}
}

// turned is what the other side's roster says if the two agree.
func turned(s roster.Subscription) (t roster.Subscription) {
	if s.To() {
		t |= roster.From
	}
	if s.From() {
		t |= roster.To
	}
	return t
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func available(list []Resource) bool {
	for _, r := range list {
		if r.Available {
			return true
		}
	}
	return false
}

// pair explains a user and a contact. What is no address may still be what the backend wrote.
func (s *Server) pair(u addr.Bare, name string) (e Explanation, err error) {
	e.Contact = name
	i, known := s.Rosters.Inspect(u)
	if !known {
		return e, unknown(u)
	}
	contact, err := addr.ParseBare(name)
	if err != nil {
		side := s.side(u, s.Sessions(u)[0], &i)
		side.dropped(i, name, contact)
		e.Sides, e.Known = []Side{side}, len(side.Dropped) > 0
		return e, nil
	}
	if contact == u {
		return e, &failure{http.StatusBadRequest, "a user's own resources always see each other; name a contact"}
	}
	both := s.Sessions(u, contact)
	a, b := s.side(u, both[0], &i), s.side(contact, both[1], nil)
	a.dropped(i, name, contact)
	if j, ok := s.Rosters.Inspect(contact); ok {
		b = s.side(contact, both[1], &j)
		b.dropped(j, u.String(), u)
	}
	a.about(contact)
	b.about(u)
	e.Sides = []Side{a, b}
	e.Flows = []Flow{flow(&a, &b), flow(&b, &a)}
	e.Known = a.Says != nil || b.Says != nil || len(a.Dropped) > 0 || len(b.Dropped) > 0
	return e, nil
}

// side is what is known of one user; i is nil if that is nothing.
func (s *Server) side(u addr.Bare, session Session, i *engine.Inspection) Side {
	side := Side{JID: u, Resources: session.Resources, session: session}
	if side.Resources == nil {
		side.Resources = []Resource{}
	}
	var source string
	source, side.Served = s.Source(u.Domain())
	if i == nil {
		return side
	}
	r := rosterOf(*i, source)
	side.own = i.Own
	side.roster = i.Roster // offline: the kept one
	if session.Loaded {
		side.roster = session.Roster
	}
	side.Roster = &Origin{
		Source: source, State: r.State, Contacts: side.roster.Len(), Version: side.roster.Version(),
		Fetched: r.Fetched, LastError: r.LastError, FailedAt: r.FailedAt, NextTry: r.NextTry, Held: r.Held,
	}
	return side
}

// about looks up what the side's roster says of the other.
func (s *Side) about(other addr.Bare) {
	if i, ok := s.roster.Get(other); ok {
		c := contactOf(i).of(s.own)
		s.Says, s.Grants, s.Wants = &c, i.Subscription.From(), i.Subscription.To()
	}
}

// dropped picks what the backend said of a contact that was left out: as the contact was named, or in a way that
// means the same address.
func (s *Side) dropped(i engine.Inspection, name string, contact addr.Bare) {
	for _, d := range i.Dropped {
		j, err := addr.Parse(d.JID)
		if strings.EqualFold(d.JID, name) || err == nil && !contact.IsZero() && j.Bare() == contact {
			s.Dropped = append(s.Dropped, Dropped{d.JID, d.Reason})
		}
	}
	s.Forgotten = i.DroppedMore
}

// flow says whether the presence of one comes to the other, and why.
func flow(from, to *Side) Flow {
	f := Flow{From: from.JID, To: to.JID}
	f.Why = append(f.Why, from.hinders("there is nothing to be seen of it")...)
	f.Why = append(f.Why, to.hinders("it is shown nothing")...)
	if w := from.refuses(to.JID, from.Grants, "does not let %[2]s see %[1]s (from or both would)"); w != "" && from.Served {
		f.Why = append(f.Why, w)
	}
	if w := to.refuses(from.JID, to.Wants, "does not show %[2]s to %[1]s (to or both would)"); w != "" && to.Served {
		f.Why = append(f.Why, w)
	}
	if len(f.Why) == 0 {
		f.Flows = true
		f.Why = []string{fmt.Sprintf("the roster of %s has %s as %q, the roster of %s has %s as %q",
			from.JID, to.JID, from.Says.Subscription, to.JID, from.JID, to.Says.Subscription)}
		return f
	}
	for _, r := range from.Resources {
		for _, j := range r.Directed {
			if j == to.JID {
				f.Why = append(f.Why, fmt.Sprintf("but %s/%s has sent it directed presence, which comes whatever the rosters say", from.JID, r.Resource))
			}
		}
	}
	return f
}

// hinders tells why a side cannot take part in presence at all.
func (s *Side) hinders(so string) []string {
	switch {
	case !s.Served:
		return []string{fmt.Sprintf("%s is not served here, and there is no federation with other servers", s.JID.Domain())}
	case len(s.Resources) == 0:
		return []string{fmt.Sprintf("%s is offline", s.JID)}
	case !available(s.Resources):
		return []string{fmt.Sprintf("%s is online, but no resource has sent presence, so %s", s.JID, so)}
	}
	return nil
}

// refuses tells why the side's roster stands in the way, "" if it does not.
func (s *Side) refuses(other addr.Bare, allowed bool, how string) string {
	kept := ""
	if len(s.Resources) == 0 {
		kept = ", as it was kept,"
	}
	switch {
	case allowed:
		return ""
	case s.Roster == nil:
		return fmt.Sprintf("nothing is known of the roster of %s", s.JID)
	case len(s.Resources) > 0 && !s.session.Loaded:
		return fmt.Sprintf("the roster of %s is not there: %s", s.JID, orWaiting(s.Roster.LastError))
	case s.Says == nil && len(s.Dropped) > 0:
		return fmt.Sprintf("%s is not in the roster of %s: what the backend said of it was left out (%s)", other, s.JID, s.Dropped[0].Reason)
	case s.Says == nil:
		return fmt.Sprintf("%s is not in the roster of %s%s", other, s.JID, strings.TrimSuffix(kept, ","))
	}
	return fmt.Sprintf("the roster of %s%s has %s as %q: that ", s.JID, kept, other, s.Says.Subscription) + fmt.Sprintf(how, s.JID, other)
}

func orWaiting(lastError string) string {
	if lastError == "" {
		return "the backend has not answered yet"
	}
	return lastError
}
