package fsmtest

import (
	"fmt"

	"coffer/fsm"
	"coffer/store"
)

// finish is the end of every test: the whole state is checked and the history
// replayed.
func (m *Machine) finish() {
	if m.db == nil || m.fsm == nil || m.fsm.Err() != nil {
		return // a machine that stopped inside an entry holds its store for good
	}
	if m.options.Unchecked {
		_ = m.db.Abandon()
		return
	}
	if err := m.db.Flush(); err != nil {
		m.Error(err)
	}
	m.CheckInvariants()
	m.checkStore()
	want := m.Digest()
	if err := m.db.Close(); err != nil {
		m.Error(err)
	}
	rows := m.fileRows()
	for _, variant := range []struct {
		batch      int
		flushBytes int64
	}{{1, 1}, {7, 4 << 10}, {len(m.history) + 1, 1 << 30}} {
		m.replay(variant.batch, variant.flushBytes, want, rows)
	}
}

// CheckInvariants runs the invariants of all modules on the latest state.
func (m *Machine) CheckInvariants() {
	m.Helper()
	v := m.View()
	defer v.Close()
	for _, failure := range Broken(v, m.options.Modules) {
		m.Errorf("%s", failure)
	}
}

// Broken lists the invariants that do not hold, those of the machine itself
// included, with why.
func Broken(v *store.View, modules []fsm.Module) []string {
	var failures []string
	for _, module := range fsm.WithSystem(modules) {
		for _, invariant := range module.Invariants {
			if err := invariant.Check(v); err != nil {
				failures = append(failures, fmt.Sprintf("%s: %s: %v", module.Name, invariant.Name, err))
			}
		}
	}
	return failures
}

func (m *Machine) checkStore() {
	v := m.View()
	defer v.Close()
	v.Check(func(p store.Problem) { m.Error(p) }, func(store.Checked) {})
	v.CheckPages(func(err error) { m.Error(err) })
}

// replay applies the history to a second machine in batches of another size.
func (m *Machine) replay(batch int, flushBytes int64, want [32]byte, rows []string) {
	second := &Machine{TB: m.TB, options: m.options, dir: m.TempDir()}
	second.options.FlushBytes, second.options.Observe = flushBytes, fsm.Observer{}
	second.open()
	for start := 0; start < len(m.history); start += batch {
		second.fsm.ApplyBatch(m.history[start:min(start+batch, len(m.history))])
	}
	if got := second.Digest(); got != want {
		m.Errorf("replayed in batches of %d with flushes of %d bytes: digest %x, want %x", batch, flushBytes, got, want)
	}
	if err := second.db.Close(); err != nil {
		m.Error(err)
	}
	if difference := FirstDifference(second.fileRows(), rows); difference != "" {
		m.Errorf("replayed in batches of %d with flushes of %d bytes: %s", batch, flushBytes, difference)
	}
}
