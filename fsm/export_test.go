package fsm

// Waiting is how many calls of Await are registered.
func Waiting(m *Machine) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.waiters)
}
