package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// errNotSent means that a question certainly never reached the peer.
var errNotSent = errors.New("not sent")

// errLost means that a question may have reached the peer and the answer will not come.
var errLost = errors.New("connection lost before the answer")

// lane separates bulk from what must be quick: a term must not wait behind a megabyte of proposals.
type lane int

const (
	laneBulk lane = iota
	laneQuick
)

// callers keeps one connection per peer and lane, opened when first needed.
type callers struct {
	port *Port

	mu    sync.Mutex
	ended bool
	open  map[peerLane]*caller
}

type peerLane struct {
	id, address string
	lane        lane
}

func newCallers(port *Port) *callers { return &callers{port: port, open: map[peerLane]*caller{}} }

// call asks a peer one question and waits for the answer.
func (c *callers) call(ctx context.Context, to peerLane, k kind, body []byte) (frame, error) {
	conn, err := c.to(to)
	if err != nil {
		return frame{}, err
	}
	return conn.call(ctx, k, body)
}

// to returns the connection to a peer, which may still be opening.
func (c *callers) to(peer peerLane) (*caller, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, errors.Join(errNotSent, net.ErrClosed)
	}
	now := time.Now()
	if conn := c.open[peer]; conn != nil && conn.use(now) {
		return conn, nil
	}
	conn := newCaller(now)
	c.open[peer] = conn
	go conn.run(c.port, peer)
	return conn, nil
}

// close fails every call and waits for nothing.
func (c *callers) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, conn := range c.open {
		conn.end(net.ErrClosed)
	}
}

// caller is one connection with several calls in flight.
type caller struct {
	out    *outbox
	done   chan struct{}
	opened time.Time

	mu      sync.Mutex
	err     error
	retired bool // ends with its last call
	used    time.Time
	conn    net.Conn // nil until it is open
	next    uint64
	pending map[uint64]*pendingCall
}

func newCaller(now time.Time) *caller {
	return &caller{out: newOutbox(), done: make(chan struct{}), opened: now, used: now, pending: map[uint64]*pendingCall{}}
}

// use says whether the connection takes another call. An old or idle one does not, long before the peer would close it:
// a call that meets the end of its connection is in doubt.
func (c *caller) use(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.retired {
		return false
	}
	if now.Sub(c.opened) > connAge/2 || now.Sub(c.used) > connIdle/2 {
		c.retired = true
		c.endWhenDone()
		return false
	}
	c.used = now
	return true
}

// endWhenDone ends a retired connection after its last call; it runs with mu held.
func (c *caller) endWhenDone() {
	if c.retired && len(c.pending) == 0 {
		c.endLocked(net.ErrClosed)
	}
}

type pendingCall struct {
	frame
	answer chan frame // holds one
}

// run opens the connection and serves it until it fails.
func (c *caller) run(port *Port, peer peerLane) {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
	defer cancel()
	stop := port.untilClosed(cancel)
	conn, err := port.dial(ctx, protocolCall, peer.id, peer.address)
	stop()
	if err != nil {
		c.end(err)
		return
	}
	c.mu.Lock()
	c.conn = conn
	err = c.err
	c.mu.Unlock()
	if err != nil { // ended meanwhile
		conn.Close()
		return
	}
	go func() { c.end(c.out.run(conn)) }()
	c.end(c.read(conn))
}

// read distributes answers.
func (c *caller) read(conn net.Conn) error {
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		f, err := readFrame(in, maxReply)
		if err != nil {
			return err
		}
		c.mu.Lock()
		p := c.pending[f.number]
		delete(c.pending, f.number)
		if p != nil {
			p.answer <- f
		}
		c.endWhenDone()
		c.mu.Unlock()
	}
}

// end closes the connection; calls see done.
func (c *caller) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(err)
}

func (c *caller) endLocked(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	c.out.close(err)
	if c.conn != nil {
		c.conn.Close()
	}
	close(c.done)
}

// call asks one question. Its error is of the kind errNotSent or errLost, or it is the end of ctx without errNotSent,
// which is in doubt too.
func (c *caller) call(ctx context.Context, k kind, body []byte) (frame, error) {
	p := &pendingCall{frame: frame{kind: k, body: body}, answer: make(chan frame, 1)}
	if deadline, ok := ctx.Deadline(); ok {
		p.wait = max(time.Until(deadline), time.Millisecond)
	}
	c.mu.Lock()
	c.next++
	p.number = c.next
	c.pending[p.number] = p
	c.mu.Unlock()
	if err := c.out.put(&p.frame); err != nil {
		return frame{}, c.fail(p, err)
	}
	select {
	case f := <-p.answer:
		return f, nil
	case <-ctx.Done():
		return c.last(p, context.Cause(ctx))
	case <-c.done:
		c.mu.Lock()
		err := c.err
		c.mu.Unlock()
		return c.last(p, fmt.Errorf("%w: %w", errLost, err))
	}
}

// last gives an answer that arrived just in time precedence over the reason why waiting ended.
func (c *caller) last(p *pendingCall, reason error) (frame, error) {
	select {
	case f := <-p.answer:
		return f, nil
	default:
		return frame{}, c.fail(p, reason)
	}
}

// fail forgets a call and says whether it can have reached the peer.
func (c *caller) fail(p *pendingCall, reason error) error {
	c.mu.Lock()
	delete(c.pending, p.number)
	c.endWhenDone()
	c.mu.Unlock()
	if c.out.takeBack(&p.frame) {
		return fmt.Errorf("%w: %w", errNotSent, reason)
	}
	return reason
}
