package rig

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// changeMembers changes who belongs to the cluster under load: the leader is
// removed and a dead node is replaced, both by nodes with new ids that later take
// over old addresses, and one is demoted and promoted again. The order is that of
// an operator: the new one follows, the old one goes, the new one votes.
func changeMembers(t *testing.T, c *Cluster, l *Load, _ *rand.Rand, count int) {
	for round := range count {
		began := c.Term()
		l.Start(4, 1)
		newcomer := c.Join(drained...)
		newcomer.Start()
		l.AwaitProgress(20)

		leader := c.Leader()
		c.change("remove", leader)
		c.Promote(newcomer.ID)
		l.AwaitProgress(20)
		c.retire(leader)

		if soaking {
			c.replaceDead(l)
			c.demoteOnce(l)
		}
		l.Stop()
		l.Settle()
		c.Agree(l)
		after := c.Term()
		t.Logf("round %d: term %d to %d", round, began, after)
		if after == began || len(c.Others(nil)) != 3 {
			t.Fatalf("seed %d, round %d: term %d to %d, %d nodes: the test proves too little", l.Seed, round, began, after, len(c.Others(nil)))
		}
	}
}

// replaceDead kills a node and puts a new one in its place, at the address of one
// that was removed before.
func (c *Cluster) replaceDead(l *Load) {
	c.t.Helper()
	spare := c.Join(drained...)
	spare.Start()
	dead := c.running(spare, c.Leader())
	dead.Kill()
	l.AwaitProgress(20)
	c.change("remove", dead)
	c.Promote(spare.ID)
	l.AwaitProgress(20)
	c.retire(dead)
}

// demoteOnce takes a follower's vote and gives it back.
func (c *Cluster) demoteOnce(l *Load) {
	c.t.Helper()
	follower := c.Others(c.Leader())[0]
	c.change("demote", follower)
	l.AwaitProgress(20)
	c.Promote(follower.ID)
	l.AwaitProgress(20)
}

// change removes or demotes a node as soon as that is safe.
func (c *Cluster) change(verb string, n *Node) {
	c.t.Helper()
	var last error
	ok := within(Patience, func() bool {
		leader := c.leaderOf(c.Nodes)
		_, last = leader.Operator().ChangeMembers(c.t.Context(), verb, 0, n.ID)
		if last == nil {
			return true
		}
		// A leader that removes itself may end before it can answer.
		members, err := leader.Operator().Members(c.t.Context())
		if err != nil || verb != "remove" {
			return false
		}
		for _, m := range members.Members {
			if m.ID == n.ID {
				return false
			}
		}
		return true
	})
	if !ok {
		c.t.Fatalf("%s %s: %v", verb, n.ID, last)
	}
}

// retire waits until a removed node says that it is out, kills it and starts it
// again: its id is refused for good. Then it is forgotten.
func (c *Cluster) retire(n *Node) {
	c.t.Helper()
	out := func() bool {
		if !n.Running() {
			return true
		}
		status, err := n.Status()
		return err == nil && status.State != "Leader" && len(status.Reasons) > 0
	}
	Eventually(c.t, n.ID+" is out", out)
	n.Kill()
	n.Launch()
	Eventually(c.t, n.ID+" stays out", out)
	for _, m := range c.Others(n) {
		members, err := m.Operator().Members(c.t.Context())
		if err != nil {
			c.t.Errorf("members at %s: %v", m.ID, err)
		}
		for _, one := range members.Members {
			if one.ID == n.ID {
				c.t.Errorf("%s was removed, %s still names it", n.ID, m.ID)
			}
		}
	}
	n.Kill()
	c.free = append(c.free, n.place)
	c.setNodes(slices.DeleteFunc(slices.Clone(c.Nodes), func(one *Node) bool { return one == n }))
}

// running is a running node that is none of these.
func (c *Cluster) running(but ...*Node) *Node {
	for _, n := range c.Nodes {
		if n.Running() && !slices.Contains(but, n) {
			return n
		}
	}
	c.t.Fatal("no other node is left")
	return nil
}
