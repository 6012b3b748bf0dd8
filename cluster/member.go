package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/hashicorp/raft"
)

// Reasons why a membership stays as it is; errors.Is finds them.
var (
	// ErrMembershipChanged means that the membership is no longer the one that the caller saw.
	ErrMembershipChanged = errors.New("membership has changed")
	// ErrUnsafeChange means that the voters which are healthy now could not decide anything afterwards.
	ErrUnsafeChange = errors.New("too few healthy voters would remain")
	// ErrNotEligible means that the node cannot be added, promoted or made leader now.
	ErrNotEligible = errors.New("node is not eligible")
)

// Member is one node of the cluster.
type Member struct {
	ID      string
	Address string // host:port of its cluster port
	Voter   bool
}

// Membership is the newest membership that this node knows.
type Membership struct {
	Index   uint64 // of the entry that made it; changes compare with it
	Members []Member
}

// verb says what to do with members.
type verb string

const (
	verbAdd      verb = "add"
	verbPromote  verb = "promote"
	verbDemote   verb = "demote"
	verbRemove   verb = "remove"
	verbTransfer verb = "transfer"
)

// change is one request for another membership or leader.
type change struct {
	Verb    verb
	IDs     []string
	Address string `json:",omitempty"`
	Prev    uint64
	By      Asker `json:",omitzero"`
}

// Asker is who asks for a change: who they claim to be, and the user that the system says they are, if it is known.
type Asker struct {
	Name string
	User string `json:",omitempty"`
}

type askerKey struct{}

// WithAsker notes in a context who asks for changes of the membership: the leader logs it and hands it to Config.Bury.
func WithAsker(ctx context.Context, by Asker) context.Context {
	return context.WithValue(ctx, askerKey{}, by)
}

func askerOf(ctx context.Context) Asker {
	by, _ := ctx.Value(askerKey{}).(Asker)
	return by
}

// Membership returns the newest membership that this node knows. It may not be committed yet.
func (c *Cluster) Membership() Membership {
	m := Membership{Index: c.machine.membership.Load()}
	for _, server := range c.servers() {
		m.Members = append(m.Members, Member{string(server.ID), string(server.Address), server.Suffrage == raft.Voter})
	}
	return m
}

// servers returns the newest configuration as the caller's own: raft hands out the one that it uses.
func (c *Cluster) servers() []raft.Server {
	return slices.Clone(c.raft().GetConfiguration().Configuration().Servers)
}

// AddNonvoter adds a node that receives the log and has no vote, or gives a member another address.
//
// Every change works from any node, takes effect only if the membership is still that of index previous (0 for any), and
// returns the index of the new one. An error of the kind ErrUnknown says that the change may have happened, or may still:
// look at the membership before you repeat it.
func (c *Cluster) AddNonvoter(ctx context.Context, previous uint64, id, address string) (uint64, error) {
	return c.submit(ctx, change{Verb: verbAdd, IDs: []string{id}, Address: address, Prev: previous})
}

// Promote gives non-voters a vote, all of them back to back. Each must have been healthy for Timing.Probation, close to the
// leader, and of the same state.
func (c *Cluster) Promote(ctx context.Context, previous uint64, ids ...string) (uint64, error) {
	return c.submit(ctx, change{Verb: verbPromote, IDs: ids, Prev: previous})
}

// Demote takes a node's vote away.
func (c *Cluster) Demote(ctx context.Context, previous uint64, id string) (uint64, error) {
	return c.submit(ctx, change{Verb: verbDemote, IDs: []string{id}, Prev: previous})
}

// Remove removes a node for good: its id is never accepted again.
func (c *Cluster) Remove(ctx context.Context, previous uint64, id string) (uint64, error) {
	return c.submit(ctx, change{Verb: verbRemove, IDs: []string{id}, Prev: previous})
}

// Transfer makes another voter lead: the one named, or with an empty id the most caught-up healthy one.
func (c *Cluster) Transfer(ctx context.Context, id string) error {
	asked := change{Verb: verbTransfer}
	if id != "" {
		asked.IDs = []string{id}
	}
	_, err := c.submit(ctx, asked)
	return err
}

