package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"coffer/fsm"
	"coffer/snapshot"
	"coffer/store"
)

// beginEpoch makes the permanent record of a restore or a recovery, once. Nodes
// that belong to the cluster no more are buried before: none of them may come
// back under its id, and an upgrade must not wait for them.
func (n *Node) beginEpoch(ctx context.Context) error {
	var epoch uint32
	var recorded bool
	var gone []string
	present := map[string]bool{}
	for _, m := range n.cluster.Membership().Members {
		present[m.ID] = true
	}
	err := n.Read(ctx, fsm.Linearizable, func(v *store.View) error {
		epoch = v.Applied().Epoch
		for _, e := range fsm.Epochs(v) {
			recorded = recorded || e.Epoch == epoch
		}
		for _, m := range fsm.Members(v) {
			if m.Removed == 0 && !present[m.ID] {
				gone = append(gone, m.ID)
			}
		}
		return nil
	})
	if err != nil || recorded || epoch <= snapshot.FirstEpoch {
		return err
	}
	for _, id := range gone {
		if _, err := fsm.RemoveMember.Submit(n.self(ctx), n, fsm.Removal{Node: id}); err != nil {
			return fmt.Errorf("bury node %s: %w", id, err)
		}
	}
	reason := "restored"
	if note := n.dir.Identity.Epoch; note != nil && note.Number == epoch {
		reason = note.Reason
	}
	_, err = fsm.BeginEpoch.Submit(n.self(ctx), n, fsm.EpochReason{Epoch: epoch, Reason: reason, Node: n.dir.Identity.NodeID})
	if err != nil && !errors.Is(err, fsm.ErrEpochExists) {
		return fmt.Errorf("record epoch %d: %w", epoch, err)
	}
	n.logger.Warn("a new epoch has begun", "epoch", epoch, "reason", reason, "buried", gone)
	return nil
}

// ownToken is a token with which this node admits itself to a restored cluster
// that knew other members. It stands for the operator who ran the restore.
func (n *Node) ownToken(ctx context.Context) (store.ID, error) {
	var secret [32]byte
	// crypto/rand never fails: the runtime stops the program instead.
	_, _ = rand.Read(secret[:])
	hash := store.ID(n.tokenHash(secret[:]))
	restorer := caller{ctx, fsm.Origin{Actor: fsm.Actor{Kind: fsm.Operator, ID: "restore"}, RequestID: fsm.NewRequestID()}}
	_, err := fsm.CreateToken.Submit(restorer, n, fsm.TokenCreated{Hash: hash, Node: n.dir.Identity.NodeID, Lifetime: int64(store.Minute)})
	return hash, err
}
