package roster

import "fmt"

// Subscription is the state of an item (RFC 6121 §2.1.2.5). "remove" is not among the constants: it is
// an instruction on the wire, never a state an item can be in.
type Subscription uint8

// The bits say which way presence flows, so that Both is To and From together.
const (
	None Subscription = 0
	To   Subscription = 1 // the owner sees the contact
	From Subscription = 2 // the contact sees the owner
	Both Subscription = To | From
)

var subscriptions = [...]string{"none", "to", "from", "both"}

// To tells whether the owner sees the contact's presence.
func (s Subscription) To() bool { return s&To != 0 }

// From tells whether the contact sees the owner's presence.
func (s Subscription) From() bool { return s&From != 0 }

func (s Subscription) String() string { return subscriptions[s&Both] }

// ParseSubscription reads the four words of RFC 6121.
func ParseSubscription(word string) (Subscription, error) {
	for s, w := range subscriptions {
		if w == word {
			return Subscription(s), nil
		}
	}
	return None, fmt.Errorf("subscription %q is none of none, to, from, both", word)
}
