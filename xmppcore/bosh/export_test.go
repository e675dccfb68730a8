package bosh

// Waiters is how many connections of a session wait for a response.
func Waiters(m *Manager, sid string) int {
	m.mu.Lock()
	s := m.sessions[sid]
	m.mu.Unlock()
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiters
}

// Kept is how many bytes of requests a session has taken and not handled, and how many requests it remembers.
func Kept(m *Manager, sid string) (bytes, requests int) {
	m.mu.Lock()
	s := m.sessions[sid]
	m.mu.Unlock()
	if s == nil {
		return 0, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.queue {
		bytes += cap(in.raw)
	}
	return bytes, len(s.window.list)
}
