// Package register lets people make accounts for themselves, change their passwords and delete their accounts
// (XEP-0077), as far as a host allows it.
package register

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/credential"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// NS is the namespace of requests.
const NS = "jabber:iq:register"

// patience is how long the accounts may take for one request.
const patience = 30 * time.Second

// Accounts are those of a host, as store.Accounts has them.
type Accounts interface {
	// Add adds a user; store.ErrUserExists if there is one.
	Add(ctx context.Context, user addr.Bare, password string) (store.Place, error)
	// SetPassword gives a user another password.
	SetPassword(ctx context.Context, user addr.Bare, password string) (store.Place, error)
	// Delete deletes a user with all that is kept for him.
	Delete(ctx context.Context, user addr.Bare) ([]store.Place, error)
}

// Door is where people of a host who have not logged in register. It must not change while streams use it.
type Door struct {
	Domain              string
	Accounts            Accounts
	Title, Instructions string
	Encrypted           bool // nobody registers without encryption
	Limits              Limits
	Log                 *slog.Logger

	Registered func(user addr.Bare) // is told of each who has; may be nil
}

// Limits say from where people may register, and how often.
type Limits struct {
	Allowed     []netip.Prefix // any number of times
	Blocked     []netip.Prefix // not at all
	AllowedOnly bool           // and from nowhere else
	Throttle    *Throttle[netip.Addr]
}

// Open tells whether registration is to be announced on a stream.
func (d *Door) Open(encrypted bool) bool { return encrypted || !d.Encrypted }

// Asks tells whether an element is a request to register.
func (d *Door) Asks(st *scan.Stanza) bool {
	return stanza.KindOf(st) == stanza.IQ && len(st.Children) == 1 && string(st.Children[0].Space) == NS && string(st.Children[0].Name) == "query"
}

// Answer answers an IQ from a client at an address, the zero one if nobody knows, that has not logged in.
func (d *Door) Answer(ctx context.Context, from netip.Addr, encrypted bool, st *scan.Stanza) []byte {
	typ, _ := st.Attr("type")
	if typ == stanza.TypeResult || typ == stanza.TypeError {
		return nil
	}
	var refused *stanza.Error
	var payload []byte
	switch {
	case !d.Open(encrypted):
		refused = &stanza.Error{Condition: stanza.PolicyViolation, Text: "encryption is required"}
	case typ == stanza.TypeGet:
		payload = d.form()
	case typ == stanza.TypeSet:
		refused = d.register(ctx, from, st.Element(0))
	default:
		refused = &stanza.Error{Condition: stanza.BadRequest}
	}
	if refused != nil {
		return stanza.AppendError(nil, st, d.Domain, "", *refused)
	}
	return stanza.AppendResult(nil, stanza.ID(st), d.Domain, "", payload)
}

// form is what has to be filled in (XEP-0077 §3.1, §4).
func (d *Door) form() []byte {
	instructions := func(dst []byte) []byte {
		return append(stanza.AppendText(append(dst, "<instructions>"...), d.Instructions), "</instructions>"...)
	}
	b := instructions([]byte("<query xmlns='" + NS + "'>"))
	b = append(b, "<username/><password/><x xmlns='jabber:x:data' type='form'><title>"...)
	b = instructions(append(stanza.AppendText(b, d.Title), "</title>"...))
	return append(b, "<field type='hidden' var='FORM_TYPE'><value>"+NS+"</value></field>"+
		"<field type='text-single' label='Username' var='username'><required/></field>"+
		"<field type='text-private' label='Password' var='password'><required/></field></x></query>"...)
}

func (d *Door) register(ctx context.Context, from netip.Addr, query scan.Element) *stanza.Error {
	if _, removes := query.Find(NS, "remove"); removes {
		return &stanza.Error{Condition: stanza.RegistrationRequired}
	}
	name, password := filledIn(query)
	if name == "" || password == "" {
		return &stanza.Error{Condition: stanza.NotAcceptable, Text: "a username and a password are required"}
	}
	user, err := addr.NewBare(name, d.Domain)
	if err != nil {
		return &stanza.Error{Condition: stanza.NotAcceptable, Text: "the username is not valid"}
	}
	if refused := d.Limits.refuse(from, time.Now()); refused != nil {
		d.Log.Info("registration refused", "user", user, "address", from, "cause", refused.Text)
		return refused
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err = d.Accounts.Add(ctx, user, password); err != nil {
		return explain(d.Log, "registering a user", user, err)
	}
	d.Log.Info("registered", "user", user, "address", from)
	if d.Registered != nil {
		d.Registered(user)
	}
	return nil
}

// explain says to the client what it can do about an error, and the rest to the log.
func explain(log *slog.Logger, what string, user addr.Bare, err error) *stanza.Error {
	switch {
	case errors.Is(err, store.ErrUserExists):
		return &stanza.Error{Condition: stanza.Conflict, Text: "the username is taken"}
	case errors.Is(err, credential.ErrPassword):
		return &stanza.Error{Condition: stanza.NotAcceptable, Text: "the password cannot be used"}
	case errors.Is(err, credential.ErrNoUser):
		return &stanza.Error{Condition: stanza.RegistrationRequired}
	}
	log.Error(what, "user", user, "error", err)
	return &stanza.Error{Type: stanza.Wait, Condition: stanza.InternalServerError}
}

// filledIn is what a request says: in elements of its own, or in a form (XEP-0077 §4).
func filledIn(query scan.Element) (name, password string) {
	if form, ok := query.Find("jabber:x:data", "x"); ok {
		return field(form, "username"), field(form, "password")
	}
	text := func(of string) string {
		e, _ := query.Find(NS, of)
		if e.Raw == nil {
			return ""
		}
		return e.Text()
	}
	return text("username"), text("password")
}

func field(form scan.Element, name string) string {
	for f := range form.Elements() {
		if v, _ := f.Attr("var"); v == name && string(f.Name) == "field" {
			if e, ok := f.Find("jabber:x:data", "value"); ok {
				return e.Text()
			}
		}
	}
	return ""
}

// refuse tells why nobody registers from an address now.
func (l *Limits) refuse(from netip.Addr, now time.Time) *stanza.Error {
	from = from.Unmap().WithZone("")
	switch allowed := contains(l.Allowed, from); {
	case contains(l.Blocked, from):
		return &stanza.Error{Condition: stanza.Forbidden, Text: "your address is blocked"}
	case l.AllowedOnly && !allowed:
		return &stanza.Error{Condition: stanza.Forbidden, Text: "your address is not one from which accounts are made"}
	case !allowed && !l.Throttle.Take(network(from), now):
		return &stanza.Error{Type: stanza.Wait, Condition: stanza.PolicyViolation, Text: "too many accounts were made from your address"}
	}
	return nil
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// network is what counts as one address: nobody has only one of IPv6.
func network(a netip.Addr) netip.Addr {
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a
}
