package fsm

import (
	"context"
	"slices"
)

// Applied is the index of the last entry that views show.
func (m *Machine) Applied() uint64 { return m.db.Published() }

// Await returns once the entry of an index is applied, or with the context, or
// when the machine has halted.
func (m *Machine) Await(ctx context.Context, index uint64) error {
	if m.Applied() >= index {
		return nil
	}
	done := make(chan struct{})
	m.mu.Lock()
	m.waiters = append(m.waiters, waiter{index: index, done: done})
	m.mu.Unlock()
	if m.Applied() >= index || m.Err() != nil {
		m.wake() // it was applied between the two looks
	}
	select {
	case <-done:
		return m.Err()
	case <-ctx.Done():
		m.forget(done)
		return ctx.Err()
	}
}

// forget removes a waiter that gave up: its entry may never come.
func (m *Machine) forget(done chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiters = slices.DeleteFunc(m.waiters, func(w waiter) bool { return w.done == done })
}

// Watch returns a channel that receives after new entries were applied; cancel
// ends it. Several entries may be one signal.
func (m *Machine) Watch() (signal <-chan struct{}, cancel func()) {
	watch := make(chan struct{}, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watches = append(m.watches, watch)
	return watch, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watches = slices.DeleteFunc(m.watches, func(c chan struct{}) bool { return c == watch })
	}
}

func (m *Machine) wake() {
	applied, halted := m.Applied(), m.Err() != nil
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiters) > 0 {
		m.waiters = slices.DeleteFunc(m.waiters, func(w waiter) bool {
			ready := halted || w.index <= applied
			if ready {
				close(w.done)
			}
			return ready
		})
	}
	for _, watch := range m.watches {
		select {
		case watch <- struct{}{}:
		default:
		}
	}
}
