package cluster

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// outgoing dials for a transport and cuts what it dialled when it is closed. The stream itself stays open:
// it outlives the transport when raft is replaced.
type outgoing struct {
	raft.StreamLayer
	dial   func(raft.ServerAddress, time.Duration) (net.Conn, error)
	closed chan struct{}

	mu    sync.Mutex
	ended bool
	open  map[*cutConn]struct{}
}

type cutConn struct {
	net.Conn
	stream *outgoing
}

func newOutgoing(inner raft.StreamLayer, dial func(raft.ServerAddress, time.Duration) (net.Conn, error)) *outgoing {
	return &outgoing{StreamLayer: inner, dial: dial, closed: make(chan struct{}), open: map[*cutConn]struct{}{}}
}

// Accept blocks until Close: accepted connections go to readers.
func (s *outgoing) Accept() (net.Conn, error) {
	<-s.closed
	return nil, net.ErrClosed
}

// Dial connects to a peer.
func (s *outgoing) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := s.dial(target, timeout)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	kept := &cutConn{Conn: conn, stream: s}
	s.open[kept] = struct{}{}
	return kept, nil
}

// Close cuts every connection.
func (s *outgoing) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	s.ended = true
	close(s.closed)
	var err error
	for conn := range s.open {
		err = errors.Join(err, conn.Conn.Close())
	}
	s.open = nil
	return err
}

// Close closes one connection.
func (c *cutConn) Close() error {
	c.stream.mu.Lock()
	delete(c.stream.open, c)
	c.stream.mu.Unlock()
	return c.Conn.Close()
}

// errNoPeers answers every dial of a node without peers.
var errNoPeers = errors.New("this node has no peers")

// noPeers is the stream layer of a node that has nobody to talk to.
type noPeers struct {
	address address
	once    sync.Once
	closed  chan struct{}
}

type address string

// Network returns a name for the lack of one.
func (address) Network() string { return "none" }

// String returns the advertised address.
func (a address) String() string { return string(a) }

// NoPeers returns a stream layer for a sole voter. It refuses to dial, and Accept blocks until Close.
// The address becomes the node's address in the membership.
func NoPeers(advertised string) raft.StreamLayer {
	return &noPeers{address: address(advertised), closed: make(chan struct{})}
}

// Accept blocks until Close.
func (n *noPeers) Accept() (net.Conn, error) {
	<-n.closed
	return nil, net.ErrClosed
}

// Close ends Accept.
func (n *noPeers) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

// Addr returns the advertised address.
func (n *noPeers) Addr() net.Addr { return n.address }

// Dial always fails.
func (n *noPeers) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) {
	return nil, errNoPeers
}