// submit carries a change out here or lets the leader do it.
func (c *Cluster) submit(ctx context.Context, asked change) (uint64, error) {
	asked.By = askerOf(ctx)
	_, before := c.raft().LeaderWithID()
	index, err := c.submitOnce(ctx, asked)
	if errors.Is(err, errLeaderChanged) || errors.Is(err, errLost) {
		return c.submitAgain(ctx, asked, before, err)
	}
	return index, err
}

func (c *Cluster) submitOnce(ctx context.Context, asked change) (uint64, error) {
	if c.raft().State() == raft.Leader {
		return c.change(ctx, asked)
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return 0, err
	}
	f, err := c.askLeader(ctx, laneQuick, askChange, body)
	if errors.Is(err, errNotSent) {
		return 0, fmt.Errorf("%w: %w", ErrNotLeader, err)
	}
	if err != nil {
		return 0, unknown(fmt.Errorf("ask the leader for a change: %w", err))
	}
	return bodyNumber(f)
}

// change carries out one change at a time on the leader.
func (c *Cluster) change(ctx context.Context, asked change) (uint64, error) {
	select {
	case c.changing <- struct{}{}:
		defer func() { <-c.changing }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if !c.Ready() {
		return 0, ErrNotReady
	}
	current := c.Membership()
	if asked.Prev == 0 {
		asked.Prev = current.Index
	}
	if asked.Verb != verbTransfer && asked.Prev != current.Index {
		return 0, fmt.Errorf("%w: it is that of entry %d", ErrMembershipChanged, current.Index)
	}
	for _, id := range asked.IDs {
		if asked.Verb != verbAdd && !current.has(id) {
			return 0, fmt.Errorf("%w: %q is no member", ErrNotEligible, id)
		}
	}
	index, err := c.carryOutChange(ctx, asked, current)
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", asked.Verb, asked.IDs, err)
	}
	c.logger.Info("membership changed", "verb", asked.Verb, "nodes", asked.IDs, "index", index, "by", asked.By.Name, "user", asked.By.User)
	return index, nil
}

func (c *Cluster) carryOutChange(ctx context.Context, asked change, current Membership) (uint64, error) {
	switch {
	case asked.Verb == verbTransfer:
		return 0, c.transfer(ctx, asked.IDs)
	case len(asked.IDs) == 0:
		return 0, fmt.Errorf("%w: no node is named", ErrNotEligible)
	case asked.Verb == verbAdd:
		return c.add(ctx, asked, current)
	case asked.Verb == verbPromote:
		return c.promote(ctx, asked, current)
	case asked.Verb == verbDemote, asked.Verb == verbRemove:
		return c.withdraw(ctx, asked, current)
	}
	return 0, fmt.Errorf("unknown change %q", asked.Verb)
}

func (c *Cluster) add(ctx context.Context, asked change, current Membership) (uint64, error) {
	id := asked.IDs[0]
	if err := checkName(id); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotEligible, err)
	}
	if c.cfg.Removed(id) {
		return 0, fmt.Errorf("%w: it was removed, and an id never comes back", ErrNotEligible)
	}
	if _, _, err := net.SplitHostPort(asked.Address); err != nil {
		return 0, fmt.Errorf("%w: address: %w", ErrNotEligible, err)
	}
	for _, m := range current.Members {
		if m.Address == asked.Address && m.ID != id {
			return 0, fmt.Errorf("%w: node %s has the address %s", ErrNotEligible, m.ID, m.Address)
		}
	}
	return c.reconfigure(ctx, func() raft.IndexFuture {
		return c.raft().AddNonvoter(raft.ServerID(id), raft.ServerAddress(asked.Address), asked.Prev, 0)
	})
}

