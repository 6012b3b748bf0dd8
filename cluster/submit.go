package cluster

import (
	"context"
	"errors"
	"slices"
)

// submitAgain ends a change during which the leader changed: a transfer does that, and so does a leader that is to lose
// its vote. The former leader may still be at it, so whatever the answer, what counts is what the membership has become.
func (c *Cluster) submitAgain(ctx context.Context, asked change) (uint64, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if index, done := c.happened(asked); done {
			return index, nil
		}
		index, err := c.submitOnce(ctx, asked)
		if err == nil {
			return index, nil
		}
		if index, done := c.happened(asked); done {
			return index, nil
		}
		again := errors.Is(err, errLeaderChanged) || errors.Is(err, ErrNotReady) || errors.Is(err, ErrNotLeader)
		if !again || !c.rest(ctx, pause) {
			return 0, err
		}
	}
}

// happened says that a transfer, a demotion or a removal has been carried out. Of a promotion only its index can tell.
func (c *Cluster) happened(asked change) (index uint64, done bool) {
	if asked.Verb == verbTransfer {
		_, leader := c.raft().LeaderWithID()
		return 0, leader != "" && (len(asked.IDs) == 0 || asked.IDs[0] == string(leader))
	}
	now := c.Membership()
	still := slices.ContainsFunc(now.Members, func(m Member) bool {
		return slices.Contains(asked.IDs, m.ID) && (asked.Verb == verbRemove || m.Voter)
	})
	return now.Index, !still && (asked.Verb == verbRemove || asked.Verb == verbDemote)
}
