package rig

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Network relays what nodes send each other and can hold it back. A link has a
// direction: held from a to b, b hears nothing of a, whoever has dialed.
type Network struct {
	mu      sync.Mutex
	held    map[link]bool
	changed chan struct{} // closed at every change
	bitten  map[link]int  // how often something waited on a held link
	open    map[*flow]struct{}
	closing bool
	serving sync.WaitGroup
	hubs    []net.Listener
}

type link struct{ from, to string }

// flow is one relayed connection.
type flow struct {
	between link
	ends    [2]net.Conn
	closed  chan struct{}
	once    sync.Once
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
	n := &Network{held: map[link]bool{}, changed: make(chan struct{}), bitten: map[link]int{}, open: map[*flow]struct{}{}}
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

// hub opens the relay of one source and returns its address.
func (n *Network) hub(t testing.TB, from string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	n.hubs = append(n.hubs, listener)
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
	to, address, ok := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || !ok {
		_ = conn.Close()
		return
	}
	peer, err := net.Dial("tcp", address)
	if err != nil {
		_ = conn.Close() // as if nobody listened
		return
	}
	f := &flow{between: link{from, to}, ends: [2]net.Conn{conn, peer}, closed: make(chan struct{})}
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

// pump moves bytes in one direction as long as its link is not held.
func (n *Network) pump(f *flow, way link, in interface{ Read([]byte) (int, error) }, out net.Conn) {
	defer f.close()
	buffer := make([]byte, 64<<10)
	for {
		count, err := in.Read(buffer)
		if count > 0 && n.await(f, way) {
			if _, err := out.Write(buffer[:count]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// await waits until a link is not held; false if the connection ends before.
func (n *Network) await(f *flow, way link) bool {
	for counted := false; ; counted = true {
		n.mu.Lock()
		held, changed := n.held[way], n.changed
		if held && !counted {
			n.bitten[way]++
		}
		n.mu.Unlock()
		if !held {
			return true
		}
		select {
		case <-changed:
		case <-f.closed:
			return false
		}
	}
}

func (n *Network) set(held bool, from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[link{from, to}] = held
	close(n.changed)
	n.changed = make(chan struct{})
}

// Hold keeps back everything that one node sends another, from now on.
func (n *Network) Hold(from, to string) { n.set(true, from, to) }

// Release delivers what was held, late, and what follows.
func (n *Network) Release(from, to string) { n.set(false, from, to) }

// Split holds all links between two groups, in both directions.
func (n *Network) Split(some, others []*Node) {
	for _, a := range some {
		for _, b := range others {
			n.Hold(a.ID, b.ID)
			n.Hold(b.ID, a.ID)
		}
	}
}

// Heal releases every link.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.held)
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

// Bitten says how often something had to wait on a link: proof that it was held.
func (n *Network) Bitten() (times int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, count := range n.bitten {
		times += count
	}
	return times
}

// String lists what waited, for the report of a failure.
func (n *Network) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf("waited on links: %v", n.bitten)
}

// Pass waits for a time that belongs to a fault: how long it lasts.
func Pass(d time.Duration) { <-time.After(d) }
