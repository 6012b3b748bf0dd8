package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Move tells the cluster under which address this node is reached from now on. It asks every member if no leader is known:
// a leader that knows an old address only is never heard.
func (c *Cluster) Move(ctx context.Context, address string) error {
	asked := change{Verb: verbAdd, IDs: []string{string(c.id)}, Address: address}
	if _, leader := c.raft().LeaderWithID(); leader != "" || c.port == nil {
		_, err := c.submit(ctx, asked)
		return err
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	refusals := []error{ErrNotLeader}
	for _, m := range c.servers() {
		if m.ID == c.id {
			continue
		}
		f, err := c.callers.call(ctx, peerLane{string(m.ID), string(m.Address), laneQuick}, askChange, body)
		if err == nil {
			_, err = bodyNumber(f)
		}
		if err == nil {
			return nil
		}
		refusals = append(refusals, fmt.Errorf("ask node %s: %w", m.ID, err))
	}
	return errors.Join(refusals...)
}
