package cluster

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// reader decodes the calls that one connection brings. It is the stream layer of a transport that accepts just this one.
type reader struct {
	net.Conn
	transport *transport
	network   *raft.NetworkTransport
	peer      string
	fresh     chan struct{} // holds one until the connection was accepted
	ending    sync.Once
	closed    chan struct{}
	gone      chan struct{} // closed when network knows; only then Accept may fail
}

// Accept returns the connection once.
func (r *reader) Accept() (net.Conn, error) {
	select {
	case <-r.fresh:
		return r, nil
	case <-r.gone:
		return nil, net.ErrClosed
	}
}

// Addr returns this node's end.
func (r *reader) Addr() net.Addr { return r.LocalAddr() }

// Dial is for outgoing connections only.
func (r *reader) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) { return nil, errNoPeers }

// Close ends the connection and its decoder.
func (r *reader) Close() error {
	r.ending.Do(func() {
		close(r.closed)
		r.Conn.Close()
		r.transport.mu.Lock()
		delete(r.transport.readers, r)
		r.transport.mu.Unlock()
	})
	return nil
}

// pump hands calls on to raft, one by one as the peer sends them.
func (r *reader) pump() {
	defer close(r.gone)
	defer r.network.Close()
	for {
		var rpc raft.RPC
		select {
		case rpc = <-r.network.Consumer():
		case <-r.closed:
			return
		}
		if err := r.check(rpc); err != nil {
			r.transport.logger.Warn("cut a connection", "peer", r.peer, "error", err)
			r.Close()
			return
		}
		if !r.transport.valve.pass(rpc, r.closed) || !r.transport.silence.hear(rpc, r.closed) {
			return
		}
		select {
		case r.transport.incoming <- rpc:
		case <-r.closed:
			return
		}
	}
}

// check refuses a call in another node's name, and one that raft would stumble over.
func (r *reader) check(rpc raft.RPC) error {
	if err := r.checkSender(rpc); err != nil {
		return err
	}
	switch call := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		return checkEntries(call)
	case *raft.InstallSnapshotRequest:
		if known, ok := r.Conn.(*portConn); ok && known.protocol != protocolSnapshot {
			return errors.New("snapshot on a connection for other calls")
		}
		return checkInstall(call)
	}
	return nil
}

func (r *reader) checkSender(rpc raft.RPC) error {
	if r.peer == "" {
		return nil
	}
	call, ok := rpc.Command.(raft.WithRPCHeader)
	if !ok {
		return fmt.Errorf("unexpected call %T", rpc.Command)
	}
	if named := string(call.GetRPCHeader().ID); named != r.peer {
		return fmt.Errorf("call in the name of node %q", named)
	}
	return nil
}
