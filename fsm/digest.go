package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"sync"

	"github.com/hashicorp/raft"
)

// extendDigest makes m.applied the state after an entry that held requests:
// digest = SHA-256(previous || u64 index || SHA-256(entry) || SHA-256(writes)).
func (m *Machine) extendDigest(log *raft.Log, writes hash.Hash) {
	entry := sha256.Sum256(log.Data)
	sum := sha256.New()
	sum.Write(m.applied.Digest[:])
	sum.Write(binary.BigEndian.AppendUint64(nil, log.Index))
	sum.Write(entry[:])
	sum.Write(writes.Sum(nil))
	m.applied.Index, m.applied.Term, m.applied.Installed = log.Index, log.Term, false
	m.applied.Digest = [32]byte(sum.Sum(nil))
	m.digests.add(log.Index, m.applied.Digest)
}

// digestRing holds the digests of recent entries, for the assertion that all
// replicas computed the same. It is no state.
type digestRing struct {
	mu   sync.Mutex
	ring [ringLength]struct {
		index  uint64
		digest [32]byte
	}
	newest uint64
}

const ringLength = 4096

func (d *digestRing) add(index uint64, digest [32]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	slot := &d.ring[index%ringLength]
	slot.index, slot.digest = index, digest
	d.newest = index
}

// forget drops what was computed before another state was installed.
func (d *digestRing) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.ring[:])
	d.newest = 0
}

func (d *digestRing) get(index uint64) (digest [32]byte, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	slot := &d.ring[index%ringLength]
	return slot.digest, index > 0 && slot.index == index
}

// Digest returns the newest digest this process has computed, for an
// assertion; ok is false before the first entry.
func (m *Machine) Digest() (index uint64, digest [32]byte, ok bool) {
	m.digests.mu.Lock()
	index = m.digests.newest
	m.digests.mu.Unlock()
	digest, ok = m.digests.get(index)
	return index, digest, ok
}

// DigestAt returns this process's digest of a recent entry.
func (m *Machine) DigestAt(index uint64) (digest [32]byte, ok bool) { return m.digests.get(index) }

// Comparison is the result of comparing a digest with the leader's.
type Comparison string

// The results of comparisons.
const (
	Equal         Comparison = "equal"
	Different     Comparison = "different"      // Diverged is told, too
	NotComparable Comparison = "not_comparable" // this process has not computed that entry
)

// compared reports what an assertion has shown.
func (m *Machine) compared(leader Assertion, own [32]byte, known bool) {
	result := Equal
	switch {
	case !known:
		result = NotComparable
	case own != leader.Digest:
		result = Different
		m.diverged(leader, own)
	}
	if observe := m.options.Observe.Compared; observe != nil {
		observe(result)
	}
}

// diverged reports that this replica and the leader disagree about an entry.
func (m *Machine) diverged(leader Assertion, own [32]byte) {
	m.options.Logger.Error("state digest differs from the leader's", "index", leader.Index,
		"leader", hex.EncodeToString(leader.Digest[:]), "own", hex.EncodeToString(own[:]))
	if observe := m.options.Observe.Diverged; observe != nil {
		observe(leader.Index)
	}
}
