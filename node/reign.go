package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"coffer/fsm"
	"coffer/fsm/settings"
	"coffer/node/task"
	"coffer/store"
)

// reign is what this node does while it leads: found a new cluster, submit the
// wishes of its environment, then run the leader tasks.
func (n *Node) reign(ctx context.Context) {
	for _, step := range []func(context.Context) error{n.found, n.beginEpoch, n.admitSelf, n.wish} {
		if !n.insist(ctx, step) {
			return
		}
	}
	n.prepared.Store(true)
	defer n.prepared.Store(false)
	task.Run(ctx, n.tasks(), lead{n}, n.logger)
}

// insist repeats a step until it succeeds or the leadership ends: a new leader
// meets every client that was waiting, and may be busy.
func (n *Node) insist(ctx context.Context, step func(context.Context) error) bool {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := step(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		n.logger.Error("leadership cannot begin yet", "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

// found names the ledger of a new cluster.
func (n *Node) found(ctx context.Context) error {
	id := n.dir.Identity
	_, err := fsm.Found.Submit(n.self(ctx), n, fsm.FoundCluster{ID: id.ClusterID, LedgerID: id.LedgerID, SaltID: n.salt.ID()})
	if errors.Is(err, fsm.ErrFounded) {
		return nil
	}
	return err
}

// wish submits the environment's values for settings that differ.
func (n *Node) wish(ctx context.Context) error {
	var changes []settings.Change
	err := n.Read(ctx, fsm.Linearizable, func(v *store.View) error {
		changes = n.wishes(v)
		return nil
	})
	if err != nil || len(changes) == 0 {
		return err
	}
	updated, err := settings.UpdateSettings.Submit(n.self(ctx), n, settings.Update{By: "environment of " + n.dir.Identity.NodeID, Changes: changes})
	if err != nil {
		return fmt.Errorf("apply the environment's settings: %w", err)
	}
	n.logger.Info("settings changed to the environment's", "count", updated.Count, "names", names(changes))
	return nil
}

// wishes lists the settings that the environment wants otherwise, in the order
// of their declaration.
func (n *Node) wishes(v *store.View) []settings.Change {
	var changes []settings.Change
	for _, s := range settings.All() {
		text, wished := n.config.Environment[s.Name]
		if wished && s.Text(v) != text {
			changes = append(changes, settings.Change{Name: s.Name, Text: text})
		}
	}
	return changes
}

func names(changes []settings.Change) []string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.Name
	}
	slices.Sort(list)
	return list
}

// lead gives tasks the log and views of this node.
type lead struct{ *Node }

// Caller is the node as a task's caller.
func (l lead) Caller(ctx context.Context) fsm.Caller { return l.self(ctx) }

// Watch signals new entries.
func (l lead) Watch() (<-chan struct{}, func()) { return l.machine.Watch() }

// Digest is the newest digest of this node.
func (l lead) Digest() (uint64, [32]byte, bool) { return l.machine.Digest() }
