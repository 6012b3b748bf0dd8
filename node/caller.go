package node

import (
	"context"

	"coffer/fsm"
)

// caller is the node itself, asking for a command of its own.
type caller struct {
	context.Context
	origin fsm.Origin
}

func (c caller) Origin() fsm.Origin  { return c.origin }
func (c caller) Settled(fsm.Outcome) {}

// self is this node as a caller, with a request id of its own.
func (n *Node) self(ctx context.Context) fsm.Caller {
	return caller{ctx, fsm.Origin{
		Actor:     fsm.Actor{Kind: fsm.Node, ID: n.dir.Identity.NodeID},
		RequestID: fsm.NewRequestID(),
	}}
}