// promote checks everything before it changes anything, so that the time with an even number of voters is short.
func (c *Cluster) promote(ctx context.Context, asked change, current Membership) (uint64, error) {
	for _, id := range asked.IDs {
		if err := c.health.eligible(id, c.cfg.Timing.Probation); err != nil {
			return 0, fmt.Errorf("%w: node %s: %w", ErrNotEligible, id, err)
		}
	}
	next := slices.Clone(current.Members)
	for i := range next {
		next[i].Voter = next[i].Voter || slices.Contains(asked.IDs, next[i].ID)
	}
	if err := c.checkQuorum(ctx, next); err != nil {
		return 0, err
	}
	index := asked.Prev
	for _, m := range next {
		if !slices.Contains(asked.IDs, m.ID) {
			continue
		}
		var err error
		previous := index // the change may begin after this function has given up waiting
		index, err = c.reconfigure(ctx, func() raft.IndexFuture {
			return c.raft().AddVoter(raft.ServerID(m.ID), raft.ServerAddress(m.Address), previous, 0)
		})
		if err != nil {
			return 0, err
		}
	}
	return index, nil
}

// withdraw demotes or removes one node. An id is buried before its node is removed: a crash between the two leaves a
// member that nobody talks to, which the leader removes later, and never a removed node that could come back.
func (c *Cluster) withdraw(ctx context.Context, asked change, current Membership) (uint64, error) {
	id := asked.IDs[0]
	if id == string(c.id) {
		return c.withdrawSelf(ctx, asked)
	}
	next := slices.Clone(current.Members)
	next = slices.DeleteFunc(next, func(m Member) bool { return m.ID == id })
	if err := c.checkQuorum(ctx, next); err != nil {
		return 0, err
	}
	if asked.Verb == verbDemote {
		return c.reconfigure(ctx, func() raft.IndexFuture { return c.raft().DemoteVoter(raft.ServerID(id), asked.Prev, 0) })
	}
	if c.cfg.Bury != nil && !c.cfg.Removed(id) {
		if err := c.bury(ctx, id, asked.By); err != nil {
			return 0, fmt.Errorf("bury its id: %w", err)
		}
	}
	index, err := c.reconfigure(ctx, func() raft.IndexFuture { return c.raft().RemoveServer(raft.ServerID(id), asked.Prev, 0) })
	if err == nil && c.port != nil {
		c.port.cut(id)
	}
	return index, err
}

// bury makes the machine remember a removed node. It may refuse, and its outcome cannot be read here: what counts is
// what it says once all that was committed is visible.
func (c *Cluster) bury(ctx context.Context, id string, by Asker) error {
	if _, err := c.Propose(ctx, c.cfg.Bury(id, by)); err != nil {
		return err
	}
	committed := c.raft().CommitIndex()
	for pause := firstPause; !c.cfg.Removed(id); pause = min(2*pause, lastPause) {
		if c.applied() >= committed && !c.cfg.Removed(id) {
			return errors.New("the machine refuses to bury it")
		}
		if !c.rest(ctx, pause) {
			return cmp.Or(c.ended(ctx), context.Canceled)
		}
	}
	return nil
}

// withdrawSelf lets another node lead first: raft stops on a leader that loses its vote.
func (c *Cluster) withdrawSelf(ctx context.Context, asked change) (uint64, error) {
	if err := c.transfer(ctx, nil); err != nil {
		return 0, err
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return 0, err
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		f, err := c.askLeader(ctx, laneQuick, askChange, body)
		if err != nil && !errors.Is(err, errNotSent) {
			return 0, unknown(fmt.Errorf("ask the new leader: %w", err))
		}
		if err == nil {
			var index uint64
			if index, err = bodyNumber(f); err == nil {
				return index, nil
			}
		}
		again := errors.Is(err, errNotSent) || errors.Is(err, ErrNotReady) || errors.Is(err, ErrNotLeader)
		if !again || !c.rest(ctx, pause) {
			return 0, fmt.Errorf("ask the new leader: %w", err)
		}
	}
}

// reconfigure waits for one change of raft's configuration.
func (c *Cluster) reconfigure(ctx context.Context, begin func() raft.IndexFuture) (uint64, error) {
	var future raft.IndexFuture
	err := c.awaitFor(ctx, func() raft.Future {
		future = begin()
		return future
	})
	switch {
	case err == nil:
		return future.Index(), nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return 0, fmt.Errorf("%w: %w", ErrNotLeader, err)
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrRaftShutdown):
		return 0, unknown(err)
	}
	return 0, err
}

func (m Membership) has(id string) bool {
	return slices.ContainsFunc(m.Members, func(member Member) bool { return member.ID == id })
}
