package stream

// Parked tells whether a connection is in the lot.
func Parked(t Transport) bool {
	c := t.(*conn)
	if !c.parks.Load() {
		return false
	}
	theLot.mu.Lock()
	defer theLot.mu.Unlock()
	return int(c.place) < len(theLot.places) && theLot.places[c.place].c == c
}
