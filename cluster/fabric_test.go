package cluster

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// fabric is the network between the nodes of a test. Each direction between two nodes can be held: what is sent stays
// where it is until it is let go, and a new connection waits.
type fabric struct {
	mu      sync.Mutex
	held    map[[2]string]bool
	changed chan struct{}
	waits   int  // on held directions, ever
	refuse  bool // new connections over held directions fail instead of waiting
}

func newFabric() *fabric { return &fabric{held: map[[2]string]bool{}, changed: make(chan struct{})} }

// hold stops everything that from sends to to, or lets it go.
func (f *fabric) hold(from, to string, held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[[2]string{from, to}] = held
	close(f.changed)
	f.changed = make(chan struct{})
}

// isolate cuts a node off from others in both directions, or reconnects it.
func (f *fabric) isolate(node string, held bool, others ...string) {
	for _, other := range others {
		f.hold(node, other, held)
		f.hold(other, node, held)
	}
}

// wait returns once nothing holds the direction.
func (f *fabric) wait(from, to string, done <-chan struct{}, deadline time.Time) error {
	var expired <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	for waiting := false; ; waiting = true {
		f.mu.Lock()
		held, changed := f.held[[2]string{from, to}], f.changed
		if held && !waiting {
			f.waits++
		}
		f.mu.Unlock()
		if !held {
			return nil
		}
		select {
		case <-changed:
		case <-done:
			return net.ErrClosed
		case <-expired:
			return os.ErrDeadlineExceeded
		}
	}
}

// refuseDials lets new connections over held links fail at once instead of waiting.
func (f *fabric) refuseDials() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = true
}

func (f *fabric) refuses(direction [2]string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refuse && f.held[direction]
}

// blocked returns how often something had to wait.
func (f *fabric) blocked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waits
}

// dialer returns a PortConfig.Dial for a node.
func (f *fabric) dialer(from string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, to, address string) (net.Conn, error) {
		for _, direction := range [][2]string{{from, to}, {to, from}} {
			if f.refuses(direction) {
				return nil, syscall.ECONNREFUSED
			}
			if err := f.wait(direction[0], direction[1], ctx.Done(), time.Time{}); err != nil {
				return nil, err
			}
		}
		conn, err := dialTCP(ctx, to, address)
		if err != nil {
			return nil, err
		}
		return &wireConn{Conn: conn, fabric: f, from: from, to: to, closed: make(chan struct{})}, nil
	}
}

// wireConn is a connection through the fabric.
type wireConn struct {
	net.Conn
	fabric   *fabric
	from, to string
	ending   sync.Once
	closed   chan struct{}

	mu          sync.Mutex
	read, write time.Time
}

func (c *wireConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		c.mu.Lock()
		deadline := c.read
		c.mu.Unlock()
		err = c.fabric.wait(c.to, c.from, c.closed, deadline)
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (c *wireConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	deadline := c.write
	c.mu.Unlock()
	if err := c.fabric.wait(c.from, c.to, c.closed, deadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *wireConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	c.read, c.write = t, t
	c.mu.Unlock()
	return c.Conn.SetDeadline(t)
}

func (c *wireConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.read = t
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(t)
}

func (c *wireConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.write = t
	c.mu.Unlock()
	return c.Conn.SetWriteDeadline(t)
}

func (c *wireConn) Close() error {
	c.ending.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
