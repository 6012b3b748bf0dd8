package node

import (
	"context"
	"fmt"
	"time"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/node/task"
	"coffer/store"
)

// admitSelf makes the founder of a cluster a member that the state knows. In a
// restored state there were others before.
func (n *Node) admitSelf(ctx context.Context) error {
	id := n.dir.Identity.NodeID
	var known, others bool
	err := n.Read(ctx, fsm.Linearizable, func(v *store.View) error {
		_, known = fsm.MemberOf(v, id)
		others = len(fsm.Members(v)) > 0
		return nil
	})
	if err != nil || known || n.port == nil {
		return err
	}
	own := fsm.Admission{Node: id, Address: n.port.Addr().String()}
	if others {
		if own.Token, err = n.ownToken(ctx); err != nil {
			return err
		}
	}
	_, err = fsm.Admit.Submit(n.self(ctx), n, own)
	return err
}

const (
	censusEvery = 5 * time.Second
	// farBehind is how many entries make a member's announcement worth a new row.
	farBehind = 10_000
	// skewed is a clock offset that raises an alarm.
	skewed = 500 * time.Millisecond
)

// census is the leader's task that writes down what members say of themselves,
// and names those that know less than before.
func (n *Node) census() task.Task {
	var last time.Time
	return task.Task{
		Name: "census",
		Next: func(store.Reader, store.Time) (store.Time, bool) { return store.TimeOf(last.Add(censusEvery)), true },
		Pass: func(ctx context.Context, lead task.Lead) error {
			last = time.Now()
			ctx, cancel := context.WithTimeout(ctx, censusEvery)
			defer cancel()
			for _, p := range n.sight(n.cluster.Peers(ctx)) {
				if p.Status == nil {
					continue
				}
				if err := n.note(ctx, lead, p); err != nil {
					return fmt.Errorf("note node %s: %w", p.ID, err)
				}
			}
			return nil
		},
	}
}

// note submits what has changed about a member.
func (n *Node) note(ctx context.Context, lead task.Lead, p cluster.Peer) error {
	var known fsm.Member
	var found, late, rolledBack bool
	err := lead.Read(ctx, fsm.Stale, func(v *store.View) error {
		known, found = fsm.MemberOf(v, p.ID)
		late, rolledBack = alarmed(v, fsm.ClockSkew, p.ID), alarmed(v, fsm.RolledBack, p.ID)
		return nil
	})
	if err != nil || !found || known.Removed != 0 {
		return err
	}
	if rolledBack {
		return n.distrust(ctx, p)
	}
	if !late && p.ClockOffset.Abs() > skewed+p.RoundTrip {
		_, err := fsm.RaiseAlarm.Submit(lead.Caller(ctx), lead, fsm.AlarmChange{
			Kind: fsm.ClockSkew, Node: p.ID, Reason: fmt.Sprintf("its clock is %v off the leader's", p.ClockOffset.Round(time.Millisecond)),
		})
		return err
	}
	seen := announced(p.Status, known.Seen.Index)
	if !news(known, p.Address, seen) {
		return nil
	}
	taken, err := fsm.Announce.Submit(lead.Caller(ctx), lead, fsm.Announcement{Node: p.ID, Address: p.Address, Seen: seen})
	if err != nil || !taken.RolledBack {
		return err
	}
	n.logger.Error("a node was rolled back: it has forgotten votes and must be removed", "node", p.ID)
	return n.distrust(ctx, p)
}

// distrust takes the vote of a node that has forgotten what it promised. It is
// tried with each census until it is done; a leader hands over first.
func (n *Node) distrust(ctx context.Context, p cluster.Peer) error {
	switch {
	case !p.Voter:
		return nil
	case p.ID == n.dir.Identity.NodeID:
		return n.cluster.Transfer(ctx, "")
	}
	_, err := n.cluster.Demote(ctx, 0, p.ID)
	return err
}

// alarmed tells whether an alarm of a kind is raised for a node.
func alarmed(v *store.View, kind, node string) bool {
	for _, a := range fsm.Alarms(v) {
		if a.Kind == kind && a.Node == node {
			return true
		}
	}
	return false
}

// announced is what a node says of itself. A log may lose its newest entries when
// the leader changes, but never one that was committed: what counts from now on
// is what the node knows to be committed, and its log must reach what counted.
func announced(s *cluster.PeerStatus, before uint64) fsm.Announced {
	index := s.Last
	if index >= before {
		index = max(before, min(s.Last, s.Commit))
	}
	return fsm.Announced{
		Boots: s.Boot, Index: index, Epoch: uint32(s.Epoch), Oldest: uint32(s.MachineMin), Newest: uint32(s.MachineMax), Program: s.Version,
	}
}

// news tells whether an announcement says more than that the log has grown a
// little.
func news(known fsm.Member, address string, seen fsm.Announced) bool {
	before := known.Seen
	if before.Index <= seen.Index && seen.Index < before.Index+farBehind {
		before.Index = seen.Index
	}
	before.At = 0
	return known.Address != address || before != seen
}
