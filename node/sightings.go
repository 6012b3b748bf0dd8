package node

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"coffer/cluster"
)

// sightings is what the census of this leader has seen of its peers last, for
// metrics.
type sightings struct {
	mu    sync.Mutex
	term  uint64 // in which this node led then
	peers map[string]sighting
}

type sighting struct {
	heard    time.Time // when it answered last; when it was asked first if it never did
	answered bool      // the last question; the rest is of that answer
	lag      uint64    // entries of the leader that it does not show
	offset   time.Duration
}

// sight keeps what the census has seen and hands it on.
func (n *Node) sight(peers []cluster.Peer) []cluster.Peer {
	n.seen.note(n.cluster.Status().Term, n.dir.Identity.NodeID, peers, time.Now())
	return peers
}

// note replaces what was known: a peer that is no member any more is forgotten,
// and so is everything of another leadership.
func (s *sightings) note(term uint64, own string, peers []cluster.Peer, now time.Time) {
	var newest uint64
	for _, p := range peers {
		if p.ID == own && p.Status != nil {
			newest = p.Status.Last
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.peers
	if s.term != term {
		before = nil
	}
	s.term, s.peers = term, map[string]sighting{}
	for _, p := range peers {
		if p.ID == own {
			continue
		}
		seen, known := before[p.ID]
		if !known {
			seen.heard = now
		}
		seen.answered = p.Status != nil
		if p.Status != nil {
			seen.heard, seen.offset = now, p.ClockOffset
			seen.lag = newest - min(newest, p.Status.Applied)
		}
		s.peers[p.ID] = seen
	}
}

// of returns what is known of the peers in a term.
func (s *sightings) of(term uint64) map[string]sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.term != term {
		return nil
	}
	return s.peers // never changed, only replaced
}

// watchPeers exports how a leader sees its peers, and when a follower heard its
// leader.
func (m *metrics) watchPeers(n *Node) {
	contact := describe("coffer_raft_last_contact_seconds", "Time since a peer answered its leader, which asks every 5 s; on a follower since it heard the leader.", "peer")
	lag := describe("coffer_raft_peer_lag_entries", "Entries of the leader that a peer did not show when it was asked.", "peer")
	offset := describe("coffer_clock_offset_seconds", "A peer's clock minus the leader's.", "peer")
	m.registry.MustRegister(&known{[]*prometheus.Desc{contact, lag, offset}, func(export exporter) {
		status := n.cluster.Status()
		if status.State != "Leader" {
			if status.Leader != "" && !status.Contact.IsZero() {
				export(contact, time.Since(status.Contact).Seconds(), status.Leader)
			}
			return
		}
		for id, seen := range n.seen.of(status.Term) {
			export(contact, time.Since(seen.heard).Seconds(), id)
			if seen.answered {
				export(lag, float64(seen.lag), id)
				export(offset, seen.offset.Seconds(), id)
			}
		}
	}})
}
