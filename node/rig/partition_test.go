package rig

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// partition is one way to cut the network of a cluster.
type partition struct {
	name string
	// cut holds links for a while and says who is cut off from the majority, nil
	// for nobody in particular.
	cut func(c *Cluster, random *rand.Rand, lasts time.Duration) (minority *Node)
}

// partitions are tried in this order; the first four as a test.
var partitions = []partition{
	{"the leader is isolated", func(c *Cluster, _ *rand.Rand, lasts time.Duration) *Node {
		leader := c.Leader()
		c.Network.Split([]*Node{leader}, c.Others(leader))
		Pass(lasts)
		return leader
	}},
	{"nobody hears the leader", func(c *Cluster, _ *rand.Rand, lasts time.Duration) *Node {
		leader := c.Leader()
		for _, n := range c.Others(leader) {
			c.Network.Hold(leader.ID, n.ID)
		}
		Pass(lasts)
		return leader
	}},
	{"links flap every 100 ms", func(c *Cluster, random *rand.Rand, lasts time.Duration) *Node {
		for began := time.Now(); time.Since(began) < lasts; {
			a := anyOf(random, c.Nodes)
			b := anyOf(random, c.Others(a))
			c.Network.Hold(a.ID, b.ID)
			Pass(100 * time.Millisecond)
			if random.IntN(2) == 0 {
				c.Network.Reset()
			}
			c.Network.Release(a.ID, b.ID)
		}
		return nil
	}},
	{"everybody is alone", func(c *Cluster, _ *rand.Rand, lasts time.Duration) *Node {
		for _, n := range c.Nodes {
			c.Network.Split([]*Node{n}, c.Others(n))
		}
		Pass(lasts)
		return nil
	}},
	{"a follower is isolated", func(c *Cluster, random *rand.Rand, lasts time.Duration) *Node {
		follower := anyOf(random, c.Others(c.Leader()))
		c.Network.Split([]*Node{follower}, c.Others(follower))
		Pass(lasts)
		return follower
	}},
	{"the leader hears nobody", func(c *Cluster, _ *rand.Rand, lasts time.Duration) *Node {
		leader := c.Leader()
		for _, n := range c.Others(leader) {
			c.Network.Hold(n.ID, leader.ID)
		}
		Pass(lasts)
		return leader
	}},
	{"one link is cut: a bridge", func(c *Cluster, random *rand.Rand, lasts time.Duration) *Node {
		a := c.Leader()
		b := anyOf(random, c.Others(a))
		c.Network.Split([]*Node{a}, []*Node{b})
		Pass(lasts)
		return nil
	}},
}

// cutNetwork cuts the network in several ways under load. A minority
// acknowledges nothing, and everything is level again soon after the heal.
func cutNetwork(t *testing.T, c *Cluster, l *Load, random *rand.Rand, count int) {
	var slowest time.Duration
	for round := range count {
		p := partitions[round%len(partitions)]
		lasts := 2 * time.Second
		if soaking {
			lasts = between(random, 2*time.Second, 40*time.Second)
		}
		l.Start(4, 2)
		l.AwaitProgress(20)
		before := c.Network.Bitten()
		minority := p.cut(c, random, lasts)
		if minority != nil {
			l.refusedAt(minority)
		}
		c.Network.Heal()
		healed := time.Now()
		l.AwaitProgress(50)
		l.Stop()
		l.Settle()
		c.AwaitLevel()
		took := time.Since(healed)
		slowest = max(slowest, took)
		if took > 30*time.Second {
			t.Errorf("seed %d: level %v after the heal of: %s", l.Seed, took, p.name)
		}
		if c.Network.Bitten() == before {
			t.Errorf("seed %d: nothing waited on a link: %s did not happen", l.Seed, p.name)
		}
		if t.Failed() {
			t.Fatalf("seed %d, round %d: %s", l.Seed, round, p.name)
		}
		t.Logf("%s for %v: term %d, level %v after the heal", p.name, lasts, c.Term(), took.Round(time.Millisecond))
	}
	t.Logf("level at most %v after a heal", slowest)
}

// refusedAt asks a node that is cut off from the majority: it must neither
// acknowledge a write nor serve a linearizable read.
func (l *Load) refusedAt(n *Node) {
	l.t.Helper()
	random := rand.New(rand.NewPCG(l.Seed, 2))
	w := l.next(random)
	l.mu.Lock()
	l.writes = append(l.writes, w)
	l.mu.Unlock()
	short := newClient(1500 * time.Millisecond)
	if r, err := short.do(l.t.Context(), n, w.call); err == nil && r.status < 500 {
		l.t.Errorf("seed %d: %s is cut off and answered a write with %d: %s", l.Seed, n.ID, r.status, r.body)
	}
	w.doubted = true // it may still travel when the links are whole again
	r, err := short.do(l.t.Context(), n, call{method: "GET", path: "/api/qpaynet/wallets?limit=200", token: l.token, consistency: "linearizable"})
	if err == nil && r.status < 500 {
		l.t.Errorf("seed %d: %s is cut off and answered a read with %d: %s", l.Seed, n.ID, r.status, fmt.Sprintf("%.200s", r.body))
	}
}
