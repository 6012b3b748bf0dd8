package rig

import (
	"testing"
	"time"
)

// TestReplaysBehindALostLeader is a violation that T8 found: a node that lost its
// leader asked the next one again, got the outcome from what that remembered,
// could not check the session because the leader was lost once more, and answered
// "Nothing was changed" to a transfer that had happened.
func TestReplaysBehindALostLeader(t *testing.T) {
	seed, random := newSeed()
	c := New(t)
	l := NewLoad(t, c, seed)
	l.Start(8, 1)
	l.AwaitProgress(20)
	for range rounds(40, 2000) {
		a := anyOf(random, c.Nodes)
		b := anyOf(random, c.Others(a))
		c.Network.Hold(a.ID, b.ID)
		Pass(between(random, 5*time.Millisecond, 60*time.Millisecond))
		c.Network.Reset()
		c.Network.Release(a.ID, b.ID)
	}
	l.AwaitProgress(20)
	l.Stop()
	c.Finish(l)
	if l.Counts.Doubts+l.Counts.Refused+l.Counts.Replays == 0 {
		t.Errorf("seed %d: no request met a cut: the test proves too little", seed)
	}
}
