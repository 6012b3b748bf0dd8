package node

import (
	"context"
	"net"
	"syscall"

	"coffer/cluster"
	"coffer/fsm"
)

// caller is the node itself, asking for a command of its own.
type caller struct {
	context.Context
	origin fsm.Origin
}

func (c caller) Origin() fsm.Origin  { return c.origin }
func (c caller) Settled(fsm.Outcome) {}

// actor is this node as one who acts.
func (n *Node) actor() fsm.Actor { return fsm.Actor{Kind: fsm.Node, ID: n.dir.Identity.NodeID} }

// self is this node as a caller, with a request id of its own.
func (n *Node) self(ctx context.Context) fsm.Caller {
	return caller{ctx, fsm.Origin{Actor: n.actor(), RequestID: fsm.NewRequestID()}}
}

// asker is whoever asks through the admin socket.
type asker struct {
	context.Context
	origin fsm.Origin
}

// askerOf takes the origin of a request, which can be asked for once.
func askerOf(c fsm.Caller) asker { return asker{c, c.Origin()} }

// name is who the operator claims to be, and the user that the system says they
// are.
func (a asker) name() string { return fsm.Signature(a.origin.Actor) }

// asks is the context with the operator who asks, for the cluster.
func (a asker) asks() context.Context {
	return cluster.WithAsker(a, cluster.Asker{Name: a.origin.Actor.ID, User: a.origin.Actor.Agent})
}

// caller is the asker as the caller of one more command.
func (a asker) caller() fsm.Caller {
	origin := a.origin
	origin.RequestID = fsm.NewRequestID()
	return caller{a.Context, origin}
}

type userKey struct{}

// withUser notes who has opened a connection to the admin socket, as the system
// says: the name that comes with a request is a claim.
func withUser(ctx context.Context, conn net.Conn) context.Context {
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return ctx // the connection is closed
	}
	var peer *syscall.Ucred
	controlled := raw.Control(func(fd uintptr) {
		peer, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if controlled != nil || err != nil {
		return ctx
	}
	return context.WithValue(ctx, userKey{}, peer.Uid)
}
