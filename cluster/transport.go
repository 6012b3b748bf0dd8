package cluster

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// snapshotScale makes one RPC timeout last for this many bytes of a snapshot;
// with raft's default a gigabyte would get eleven hours.
const snapshotScale = 4 << 20

// maxPool is how many idle connections to one peer are kept.
const maxPool = 3

// transport is raft's network transport, except that heartbeats take the same road as every other call.
// Beside raft's main goroutine they change term and state under a running leader or candidate, and logs diverge.
// The embedded type keeps pre-vote and close.
type transport struct{ *raft.NetworkTransport }

var (
	_ raft.Transport   = transport{}
	_ raft.WithPreVote = transport{}
	_ raft.WithClose   = transport{}
)

func newTransport(cfg Config) transport {
	network := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          newCutStream(cfg.Stream),
		Logger:          newHCLog(cfg.Logger),
		MaxPool:         maxPool,
		MaxRPCsInFlight: cfg.Timing.RPCsInFlight,
		Timeout:         cfg.Timing.RPCTimeout,
	})
	network.TimeoutScale = snapshotScale
	return transport{network}
}

// SetHeartbeatHandler ignores the fast path, which raft's interface permits.
func (transport) SetHeartbeatHandler(func(raft.RPC)) {}

// cutStream is a stream layer that closes its connections when it is closed itself.
// Raft waits for its calls before it has stopped, and a stalled one may take as long as its timeout.
type cutStream struct {
	raft.StreamLayer
	mu    sync.Mutex
	ended bool
	open  map[*cutConn]struct{}
}

type cutConn struct {
	net.Conn
	stream *cutStream
}

func newCutStream(inner raft.StreamLayer) *cutStream {
	return &cutStream{StreamLayer: inner, open: map[*cutConn]struct{}{}}
}

// Accept returns the next connection from a peer.
func (s *cutStream) Accept() (net.Conn, error) {
	conn, err := s.StreamLayer.Accept()
	if err != nil {
		return nil, err
	}
	return s.keep(conn)
}

// Dial connects to a peer.
func (s *cutStream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := s.StreamLayer.Dial(address, timeout)
	if err != nil {
		return nil, err
	}
	return s.keep(conn)
}

func (s *cutStream) keep(conn net.Conn) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	kept := &cutConn{Conn: conn, stream: s}
	s.open[kept] = struct{}{}
	return kept, nil
}

// Close ends Accept and every connection.
func (s *cutStream) Close() error {
	s.mu.Lock()
	s.ended = true
	open := s.open
	s.open = nil
	s.mu.Unlock()
	err := s.StreamLayer.Close()
	for conn := range open {
		err = errors.Join(err, conn.Conn.Close())
	}
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
