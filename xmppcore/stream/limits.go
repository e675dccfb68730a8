package stream

import "time"

// Limits bound what a connection may cost. A zero field means the default, a
// negative one no limit.
type Limits struct {
	Unauthenticated int // connections that are not yet authenticated, in all; default 2000
	PerAddress      int // and from one address (IPv6: one /64); default 20

	Logins int           // at how many the server works at a time; default: as many as there are processors
	Turn   time.Duration // how long a client waits at most until the server begins with it; default admission.DefaultWait

	Negotiation  int           // bytes a client may send before it is authenticated, and again before it is bound; default 16 KiB
	Authenticate time.Duration // from accept to SASL success; default 15 s
	Bind         time.Duration // from there to a bound resource; default 15 s
	Attempts     int           // failed SASL exchanges (RFC 6120 §6.4.5); default 3

	Stanza     int           // bytes of one stanza afterwards; default 256 KiB, never under 10000 (RFC 6120 §13.12)
	Depth      int           // elements inside each other in a stanza; default scan.Limits'
	Attributes int           // of one element; default scan.Limits'
	WriteStall time.Duration // how long a client may take nothing while there is something to write; default 20 s
	Close      time.Duration // for the closing handshake; default 5 s

	Rate  int           // bytes a second a bound client may send before its stream is read more slowly; default no limit
	Burst time.Duration // of that rate it may have saved up; default 2 s
}

// Defaults returns l with the zero fields filled in, and with values that are
// never reached where there is no limit.
func (l Limits) Defaults() Limits {
	l.Unauthenticated = count(l.Unauthenticated, 2000)
	l.PerAddress = count(l.PerAddress, 20)
	l.Negotiation = count(l.Negotiation, 16<<10)
	l.Authenticate = period(l.Authenticate, 15*time.Second)
	l.Bind = period(l.Bind, 15*time.Second)
	l.Attempts = count(l.Attempts, 3)
	l.Stanza = max(count(l.Stanza, 256<<10), 10000)
	l.WriteStall = period(l.WriteStall, 20*time.Second)
	l.Close = period(l.Close, 5*time.Second)
	l.Rate = count(l.Rate, -1)
	l.Burst = period(l.Burst, 2*time.Second)
	return l
}

// Never reached, and still safe to add to other numbers and to the clock.
const (
	countless = 1 << 30
	endless   = 10 * 365 * 24 * time.Hour
)

func count(n, def int) int {
	if n == 0 {
		n = def
	}
	if n < 0 {
		return countless
	}
	return n
}

func period(d, def time.Duration) time.Duration {
	if d == 0 {
		d = def
	}
	if d < 0 {
		return endless
	}
	return d
}
