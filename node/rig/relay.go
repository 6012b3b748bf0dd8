package rig

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Network relays what nodes send each other and can spoil it. A link has a
// direction: held from a to b, b hears nothing of a, whoever has dialed.
type Network struct {
	mu      sync.Mutex
	links   map[link]condition
	changed chan struct{}      // closed at every change
	free    map[link]time.Time // when a narrow link is done with what it carries
	bitten  map[link]int       // how often something met a spoiled link
	open    map[*flow]struct{}
	nodes   map[string]string // where each listens: clusters of one template know each other's addresses
	closing bool
	serving sync.WaitGroup
	hubs    []net.Listener
}

type link struct{ from, to string }

// condition is what a link does to all it carries. The zero value is a whole one.
type condition struct {
	held  bool          // keep it until the link is whole again
	lost  bool          // throw it away, and cut its connection when the link is whole again
	delay time.Duration // deliver it so much later
	rate  int           // deliver so many bytes a second, 0 for all
}

// flow is one relayed connection.
type flow struct {
	ends   [2]net.Conn
	robbed bool // misses bytes that were lost; under the lock of the network
	closed chan struct{}
	once   sync.Once
}

func (f *flow) close() {
	f.once.Do(func() {
		close(f.closed)
		for _, end := range f.ends {
			_ = end.Close() // the other side sees the same in any case
		}
	})
}

func newNetwork(t testing.TB) *Network {
	n := &Network{
		links: map[link]condition{}, changed: make(chan struct{}), free: map[link]time.Time{},
		bitten: map[link]int{}, open: map[*flow]struct{}{}, nodes: map[string]string{},
	}
	t.Cleanup(n.close)
	return n
}

func (n *Network) close() {
	n.mu.Lock()
	n.closing = true
	hubs := n.hubs
	n.mu.Unlock()
	for _, hub := range hubs {
		_ = hub.Close() // ends its accept loop
	}
	n.Reset()
	n.serving.Wait()
}

// hub opens the relay of one source, which listens at an address itself, and
// returns the relay's.
func (n *Network) hub(t testing.TB, from, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	n.hubs = append(n.hubs, listener)
	n.nodes[from] = address
	n.mu.Unlock()
	n.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n.serving.Go(func() { n.carry(from, conn) })
		}
	})
	return listener.Addr().String()
}

// carry relays one connection from its first line, which names the peer.
func (n *Network) carry(from string, conn net.Conn) {
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	to, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	n.mu.Lock()
	address, known := n.nodes[to]
	n.mu.Unlock()
	if err != nil || !known {
		_ = conn.Close()
		return
	}
	peer, err := net.Dial("tcp", address)
	if err != nil {
		_ = conn.Close() // as if nobody listened
		return
	}
	f := &flow{ends: [2]net.Conn{conn, peer}, closed: make(chan struct{})}
	n.mu.Lock()
	n.open[f] = struct{}{}
	closing := n.closing
	n.mu.Unlock()
	if closing {
		f.close()
	}
	var both sync.WaitGroup
	both.Go(func() { n.pump(f, link{from, to}, in, peer) })
	both.Go(func() { n.pump(f, link{to, from}, peer, conn) })
	both.Wait()
	n.mu.Lock()
	delete(n.open, f)
	n.mu.Unlock()
}

// chunk is what travels at once.
type chunk struct {
	bytes []byte
	due   time.Time // not before
}

// pump moves bytes in one direction as its link allows.
func (n *Network) pump(f *flow, way link, in io.Reader, out net.Conn) {
	travelling := make(chan chunk, 64) // a sender that is far ahead has to wait
	var arriving sync.WaitGroup
	arriving.Go(func() {
		defer f.close()
		for c := range travelling {
			if !n.await(f, way, c) {
				return
			}
			if _, err := out.Write(c.bytes); err != nil {
				return
			}
		}
	})
	defer arriving.Wait()
	defer close(travelling)
	buffer := make([]byte, 16<<10)
	for {
		count, err := in.Read(buffer)
		if count > 0 {
			if delay, lost := n.depart(f, way); !lost {
				select {
				case travelling <- chunk{bytes.Clone(buffer[:count]), time.Now().Add(delay)}:
				case <-f.closed:
					return
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// depart says how long something takes that is sent now, and whether it is lost.
func (n *Network) depart(f *flow, way link) (delay time.Duration, lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.links[way]
	if c != (condition{}) {
		n.bitten[way]++
	}
	f.robbed = f.robbed || c.lost
	return c.delay, c.lost
}

// await waits until something arrives; false if the connection ends before.
func (n *Network) await(f *flow, way link, c chunk) bool {
	for {
		n.mu.Lock()
		condition, changed := n.links[way], n.changed
		if !condition.held && condition.rate > 0 {
			takes := time.Duration(len(c.bytes)) * time.Second / time.Duration(condition.rate)
			n.free[way] = later(n.free[way], time.Now()).Add(takes)
			c.due = later(c.due, n.free[way])
		}
		n.mu.Unlock()
		if !condition.held {
			break
		}
		select {
		case <-changed:
		case <-f.closed:
			return false
		}
	}
	if wait := time.Until(c.due); wait > 0 {
		select {
		case <-time.After(wait):
		case <-f.closed:
			return false
		}
	}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// set changes links and wakes up what waits on them.
func (n *Network) set(change func(c *condition), links ...link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range links {
		c := n.links[one]
		change(&c)
		n.links[one] = c
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

// Hold keeps back everything that one node sends another, from now on.
func (n *Network) Hold(from, to string) {
	n.set(func(c *condition) { c.held = true }, link{from, to})
}

// Release delivers what was held, late, and what follows.
func (n *Network) Release(from, to string) {
	n.set(func(c *condition) { c.held = false }, link{from, to})
}

// Lose throws away everything that one node sends another, until Heal.
func (n *Network) Lose(from, to string) {
	n.set(func(c *condition) { c.lost = true }, link{from, to})
}

// Slow delays everything that one node sends another, until Heal.
func (n *Network) Slow(from, to string, delay time.Duration) {
	n.set(func(c *condition) { c.delay = delay }, link{from, to})
}

// Narrow lets so many bytes a second pass from one node to another, until Heal.
func (n *Network) Narrow(from, to string, rate int) {
	n.set(func(c *condition) { c.rate = rate }, link{from, to})
}

// Split holds all links between two groups, in both directions.
func (n *Network) Split(some, others []*Node) {
	for _, a := range some {
		for _, b := range others {
			n.Hold(a.ID, b.ID)
			n.Hold(b.ID, a.ID)
		}
	}
}

// Heal makes every link whole. Connections that have lost something are cut.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.links)
	clear(n.free)
	for f := range n.open {
		if f.robbed {
			f.close()
		}
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

// Reset cuts all connections that are open now.
func (n *Network) Reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for f := range n.open {
		f.close()
	}
}

// Bitten says how often something met a spoiled link: proof that it was spoiled.
func (n *Network) Bitten() (times int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, count := range n.bitten {
		times += count
	}
	return times
}

// String lists what met spoiled links, for the report of a failure.
func (n *Network) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf("met on spoiled links: %v", n.bitten)
}

// Pass waits for a time that belongs to a fault: how long it lasts.
func Pass(d time.Duration) { <-time.After(d) }
