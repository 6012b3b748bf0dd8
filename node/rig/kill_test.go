package rig

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// killOne kills one random node with signal 9 under load, again and again.
// What is acknowledged stays, writes resume, and the node comes back by itself.
func killOne(t *testing.T, c *Cluster, l *Load, random *rand.Rand, count int) {
	l.Repeats = 10
	var resumed []time.Duration
	leaders, terms := 0, c.Term()
	for cycle := range count {
		l.Start(4, 2)
		l.AwaitProgress(50)
		leader := c.Leader()
		victim := anyOf(random, c.Nodes)
		if cycle == 0 {
			victim = leader
		}
		victim.Kill()
		took := l.AwaitProgress(20)
		if victim == leader {
			leaders++
			resumed = append(resumed, took)
			l.Measure("writes resume after a leader was killed", took)
		}
		victim.Start()
		l.AwaitProgress(50)
		l.Stop()
		l.Settle()
		if cycle%10 == 9 {
			c.Agree(l)
		}
	}
	after := c.Term()
	slices.Sort(resumed)
	if after < terms+uint64(leaders) || leaders == 0 {
		t.Errorf("seed %d: %d leaders were killed, the term went from %d to %d: the test proves too little", l.Seed, leaders, terms, after)
	}
	t.Logf("%d leaders killed, term %d to %d; writes resumed after %v at most", leaders, terms, after, resumed[len(resumed)-1])
	if slow := resumed[(len(resumed)-1)*99/100]; slow > 5*time.Second {
		t.Errorf("seed %d: writes resumed after %v, the goal is 5 s", l.Seed, slow)
	}
}

// killAll kills all nodes at once under load: the cluster comes back with
// everything it has acknowledged.
func killAll(t *testing.T, c *Cluster, l *Load, random *rand.Rand, count int) {
	for range count {
		l.Start(4, 1)
		l.AwaitProgress(20 + random.IntN(100))
		for _, n := range c.Nodes {
			n.Signal(9)
		}
		for _, n := range c.Nodes {
			n.Kill()
		}
		l.Stop()
		for _, n := range c.Nodes {
			n.Launch()
		}
		for _, n := range c.Nodes {
			n.AwaitReady()
		}
		l.Settle()
	}
	if l.Counts.Doubts == 0 {
		t.Errorf("seed %d: nothing was in flight: the test proves too little", l.Seed)
	}
}
