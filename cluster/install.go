package cluster

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

var (
	// errVoided fails a local snapshot that an install has overtaken.
	errVoided = errors.New("an install has overtaken this snapshot")
	// errDivergent keeps raft from acknowledging an install while its last entry, and so its votes, belong to another history.
	errDivergent = errors.New("the log contradicts the installed state, raft is restarted")
)

// guardedMachine stands between raft and the machine. What raft leaves undone around an install happens here:
// old entries must go, because as a leader this node would hand them to others; and a local snapshot under way must not
// finish later, because it would move raft back to its older index.
type guardedMachine struct {
	raft.BatchingFSM
	valve     *valve
	changed   func()         // a membership entry was applied
	cache     *raft.LogCache // set before raft starts
	logs      *logStore
	broken    chan struct{} // receives once for each install that contradicts the log
	divergent atomic.Bool   // since then, until raft is replaced

	membership atomic.Uint64 // index of the last membership applied or installed

	mu     sync.Mutex
	points map[*point]struct{} // local snapshots taken and not released
}

func newGuardedMachine(inner raft.BatchingFSM, logs *logStore, v *valve, changed func()) *guardedMachine {
	return &guardedMachine{
		BatchingFSM: inner, valve: v, changed: changed, logs: logs,
		broken: make(chan struct{}, 1), points: map[*point]struct{}{},
	}
}

// ApplyBatch hands entries to the machine and lets held calls pass.
func (m *guardedMachine) ApplyBatch(logs []*raft.Log) []any {
	responses := m.BatchingFSM.ApplyBatch(logs)
	m.valve.advance()
	for _, log := range logs {
		if log.Type == raft.LogConfiguration {
			m.membership.Store(log.Index)
			m.changed()
		}
	}
	return responses
}

// Snapshot notes a local snapshot, so that an install can void it.
func (m *guardedMachine) Snapshot() (raft.FSMSnapshot, error) {
	if m.divergent.Load() {
		return nil, errDivergent
	}
	inner, err := m.BatchingFSM.Snapshot()
	if err != nil {
		return nil, err
	}
	p := &point{inner: inner, machine: m, released: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.points[p] = struct{}{}
	return p, nil
}

// Restore installs a received state. It runs while raft's main goroutine waits for it.
func (m *guardedMachine) Restore(source io.ReadCloser) error {
	if m.divergent.Load() {
		return errDivergent
	}
	received, err := receivedFrom(source)
	if err != nil {
		return err
	}
	m.void()
	if err := m.BatchingFSM.Restore(received.ReadCloser); err != nil {
		return fmt.Errorf("install state at entry %d: %w", received.index, err)
	}
	m.membership.Store(received.membership)
	err = m.clearLog(received.index, received.term)
	m.valve.advance()
	return err
}

// clearLog drops the log unless it holds the installed entry. Raft would keep the entries below it with a hole above,
// and send them to others once it leads. A crash before or amid leaves what the restart path drops.
func (m *guardedMachine) clearLog(index, term uint64) error {
	first, last, _ := m.logs.measure()
	if last < index {
		if last == 0 {
			return nil
		}
		return m.cache.DeleteRange(first, last)
	}
	var log raft.Log
	if err := m.cache.GetLog(index, &log); err != nil && !errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	if log.Term == term {
		return nil
	}
	m.divergent.Store(true)
	m.broken <- struct{}{}
	return errDivergent
}

// void fails every local snapshot: those begun are waited for, those not begun need the goroutine that waits for us.
func (m *guardedMachine) void() {
	var begun []*point
	m.mu.Lock()
	for p := range m.points {
		p.voided = true
		if p.begun {
			begun = append(begun, p)
		}
	}
	m.mu.Unlock()
	for _, p := range begun {
		if c, ok := p.inner.(interface{ Cancel() }); ok {
			c.Cancel()
		}
		<-p.released
	}
}

// point is a local snapshot.
type point struct {
	inner    raft.FSMSnapshot
	machine  *guardedMachine
	released chan struct{}
	begun    bool // guarded by the machine, like voided
	voided   bool
}

// Persist stores the snapshot unless it was voided, before or meanwhile.
func (p *point) Persist(sink raft.SnapshotSink) error {
	p.machine.mu.Lock()
	p.begun = true
	voided := p.voided
	p.machine.mu.Unlock()
	if voided {
		return errVoided
	}
	err := p.inner.Persist(sink)
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	if err == nil && p.voided {
		return errVoided
	}
	return err
}

// Release is the last that raft calls.
func (p *point) Release() {
	p.inner.Release()
	p.machine.mu.Lock()
	delete(p.machine.points, p)
	p.machine.mu.Unlock()
	close(p.released)
}

// guardedSnapshots marks what it opens with index and term, which raft does not tell the machine.
type guardedSnapshots struct{ raft.SnapshotStore }

// received is an opened snapshot that knows its place in the log.
type received struct {
	io.ReadCloser
	index, term, membership uint64
}

// Open opens a snapshot, to be installed or sent.
func (s guardedSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, source, err := s.SnapshotStore.Open(id)
	if err != nil {
		return nil, nil, err
	}
	return meta, &received{source, meta.Index, meta.Term, meta.ConfigurationIndex}, nil
}

// receivedFrom finds the opened snapshot within raft's wrappers.
func receivedFrom(source io.ReadCloser) (*received, error) {
	for {
		if r, ok := source.(*received); ok {
			return r, nil
		}
		wrapper, ok := source.(raft.ReadCloserWrapper)
		if !ok {
			return nil, fmt.Errorf("install state: unexpected source %T", source)
		}
		source = wrapper.WrappedReadCloser()
	}
}
