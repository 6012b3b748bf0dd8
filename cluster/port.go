package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// The protocols of the cluster port, told apart by ALPN.
const (
	protocolRaft     = "coffer-raft/1"
	protocolCall     = "coffer-rpc/1"
	protocolSnapshot = "coffer-snap/1"
	protocolJoin     = "coffer-join/1"
)

const (
	handshakeLimit = 5 * time.Second
	connAge        = time.Hour        // longest life of a connection, so that renewed certificates take effect
	connIdle       = 2 * time.Minute  // longest silence of a peer on an accepted connection
	snapshotIdle   = 10 * time.Second // and on one that brings a snapshot: raft votes for nobody while it reads one
	dismissGrace   = time.Second
	connsPerPeer   = 16
	connsInAll     = 128 // of peers
	connsJoining   = 8   // of nodes that join, beside those
	joinsPerSource = 2   // of those
)

// PortConfig describes the cluster port.
type PortConfig struct {
	Listener    net.Listener // bound TCP listener; the port owns it
	Advertise   string       // host:port under which peers reach it; the listener's address if empty
	Credentials *Credentials // shown and believed until Rotate
	// Join admits a node that has a token instead of a certificate. It looks at the token before it says anything about the
	// node, and refuses a removed one. Optional: without it nobody can join here.
	Join func(ctx context.Context, request JoinRequest) (JoinReply, error)
	// Dial opens the connection below TLS to a node; optional, TCP by default.
	Dial   func(ctx context.Context, nodeID, address string) (net.Conn, error)
	Logger *slog.Logger // optional
}

// Port is the one listener for everything between nodes: mutual TLS 1.3 with the cluster's own authority.
// It is the Stream of a node with peers. Peers are known by the node id in their certificate, never by address.
type Port struct {
	cfg         PortConfig
	credentials atomic.Pointer[Credentials]
	guest       atomic.Pointer[guests] // set once a cluster uses the port
	streams     chan net.Conn          // accepted for raft
	calls       chan net.Conn          // accepted for calls
	shaking     handshakes
	refused     refusals
	closed      chan struct{}
	ending      sync.Once
	serving     sync.WaitGroup

	mu   sync.Mutex
	open map[*portConn]struct{}
}

// Listen opens the port on a bound listener. Connections are accepted from now on and served once a cluster uses it.
func Listen(cfg PortConfig) (*Port, error) {
	if cfg.Listener == nil || cfg.Credentials == nil {
		return nil, errors.New("open cluster port: listener or credentials are missing")
	}
	if cfg.Advertise == "" {
		cfg.Advertise = cfg.Listener.Addr().String()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Dial == nil {
		cfg.Dial = dialTCP
	}
	p := &Port{
		cfg: cfg, streams: make(chan net.Conn), calls: make(chan net.Conn),
		closed: make(chan struct{}), open: map[*portConn]struct{}{},
	}
	p.credentials.Store(cfg.Credentials)
	p.serving.Go(p.listen)
	return p, nil
}

// Rotate makes the port use other credentials of the same node for every new connection. It closes connections with nodes
// whose certificate they do not believe any more.
func (p *Port) Rotate(credentials *Credentials) error {
	old := p.credentials.Load()
	if credentials.clusterID != old.clusterID || credentials.nodeID != old.nodeID {
		return fmt.Errorf("rotate credentials: they name node %q of cluster %q", credentials.nodeID, credentials.clusterID)
	}
	p.credentials.Store(credentials)
	for _, conn := range p.connections() {
		if conn.distrusted() != nil {
			conn.dismiss()
		}
	}
	return nil
}

// names says whether the certificate in use is that of a node.
func (p *Port) names(clusterID, nodeID string) bool {
	c := p.credentials.Load()
	return c.clusterID == clusterID && c.nodeID == nodeID
}

// Expiry returns when the certificate in use ends.
func (p *Port) Expiry() time.Time { return p.credentials.Load().Expiry() }

// Accept returns the next connection of a peer's raft.
func (p *Port) Accept() (net.Conn, error) { return p.accept(p.streams) }

// acceptCall returns the next connection for calls.
func (p *Port) acceptCall() (net.Conn, error) { return p.accept(p.calls) }

func (p *Port) accept(from chan net.Conn) (net.Conn, error) {
	select {
	case conn := <-from:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Addr returns the advertised address.
func (p *Port) Addr() net.Addr { return address(p.cfg.Advertise) }

// Dial opens a raft connection to a target made by nameTarget.
func (p *Port) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return p.dialTarget(protocolRaft, target, timeout)
}

func (p *Port) dialTarget(protocol string, target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), min(timeout, handshakeLimit))
	defer cancel()
	nodeID, address := splitTarget(target)
	return p.dial(ctx, protocol, nodeID, address)
}

// nameTarget joins a peer's id to its address: an address may be used again by another node.
func nameTarget(id raft.ServerID, address raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(id) + "\x00" + address
}

func splitTarget(target raft.ServerAddress) (nodeID, address string) {
	nodeID, address, _ = strings.Cut(string(target), "\x00")
	return nodeID, address
}

