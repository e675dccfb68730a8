package roster

// Kind is the type of a subscription stanza (RFC 6121 §3).
type Kind string

// The four kinds. The first two pairs ask and end for the sender, the others grant and refuse.
const (
	Subscribe    Kind = "subscribe"
	Unsubscribe  Kind = "unsubscribe"
	Subscribed   Kind = "subscribed"
	Unsubscribed Kind = "unsubscribed"
)

// State is what a user and a contact are to each other, as the user's server keeps it (RFC 6121 appendix A.1), and
// whether the user has approved in advance what the contact may ask for (§3.4).
type State struct {
	Subscription
	PendingOut bool // the user has asked the contact
	PendingIn  bool // the contact has asked the user
	Approved   bool
}

// String is the state as appendix A writes it.
func (s State) String() string {
	name := []string{"None", "To", "From", "Both"}[s.Subscription&Both]
	switch {
	case s.PendingOut && s.PendingIn:
		name += " + Pending Out+In"
	case s.PendingOut:
		name += " + Pending Out"
	case s.PendingIn:
		name += " + Pending In"
	}
	if s.Approved {
		name += ", approved"
	}
	return name
}

// Valid tells that nobody asks for what he has (appendix A.1.2).
func (s State) Valid() bool { return !(s.PendingOut && s.To()) && !(s.PendingIn && s.From()) }

// Out is what a stanza makes of the state that the user sends, and whether his server routes it to the contact
// (appendix A.2). What approves nothing that was asked for is an approval in advance, which is not routed (§3.4.2).
func (s State) Out(k Kind) (next State, route bool) {
	next = s
	switch k {
	case Subscribe:
		next.PendingOut = !s.To()
		return next, true
	case Unsubscribe:
		next.PendingOut, next.Subscription = false, s.Subscription&^To
		return next, true
	case Subscribed:
		switch {
		case s.PendingIn:
			next.PendingIn, next.Subscription = false, s.Subscription|From
			return next, true
		case !s.From():
			next.Approved = true
		}
	case Unsubscribed:
		next.PendingIn, next.Subscription, next.Approved = false, s.Subscription&^From, false
		return next, s.PendingIn || s.From()
	}
	return next, false
}

// In is what a stanza from the contact makes of the state, whether the user is to see it (appendix A.3), and what the
// user's server answers in his stead, "" if nothing (§3.1.3).
func (s State) In(k Kind) (next State, deliver bool, answer Kind) {
	next = s
	switch k {
	case Subscribe:
		switch {
		case s.From():
			return next, false, Subscribed
		case s.Approved:
			next.PendingIn, next.Subscription = false, s.Subscription|From
			return next, false, Subscribed
		case !s.PendingIn:
			next.PendingIn = true
			return next, true, ""
		}
	case Unsubscribe:
		next.PendingIn, next.Subscription = false, s.Subscription&^From
		return next, s.PendingIn || s.From(), ""
	case Subscribed:
		if s.PendingOut {
			next.PendingOut, next.Subscription = false, s.Subscription|To
			return next, true, ""
		}
	case Unsubscribed:
		next.PendingOut, next.Subscription = false, s.Subscription&^To
		return next, s.PendingOut || s.To(), ""
	}
	return next, false, ""
}

// Remove is what a server routes to a contact who is taken out of the roster: with him go both subscriptions, and
// what either side has asked for (§2.5.2).
func (s State) Remove() (route []Kind) {
	if s.To() || s.PendingOut {
		route = append(route, Unsubscribe)
	}
	if s.From() || s.PendingIn {
		route = append(route, Unsubscribed)
	}
	return route
}
