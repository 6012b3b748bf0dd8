package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/http/admin"
)

// peersLimit is how long members may take to say how they are.
const peersLimit = 2 * time.Second

// Peers asks every member how it is.
func (n *Node) Peers(ctx context.Context) admin.Members {
	ctx, cancel := context.WithTimeout(ctx, peersLimit)
	defer cancel()
	all := admin.Members{Index: n.cluster.Membership().Index, Leader: n.cluster.Status().Leader, Members: []admin.Member{}}
	for _, p := range n.cluster.Peers(ctx) {
		all.Members = append(all.Members, memberView(p))
	}
	return all
}

func memberView(p cluster.Peer) admin.Member {
	m := admin.Member{ID: p.ID, Address: p.Address, Voter: p.Voter, Reachable: p.Status != nil}
	if p.Err != nil {
		m.Problem = p.Err.Error()
	}
	s := p.Status
	if s == nil {
		return m
	}
	m.State, m.Term, m.LastIndex, m.Applied = s.State, s.Term, s.Last, s.Applied
	m.Version, m.Machine = s.Version, fmt.Sprintf("%d-%d", s.MachineMin, s.MachineMax)
	m.DiskFree, m.Alarms = s.DiskFree, s.Alarms
	m.RoundTrip, m.Offset = milliseconds(p.RoundTrip), milliseconds(p.ClockOffset)
	if len(s.Digest) > 0 {
		m.Digest, m.DigestAt = hex.EncodeToString(s.Digest), s.DigestIndex
	}
	if !p.HealthySince.IsZero() {
		m.Healthy = time.Since(p.HealthySince).Seconds()
	}
	return m
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Change carries out a change of the membership. Whoever asks is logged, and
// recorded with what is changed.
func (n *Node) Change(caller fsm.Caller, c admin.MemberChange) (index uint64, err error) {
	by := askerOf(caller)
	ctx := by.asks()
	defer func() { n.report(by, c.Verb, c.Nodes, err) }()
	switch c.Verb {
	case "promote":
		index, err = n.cluster.Promote(ctx, uint64(c.PrevIndex), c.Nodes...)
	case "demote", "remove":
		change := n.cluster.Demote
		if c.Verb == "remove" {
			change = n.cluster.Remove
		}
		previous := uint64(c.PrevIndex)
		for _, id := range c.Nodes {
			if c.Verb == "remove" && !n.inMembership(id) {
				_, err = fsm.RemoveMember.Submit(by.caller(), n, fsm.Removal{Node: id}) // admitted, but never added
				index = n.cluster.Membership().Index
			} else {
				index, err = change(ctx, previous, id)
			}
			if err != nil {
				break
			}
			previous = index
		}
	default:
		return 0, fmt.Errorf("unknown change %q", c.Verb)
	}
	return index, changeError(err)
}

func (n *Node) inMembership(id string) bool {
	for _, m := range n.cluster.Membership().Members {
		if m.ID == id {
			return true
		}
	}
	return false
}

// Transfer lets another voter lead.
func (n *Node) Transfer(caller fsm.Caller, nodeID string) error {
	by := askerOf(caller)
	err := n.cluster.Transfer(by.asks(), nodeID)
	n.report(by, "transfer", []string{nodeID}, err)
	return changeError(err)
}

// report logs what an operator has asked of this node, and how it ended.
func (n *Node) report(by asker, verb string, about []string, err error) {
	if err != nil {
		n.logger.Warn("an operator was refused", "by", by.name(), "verb", verb, "about", about, "err", err)
		return
	}
	n.logger.Info("done for an operator", "by", by.name(), "verb", verb, "about", about)
}

// changeError says in the words of the admin API why a membership stays.
func changeError(err error) error {
	for _, known := range []struct {
		cause  error
		answer *fsm.Rejection
	}{
		{cluster.ErrMembershipChanged, admin.ErrMembershipChanged},
		{cluster.ErrUnsafeChange, admin.ErrUnsafeChange},
		{cluster.ErrNotEligible, admin.ErrNotEligible},
		{fsm.ErrMemberUnknown, admin.ErrNotEligible},
	} {
		if errors.Is(err, known.cause) {
			return known.answer.With(fsm.Text("reason", err.Error()))
		}
	}
	return apiError(err)
}