// dial connects to a node, which must prove its id.
func (p *Port) dial(ctx context.Context, protocol, nodeID, address string) (net.Conn, error) {
	if g := p.guest.Load(); g != nil {
		if err := g.knows(nodeID); err != nil {
			return nil, fmt.Errorf("dial node %s: %w", nodeID, err)
		}
	}
	raw, err := p.cfg.Dial(ctx, nodeID, address)
	if err != nil {
		return nil, fmt.Errorf("dial node %s: %w", nodeID, err)
	}
	mine := p.credentials.Load()
	conn := tls.Client(raw, &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}, Certificates: []tls.Certificate{mine.own},
		InsecureSkipVerify: true, // VerifyConnection does it, for an id instead of a host name
		VerifyConnection: func(state tls.ConnectionState) error {
			found, err := mine.verify(state.PeerCertificates, time.Now())
			if err == nil && found != nodeID {
				err = fmt.Errorf("peer is node %q", found)
			}
			if err == nil && state.NegotiatedProtocol != protocol {
				err = fmt.Errorf("peer does not speak %s", protocol)
			}
			return err
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("dial node %s at %s: %w", nodeID, address, err), raw.Close())
	}
	return p.keep(conn, nodeID, protocol, false)
}

// Close ends Accept and every connection, without waiting for anybody.
func (p *Port) Close() error {
	var err error
	p.ending.Do(func() {
		close(p.closed)
		err = p.cfg.Listener.Close()
		for _, conn := range p.connections() {
			conn.Close() // its peer sees the same in any case
		}
	})
	p.serving.Wait()
	return err
}

func (p *Port) connections() []*portConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*portConn, 0, len(p.open))
	for conn := range p.open {
		all = append(all, conn)
	}
	return all
}

// attach gives the port its guest list, which holds for nodes that are connected already, too.
func (p *Port) attach(g *guests) {
	p.guest.Store(g)
	p.recheck()
}

// recheck closes the connections of nodes that are no members any more.
func (p *Port) recheck() {
	g := p.guest.Load()
	if g == nil {
		return
	}
	g.review()
	for _, conn := range p.connections() {
		if conn.peer != "" && g.knows(conn.peer) != nil {
			conn.dismiss()
		}
	}
}

// cut closes every connection with one node.
func (p *Port) cut(nodeID string) {
	for _, conn := range p.connections() {
		if conn.peer == nodeID {
			conn.dismiss()
		}
	}
}

func (p *Port) ended() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// keep registers a connection, within the limits.
func (p *Port) keep(conn net.Conn, peer, protocol string, accepted bool) (*portConn, error) {
	kept := &portConn{Conn: conn, port: p, peer: peer, protocol: protocol, accepted: accepted}
	p.mu.Lock()
	err := p.full(kept)
	if err == nil {
		kept.age = time.AfterFunc(connAge-rand.N(connAge/8), func() { kept.Close() })
		p.open[kept] = struct{}{}
	}
	p.mu.Unlock()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return kept, p.stillKnown(kept)
}

// full says why there is no room for a connection. The caller holds the lock.
func (p *Port) full(wanted *portConn) error {
	count, strangers, neighbours := 0, 0, 0
	for other := range p.open {
		if other.accepted && other.peer == wanted.peer {
			count++
		}
		if other.peer == "" {
			strangers++
		}
		if other.peer == "" && SourceOf(other.RemoteAddr()) == SourceOf(wanted.RemoteAddr()) {
			neighbours++
		}
	}
	switch {
	case p.ended():
		return net.ErrClosed
	case wanted.peer == "" && (strangers >= connsJoining || neighbours >= joinsPerSource):
		return fmt.Errorf("%d nodes join at once, %d of them from there", strangers, neighbours)
	case wanted.peer != "" && wanted.accepted && (count >= connsPerPeer || len(p.open)-strangers >= connsInAll):
		return fmt.Errorf("%d connections are open, %d of them from node %q", len(p.open)-strangers, count, wanted.peer)
	}
	return nil
}

// stillKnown closes a connection whose node became unknown before recheck or Rotate could see it.
func (p *Port) stillKnown(conn *portConn) error {
	if err := conn.distrusted(); err != nil { // the credentials were changed meanwhile
		return errors.Join(err, conn.Close())
	}
	g := p.guest.Load()
	if g == nil || conn.peer == "" {
		return nil
	}
	if err := g.knows(conn.peer); err != nil {
		return errors.Join(fmt.Errorf("node %s: %w", conn.peer, err), conn.Close())
	}
	return nil
}

// portConn is a connection of the port.
type portConn struct {
	net.Conn
	port     *Port
	peer     string // node id, empty while it joins
	protocol string
	accepted bool
	age      *time.Timer
}

// Read fails when an accepted connection has been silent for too long.
func (c *portConn) Read(b []byte) (int, error) {
	if !c.accepted {
		return c.Conn.Read(b)
	}
	idle := connIdle
	if c.protocol == protocolSnapshot { // its sender has everything at hand
		idle = snapshotIdle
	}
	if err := c.Conn.SetReadDeadline(time.Now().Add(idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// distrusted says why the port does not believe the peer's certificate any more.
func (c *portConn) distrusted() error {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok || c.peer == "" {
		return nil
	}
	_, err := c.port.credentials.Load().verify(secure.ConnectionState().PeerCertificates, time.Now())
	return err
}

// dismiss closes the connection of a removed node. Calls get a moment to be answered: one may be the question that
// removed it.
func (c *portConn) dismiss() {
	if c.protocol != protocolCall {
		c.Close()
		return
	}
	c.port.mu.Lock()
	defer c.port.mu.Unlock()
	c.age.Reset(dismissGrace)
}

// Close closes the connection at once; TLS would first wait for its peer to take a farewell.
func (c *portConn) Close() error {
	c.age.Stop()
	c.port.mu.Lock()
	delete(c.port.open, c)
	c.port.mu.Unlock()
	if secure, ok := c.Conn.(*tls.Conn); ok {
		return secure.NetConn().Close()
	}
	return c.Conn.Close()
}

// offers says whether a client speaks a protocol.
func offers(hello *tls.ClientHelloInfo, protocol string) bool {
	return slices.Contains(hello.SupportedProtos, protocol)
}
