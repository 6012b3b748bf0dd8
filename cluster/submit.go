package cluster

import (
	"context"
	"errors"
	"slices"

	"github.com/hashicorp/raft"
)

// submitAgain ends a change whose answer was lost with the connection or the leader: a transfer does that, and so does a
// leader that is to lose its vote. The former leader may still be at it, so what counts is what the membership has become.
// Only while the leader changes the change is asked for again; an error after that leaves it in doubt.
func (c *Cluster) submitAgain(ctx context.Context, asked change, before raft.ServerID, doubt error) (uint64, error) {
	err := doubt
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if index, done := c.happened(asked, before); done {
			return index, nil
		}
		again := errors.Is(err, errLeaderChanged) || errors.Is(err, ErrNotReady) || errors.Is(err, ErrNotLeader)
		if !again || !c.rest(ctx, pause) {
			return 0, unknown(reasonOf(err))
		}
		var index uint64
		if index, err = c.submitOnce(ctx, asked); err == nil {
			return index, nil
		}
	}
}

// happened says that a transfer, a demotion or a removal has been carried out. Of a promotion only its index can tell.
func (c *Cluster) happened(asked change, before raft.ServerID) (index uint64, done bool) {
	if asked.Verb == verbTransfer {
		_, leader := c.raft().LeaderWithID()
		if len(asked.IDs) == 0 {
			return 0, leader != "" && leader != before
		}
		return 0, asked.IDs[0] == string(leader)
	}
	now := c.Membership()
	still := slices.ContainsFunc(now.Members, func(m Member) bool {
		return slices.Contains(asked.IDs, m.ID) && (asked.Verb == verbRemove || m.Voter)
	})
	return now.Index, !still && (asked.Verb == verbRemove || asked.Verb == verbDemote)
}
