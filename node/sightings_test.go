package node

import (
	"maps"
	"slices"
	"testing"
	"time"

	"coffer/cluster"
)

// seenPeer is what the census sees of a member that answers.
func seenPeer(id string, last, applied uint64) cluster.Peer {
	return cluster.Peer{
		Member: cluster.Member{ID: id}, ClockOffset: 20 * time.Millisecond,
		Status: &cluster.PeerStatus{NodeID: id, Last: last, Applied: applied},
	}
}

func silentPeer(id string) cluster.Peer { return cluster.Peer{Member: cluster.Member{ID: id}} }

func TestSightingsAreOfTheLastCensusOfOneLeadership(t *testing.T) {
	var s sightings
	at := time.Unix(1000, 0)
	if len(s.of(3)) != 0 {
		t.Error("peers before any census")
	}
	s.note(3, "a", []cluster.Peer{seenPeer("a", 100, 100), seenPeer("b", 100, 90), silentPeer("c"), seenPeer("d", 101, 101)}, at)
	want := map[string]sighting{
		"b": {heard: at, answered: true, lag: 10, offset: 20 * time.Millisecond},
		"c": {heard: at},
		"d": {heard: at, answered: true, offset: 20 * time.Millisecond}, // it was asked a moment later
	}
	if got := s.of(3); !maps.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}

	later := at.Add(5 * time.Second)
	s.note(3, "a", []cluster.Peer{seenPeer("a", 200, 200), silentPeer("b"), seenPeer("c", 200, 150)}, later)
	got := s.of(3)
	if ids := slices.Sorted(maps.Keys(got)); !slices.Equal(ids, []string{"b", "c"}) {
		t.Errorf("peers %v: one is gone", ids)
	}
	if b := got["b"]; b.answered || !b.heard.Equal(at) {
		t.Errorf("a peer that fell silent: %+v", b)
	}
	if c := got["c"]; !c.answered || c.lag != 50 || !c.heard.Equal(later) {
		t.Errorf("a peer that came back: %+v", c)
	}

	if len(s.of(4)) != 0 {
		t.Error("a new leadership knows the peers of the one before")
	}
	s.note(4, "a", []cluster.Peer{silentPeer("b")}, later)
	if b := s.of(4)["b"]; !b.heard.Equal(later) {
		t.Errorf("what was heard in another leadership counts: %+v", b)
	}
}
