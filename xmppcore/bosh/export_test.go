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
