package snapshot

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"coffer/store"
)

// machine applies raft's entries to an appliance.
type machine struct {
	t         testing.TB
	on        *appliance
	applied   store.Applied
	installed atomic.Int64
}

func (m *machine) Apply(log *raft.Log) any { return m.ApplyBatch([]*raft.Log{log})[0] }

func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	for _, log := range logs {
		m.applied.Index, m.applied.Term, m.applied.Installed = log.Index, log.Term, false
		if log.Type == raft.LogConfiguration {
			m.applied.Membership, m.applied.MembershipIndex = log.Data, log.Index
			m.on.db.Commit(m.applied)
			continue
		}
		m.on.entryAt(m.t, newSeeded(log.Index), m.applied)
		view := m.on.db.Latest()
		m.applied = view.Applied()
		view.Close()
	}
	return make([]any, len(logs))
}

func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return At(m.on.db, m.applied.Index), nil }

func (m *machine) Restore(source io.ReadCloser) error {
	applied, err := Install(source)
	if err != nil {
		return err
	}
	m.applied = applied
	m.installed.Add(1)
	return nil
}

// member is one raft node over a real state file.
type member struct {
	*appliance
	id        raft.ServerID
	raft      *raft.Raft
	machine   *machine
	virtual   *Virtual
	transport *raft.InmemTransport
	logs      *raft.InmemStore
}

func newMember(t testing.TB, number int) *member {
	t.Helper()
	id := fmt.Sprint("node-", number)
	m := &member{appliance: newBank(t).appliance(t, t.TempDir(), id), id: raft.ServerID(id), logs: raft.NewInmemStore()}
	m.machine = &machine{t: t, on: m.appliance}
	m.virtual = m.exchange(t)
	_, m.transport = raft.NewInmemTransport(raft.ServerAddress(id))
	c := raft.DefaultConfig()
	c.LocalID, c.Logger = m.id, hclog.NewNullLogger()
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout, c.CommitTimeout = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond, 5*time.Millisecond
	c.TrailingLogs, c.NoSnapshotRestoreOnStart = 3, true
	var err error
	if number == 1 {
		must(t, raft.BootstrapCluster(c, m.logs, m.logs, m.virtual, m.transport, raft.Configuration{
			Servers: []raft.Server{{ID: m.id, Address: m.transport.LocalAddr()}},
		}))
	}
	m.raft, err = raft.NewRaft(c, m.machine, m.logs, m.logs, m.virtual, m.transport)
	must(t, err)
	t.Cleanup(func() { _ = m.raft.Shutdown().Error() })
	return m
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-late:
			t.Fatalf("%s: not in time", what)
		case <-tick.C:
		}
	}
}

func (m *member) apply(t testing.TB, n int) {
	t.Helper()
	for range n {
		must(t, m.raft.Apply([]byte("entry"), time.Second).Error())
	}
}

// level waits until all are at the index of the first and compares them.
func level(t testing.TB, all ...*member) {
	t.Helper()
	index := all[0].db.Published()
	want := [32]byte{}
	for i, m := range all {
		eventually(t, string(m.id)+" catches up", func() bool { return m.db.Published() >= index })
		must(t, m.db.Flush())
		state := m.state(t)
		if i == 0 {
			want = state
		}
		if state != want {
			t.Errorf("%s has another state at %d", m.id, index)
		}
	}
}

// TestRaftInstallsAFollowerFarBehind runs the library itself: the log that the
// newcomers need is gone, so they get the state.
func TestRaftInstallsAFollowerFarBehind(t *testing.T) {
	one := newMember(t, 1)
	eventually(t, "a leader", func() bool { return one.raft.State() == raft.Leader })
	one.apply(t, 60)
	container, made := one.backup(t)
	must(t, one.raft.Snapshot().Error())
	one.apply(t, 60)
	must(t, one.raft.Snapshot().Error())
	if first, err := one.logs.FirstIndex(); err != nil || first < 100 {
		t.Fatalf("the log begins at %d: %v", first, err)
	}
	all := []*member{one, newMember(t, 2), newMember(t, 3)}
	for _, a := range all {
		for _, b := range all {
			a.transport.Connect(b.transport.LocalAddr(), b.transport)
		}
	}
	for _, m := range all[1:] {
		must(t, one.raft.AddNonvoter(m.id, m.transport.LocalAddr(), 0, time.Second).Error())
	}
	for _, m := range all[1:] {
		eventually(t, "an install", func() bool { return m.machine.installed.Load() > 0 })
		must(t, one.raft.AddVoter(m.id, m.transport.LocalAddr(), 0, time.Second).Error())
	}
	one.apply(t, 20)
	level(t, all...)
	restoreAll(t, all, container, made)
	for _, m := range all {
		if left := files(t, filepath.Join(m.dir, "snap")); len(left) > 0 {
			t.Errorf("%s has left %v", m.id, left)
		}
	}
}

// restoreAll takes the whole cluster back to a container.
func restoreAll(t *testing.T, all []*member, container []byte, made Summary) {
	t.Helper()
	leader := all[0]
	meta := &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, Index: made.Header.Index, Term: made.Header.Term, Size: int64(len(container))}
	must(t, leader.raft.Restore(meta, bytes.NewReader(container), 10*time.Second))
	leader.apply(t, 10)
	level(t, all...)
	for _, m := range all {
		view := m.db.Latest()
		// 60 entries of the container and 10 after it; the ledger knows no others.
		if rows, epoch := m.journal.Length(view), view.Applied().Epoch; rows != 70 || epoch != max(FirstEpoch, made.Header.Epoch)+1 {
			t.Errorf("%s: %d rows in epoch %d", m.id, rows, epoch)
		}
		if servers := must1(m.virtual.List())(t)[0].Configuration.Servers; len(servers) != 3 {
			t.Errorf("%s: members %v", m.id, servers)
		}
		view.Close()
	}
}

func must1[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return value
	}
}
