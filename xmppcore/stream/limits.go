package stream

import (
	"cmp"
	"time"
)

// Limits bound what a connection may cost. A zero field means the default, a
// negative one no limit.
type Limits struct {
	Unauthenticated int // connections that are not yet authenticated, in all; default 2000
	PerAddress      int // and from one address; default 20

	Negotiation  int           // bytes a client may send before it is authenticated, and again before it is bound; default 16 KiB
	Authenticate time.Duration // from accept to SASL success; default 15 s
	Bind         time.Duration // from there to a bound resource; default 15 s
	Attempts     int           // failed SASL exchanges (RFC 6120 §6.4.5); default 3

	Stanza     int           // bytes of one stanza afterwards; default 256 KiB, never under 10000 (RFC 6120 §13.12)
	WriteStall time.Duration // how long a client may take nothing while there is something to write; default 20 s
	Close      time.Duration // for the closing handshake; default 5 s

	Rate  int           // bytes a second a bound client may send before its stream is read more slowly; default no limit
	Burst time.Duration // of that rate it may have saved up; default 2 s
}

// withDefaults fills in the zero fields and turns "no limit" into a value that
// is never reached.
func (l Limits) withDefaults() Limits {
	l.Unauthenticated = limit(l.Unauthenticated, 2000)
	l.PerAddress = limit(l.PerAddress, 20)
	l.Negotiation = limit(l.Negotiation, 16<<10)
	l.Authenticate = limit(l.Authenticate, 15*time.Second)
	l.Bind = limit(l.Bind, 15*time.Second)
	l.Attempts = limit(l.Attempts, 3)
	l.Stanza = max(limit(l.Stanza, 256<<10), 10000)
	l.WriteStall = limit(l.WriteStall, 20*time.Second)
	l.Close = limit(l.Close, 5*time.Second)
	l.Burst = cmp.Or(l.Burst, 2*time.Second)
	return l
}

// unlimited fits an int of 32 bits and, as a duration, is 25 days when counted
// in the milliseconds that limit makes of it.
const unlimited = 1<<31 - 1

func limit[T int | time.Duration](v, def T) T {
	switch {
	case v == 0:
		return def
	case v > 0:
		return v
	}
	if d, ok := any(T(unlimited)).(time.Duration); ok {
		d *= time.Millisecond
		return T(d)
	}
	return unlimited
}
