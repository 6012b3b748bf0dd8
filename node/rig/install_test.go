package rig

import (
	"math/rand/v2"
	"testing"
	"time"

	"coffer/node"
)

// cutting is one way to cut the transfer of a state.
type cutting struct {
	name string
	cut  func(c *Cluster, sender, receiver *Node, random *rand.Rand)
}

var cuttings = []cutting{
	{"the receiver is killed", func(_ *Cluster, _, receiver *Node, _ *rand.Rand) { receiver.Kill() }},
	{"the sender is killed", func(_ *Cluster, sender, _ *Node, _ *rand.Rand) { sender.Kill() }},
	{"the link is stalled", func(c *Cluster, sender, receiver *Node, random *rand.Rand) {
		c.Network.Hold(sender.ID, receiver.ID)
		most := 2 * time.Second
		if soaking {
			most = 12 * time.Second // beyond what one call between nodes may take
		}
		Pass(between(random, most/4, most))
		if random.IntN(2) == 0 {
			c.Network.Reset()
		}
	}},
}

// TestT16Install sends a state to a follower that was away for so long that no log
// reaches back, and cuts the transfer in its middle. The follower holds its old
// state or the new one, everything becomes level, and nobody keeps a copy.
func TestT16Install(t *testing.T) {
	seed, random := newSeed()
	c := New(t, forgetful...)
	f := newFiller(t, c, seed, 400)
	l := NewLoad(t, c, seed)
	count, middle := rounds(2, 100), 0
	for round := 0; middle < count && round < 2*count+3; round++ {
		one := cuttings[(round+int(seed%3))%len(cuttings)]
		began := time.Now()
		if c.cutInstall(t, one, f, l, random) {
			middle++
			t.Logf("%s: %v", one.name, time.Since(began).Round(time.Millisecond))
		}
		if t.Failed() {
			t.Fatalf("seed %d, round %d: %s", seed, round, one.name)
		}
		if round%10 == 9 {
			c.Agree(l)
		}
	}
	t.Logf("%d transfers were cut in the middle", middle)
	if middle < count {
		t.Errorf("seed %d: only %d transfers were cut in the middle, of %d", seed, middle, count)
	}
	c.Finish(l)
}

// cutInstall returns whether the transfer was under way when it was cut.
func (c *Cluster) cutInstall(t *testing.T, one cutting, f *filler, l *Load, random *rand.Rand) (middle bool) {
	receiver, was := c.leaveBehind(t, f, random)
	sender := c.Leader()
	l.Start(2, 1)
	l.AwaitProgress(5)
	receiver.Launch()
	if !within(Patience, func() bool { return len(receiver.received()) > 0 || installed(receiver, was.LastIndex) }) {
		t.Fatalf("%s receives nothing\n%s", receiver.ID, receiver.Log())
	}
	Pass(between(random, 0, 250*time.Millisecond))
	bitten := c.Network.Bitten()
	one.cut(c, sender, receiver, random)
	middle = len(receiver.received()) > 0
	if c.Network.Bitten() == bitten && sender.Running() && receiver.Running() {
		middle = false
	}
	c.Network.Heal()
	if !receiver.Running() {
		mustRun(t, "check", "--data-dir", receiver.Dir)
		if told := survey(t, receiver.Dir); told.Applied < was.Applied {
			t.Errorf("%s holds entry %d, it held %d", receiver.ID, told.Applied, was.Applied)
		}
	}
	for _, n := range c.Nodes {
		if !n.Running() {
			n.Launch()
		}
	}
	for _, n := range c.Nodes {
		n.AwaitReady()
	}
	l.AwaitProgress(10)
	l.Stop()
	c.AwaitLevel()
	l.Settle()
	c.spotless()
	if !installed(receiver, was.LastIndex) {
		status, err := receiver.Status()
		t.Errorf("%s has everything without a state having been sent: %+v, %v; it held %+v", receiver.ID, status, err, was)
	}
	return middle
}

// leaveBehind stops a follower until the others have forgotten where it stopped.
// It returns what the
// follower holds.
func (c *Cluster) leaveBehind(t *testing.T, f *filler, random *rand.Rand) (follower *Node, left node.Survivor) {
	t.Helper()
	follower = aFollower(c, random)
	if random.IntN(2) == 0 {
		follower.Kill()
	} else {
		follower.Stop()
	}
	left = survey(t, follower.Dir)
	f.outgrow(t, left.LastIndex)
	return follower, left
}

// installed tells that a node is past an entry and its log does not reach back to
// it: a state took its place.
func installed(n *Node, index uint64) bool {
	status, err := n.Status()
	return err == nil && status.Applied > index && (status.LogFirst == 0 || status.LogFirst > index+1)
}
