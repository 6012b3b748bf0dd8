package rig

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// partition is one way to cut the network of a cluster, or to make it bad.
type partition struct {
	name string
	// spoil says who is cut off from the majority, nil for nobody in particular.
	spoil func(c *Cluster, random *rand.Rand, leader *Node) (minority *Node)
}

// partitions are tried in an order that the seed decides.
var partitions = []partition{
	{"the leader is isolated", func(c *Cluster, _ *rand.Rand, leader *Node) *Node {
		c.Network.Split([]*Node{leader}, c.Others(leader))
		return leader
	}},
	{"nobody hears the leader", func(c *Cluster, _ *rand.Rand, leader *Node) *Node {
		c.toOthers(leader, c.Network.Hold)
		return leader
	}},
	{"the leader hears nobody", func(c *Cluster, _ *rand.Rand, leader *Node) *Node {
		c.toOthers(leader, func(leader, other string) { c.Network.Hold(other, leader) })
		return leader
	}},
	{"what the leader sends is lost", func(c *Cluster, _ *rand.Rand, leader *Node) *Node {
		c.toOthers(leader, c.Network.Lose)
		return leader
	}},
	{"what is sent to the leader is lost", func(c *Cluster, _ *rand.Rand, leader *Node) *Node {
		c.toOthers(leader, func(leader, other string) { c.Network.Lose(other, leader) })
		return leader
	}},
	{"a follower is isolated", func(c *Cluster, random *rand.Rand, leader *Node) *Node {
		follower := anyOf(random, c.Others(leader))
		c.Network.Split([]*Node{follower}, c.Others(follower))
		return follower
	}},
	{"everybody is alone", func(c *Cluster, _ *rand.Rand, _ *Node) *Node {
		for _, n := range c.Nodes {
			c.toOthers(n, c.Network.Hold)
		}
		return nil
	}},
	{"one link is cut: a bridge", func(c *Cluster, random *rand.Rand, leader *Node) *Node {
		c.Network.Split([]*Node{leader}, []*Node{anyOf(random, c.Others(leader))})
		return nil
	}},
	{"all links are slow", func(c *Cluster, random *rand.Rand, _ *Node) *Node {
		for _, n := range c.Nodes {
			c.toOthers(n, func(from, to string) {
				c.Network.Slow(from, to, between(random, 100*time.Millisecond, 300*time.Millisecond))
			})
		}
		return nil
	}},
	{"all links are narrow", func(c *Cluster, random *rand.Rand, _ *Node) *Node {
		for _, n := range c.Nodes {
			c.toOthers(n, func(from, to string) { c.Network.Narrow(from, to, (16+random.IntN(49))<<10) })
		}
		return nil
	}},
	{name: "links flap every 100 ms"},
}

// last spoils the network for a while.
func (p partition) last(c *Cluster, random *rand.Rand, lasts time.Duration) (minority *Node) {
	if p.spoil != nil {
		minority = p.spoil(c, random, c.Leader())
		Pass(lasts)
		return minority
	}
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
}

// toOthers spoils the links from one node to each other one.
func (c *Cluster) toOthers(from *Node, spoil func(from, to string)) {
	for _, n := range c.Nodes {
		if n != from {
			spoil(from.ID, n.ID)
		}
	}
}

// cutNetwork cuts the network, or makes it bad, in several ways under load. A
// minority acknowledges nothing, and everything is level again soon after the
// heal.
func cutNetwork(t *testing.T, c *Cluster, l *Load, random *rand.Rand, count int) {
	lasts := 2 * time.Second
	if soaking {
		lasts = time.Minute
	}
	order := random.Perm(len(partitions))
	for round := range count {
		p := partitions[order[round%len(order)]]
		l.Start(6, 2)
		l.AwaitProgress(20)
		before, acked := c.Network.Bitten(), l.Acked()
		minority := p.last(c, random, lasts)
		during := l.Acked() - acked
		if minority != nil {
			l.refusedAt(minority)
		}
		c.Network.Heal()
		healed := time.Now()
		l.Measure("writes resume after a heal", l.AwaitProgress(50))
		c.AwaitLevel()
		took := time.Since(healed)
		l.Measure("all nodes are level after a heal", took)
		l.Tally("rounds: "+p.name, 1)
		l.Stop()
		l.Settle()
		if took > 30*time.Second {
			t.Errorf("seed %d: level %v after the heal of: %s", l.Seed, took, p.name)
		}
		if c.Network.Bitten() == before {
			t.Errorf("seed %d: nothing met a spoiled link: %s did not happen", l.Seed, p.name)
		}
		if t.Failed() {
			t.Fatalf("seed %d, round %d: %s", l.Seed, round, p.name)
		}
		t.Logf("%s for %v: %d writes meanwhile, term %d, level %v after the heal",
			p.name, lasts, during, c.Term(), took.Round(time.Millisecond))
	}
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
