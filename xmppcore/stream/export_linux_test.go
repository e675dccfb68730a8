package stream

// Parked tells whether a connection is in the lot.
func Parked(t Transport) bool { return Ticket(t) != 0 }

// Ticket is another one each time that a connection is parked, 0 if it is not in the lot.
func Ticket(t Transport) int32 {
	c := t.(*conn)
	if !c.parks.Load() {
		return 0
	}
	theLot.mu.Lock()
	defer theLot.mu.Unlock()
	if int(c.place) >= len(theLot.places) || theLot.places[c.place].c != c {
		return 0
	}
	return theLot.places[c.place].ticket
}

// Overtake closes the socket of a parked connection and has another one parked on its descriptor before the first is
// unparked.
func Overtake(t Transport) {
	c := t.(*conn)
	c.closing.Store(true)
	c.wire.Conn.Close()
	theLot.enter(new(conn), int(c.place))
}
