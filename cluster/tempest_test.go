package cluster

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// stormMachine chains a digest over everything that it applies.
type stormMachine struct {
	mu      sync.Mutex
	digests map[uint64]uint64 // after the entry at an index
	applied map[string]bool
	last    uint64
}

func (m *stormMachine) Apply(log *raft.Log) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := fnv.New64a()
	fmt.Fprintf(sum, "%d %d %d %s", m.digests[m.last], log.Index, log.Term, log.Data)
	m.digests[log.Index], m.last = sum.Sum64(), log.Index
	m.applied[string(log.Data)] = true
	return nil
}

func (m *stormMachine) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("no snapshots") }
func (m *stormMachine) Restore(io.ReadCloser) error         { return errors.New("no snapshots") }

func (m *stormMachine) has(request string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied[request]
}

// stormStream is a node's end of the fabric, without TLS.
type stormStream struct {
	net.Listener
	dial func(ctx context.Context, to, address string) (net.Conn, error)
}

func (s stormStream) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	id, address := splitTarget(target)
	return s.dial(ctx, id, address)
}

type stormNode struct {
	*raft.Raft
	id       string
	network  raft.Transport
	listener net.Listener
	machine  *stormMachine
}

// tempest is a group of three rafts with a network that is cut and healed, under traffic.
type tempest struct {
	*testing.T
	seed   uint64
	random *rand.Rand
	fabric *fabric
	nodes  []*stormNode
	stop   chan struct{}
	work   sync.WaitGroup

	mu      sync.Mutex
	leaders map[uint64]string // of a term, as the leader says of itself
	acked   []string
	faults  []string
}

// fault records a violation.
func (s *tempest) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

func newStorm(t *testing.T, seed uint64, stock bool) *tempest {
	s := &tempest{
		T: t, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), fabric: newFabric(),
		stop: make(chan struct{}), leaders: map[uint64]string{},
	}
	var servers raft.Configuration
	var streams []stormStream
	for i := range 3 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		id := fmt.Sprint("node-", i+1)
		streams = append(streams, stormStream{listener, s.fabric.dialer(id)})
		servers.Servers = append(servers.Servers, raft.Server{
			ID: raft.ServerID(id), Address: nameTarget(raft.ServerID(id), raft.ServerAddress(listener.Addr().String())),
		})
	}
	for i, stream := range streams {
		s.nodes = append(s.nodes, s.start(servers, i, stream, stock))
	}
	t.Cleanup(s.end)
	for i := range 4 {
		s.work.Go(func() { s.write(i) })
	}
	return s
}

func (s *tempest) start(servers raft.Configuration, i int, stream stormStream, stock bool) *stormNode {
	n := &stormNode{listener: stream.Listener, id: string(servers.Servers[i].ID), machine: &stormMachine{digests: map[uint64]uint64{}, applied: map[string]bool{}}}
	own := servers.Servers[i].Address
	config := raft.DefaultConfig()
	config.LocalID, config.Logger, config.NoLegacyTelemetry = servers.Servers[i].ID, hclog.NewNullLogger(), true
	config.HeartbeatTimeout, config.ElectionTimeout = 150*time.Millisecond, 150*time.Millisecond
	config.LeaderLeaseTimeout, config.CommitTimeout = 120*time.Millisecond, 5*time.Millisecond
	config.SnapshotThreshold, config.ShutdownOnRemove = 1<<40, false
	v := newValve(func() uint64 { return 1 << 60 })
	if stock {
		n.network = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: stormAddress{stream, own}, MaxPool: maxPool, Timeout: time.Second, Logger: config.Logger,
		})
	} else {
		timing := LAN()
		timing.RPCTimeout, timing.Election, timing.Heartbeat = time.Second, config.ElectionTimeout, config.HeartbeatTimeout
		cfg := Config{Stream: stormAddress{stream, own}, Timing: timing, Logger: testLogger()}
		ours := newTransport(cfg, v)
		n.network = ours
		s.work.Go(func() {
			for {
				conn, err := stream.Accept()
				if err != nil {
					return
				}
				ours.receive(conn, "")
			}
		})
	}
	store := raft.NewInmemStore()
	snapshots := raft.NewDiscardSnapshotStore()
	must(s, raft.BootstrapCluster(config, store, store, snapshots, n.network, servers))
	r, err := raft.NewRaft(config, n.machine, store, store, snapshots, n.network)
	must(s, err)
	n.Raft = r
	v.queued.Store(&n.Raft)
	r.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool { // runs where raft changes its state
		if state, ok := o.Data.(raft.RaftState); ok && state == raft.Leader {
			s.crown(o.Raft.CurrentTerm(), n.id)
		}
		return false
	}))
	return n
}

// stormAddress gives a stream the address that peers use.
type stormAddress struct {
	stormStream
	own raft.ServerAddress
}

func (s stormAddress) Addr() net.Addr { return address(s.own) }

// crown records that a node says it leads a term.
func (s *tempest) crown(term uint64, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, ok := s.leaders[term]; ok && other != id {
		s.faults = append(s.faults, fmt.Sprintf("term %d is led by %s and by %s", term, other, id))
	}
	s.leaders[term] = id
}

// write proposes at whoever believes to lead, until the end.
func (s *tempest) write(writer int) {
	for i := 0; ; i++ {
		sealed, err := sealTest([][]byte{fmt.Appendf(nil, "%d-%d", writer, i)})
		if err != nil {
			s.Error(err)
			return
		}
		request := string(sealed)
		for _, n := range s.nodes {
			if n.State() != raft.Leader {
				continue
			}
			done := make(chan error, 1)
			go func() { done <- n.Apply([]byte(request), 20*time.Millisecond).Error() }()
			select {
			case err := <-done:
				if err == nil {
					s.mu.Lock()
					s.acked = append(s.acked, request)
					s.mu.Unlock()
				}
			case <-time.After(200 * time.Millisecond): // unknown
			case <-s.stop:
				return
			}
			break
		}
		select {
		case <-time.After(time.Millisecond):
		case <-s.stop:
			return
		}
	}
}

func (s *tempest) term() (newest uint64) {
	for _, n := range s.nodes {
		newest = max(newest, n.CurrentTerm())
	}
	return newest
}

// committed waits until the group commits something new.
func (s *tempest) committed() {
	s.mu.Lock()
	before := len(s.acked)
	s.mu.Unlock()
	eventually(s, fmt.Sprintf("seed %d: a write succeeds after the heal", s.seed), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.acked) > before
	})
}

// stand makes a node stand for election at once, without asking whether it would win.
func (s *tempest) stand(n *stormNode) {
	for _, other := range s.nodes {
		if other == n {
			continue
		}
		s.work.Go(func() {
			request := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte(other.id), Addr: []byte(other.id)}}
			address := s.address(n)
			other.network.TimeoutNow(raft.ServerID(n.id), address, request, &raft.TimeoutNowResponse{}) // over a cut it fails
		})
		return
	}
}

func (s *tempest) address(n *stormNode) raft.ServerAddress { return n.network.LocalAddr() }

// links returns the directions that a cut holds.
func (s *tempest) links() (cut [][2]string) {
	around := s.random.IntN(3)
	if s.random.IntN(3) > 0 { // mostly the leader
		if leader := slices.IndexFunc(s.nodes, func(n *stormNode) bool { return n.State() == raft.Leader }); leader >= 0 {
			around = leader
		}
	}
	a, b, c := s.nodes[around].id, s.nodes[(around+1)%3].id, s.nodes[(around+2)%3].id
	switch s.random.IntN(5) {
	case 0: // nobody hears a
		return [][2]string{{a, b}, {a, c}}
	case 1: // a hears nobody
		return [][2]string{{b, a}, {c, a}}
	case 2: // everybody is alone
		return [][2]string{{a, b}, {a, c}, {b, a}, {b, c}, {c, a}, {c, b}}
	case 3: // a bridge: only a hears both
		return [][2]string{{b, c}, {c, b}, {a, b}}
	}
	return [][2]string{{a, b}, {a, c}, {b, a}, {c, a}} // a is alone
}

// heal makes one storm: a cut shorter or longer than an election, and candidates at once around its end.
func (s *tempest) heal() {
	before, blocked := s.term(), s.fabric.blocked()
	cut := s.links()
	for _, link := range cut {
		s.fabric.hold(link[0], link[1], true)
	}
	length := time.Duration(20+s.random.IntN(500)) * time.Millisecond
	candidates, early := 1+s.random.IntN(3), s.random.IntN(2) == 0
	timer := time.NewTimer(length)
	defer timer.Stop()
	<-timer.C // the length of the cut is what is tried
	if early {
		s.candidates(candidates)
	}
	if s.fabric.blocked() == blocked { // a short cut of a quiet link
		s.candidates(len(s.nodes))
		eventually(s, "the cut holds something", func() bool { return s.fabric.blocked() > blocked })
	}
	for _, link := range cut {
		s.fabric.hold(link[0], link[1], false)
	}
	if !early {
		s.candidates(candidates)
	}
	for tries := 0; s.term() == before; tries++ { // calls that were lost in the cut
		s.committed()
		s.candidates(candidates)
		if tries > 50 {
			s.Fatalf("seed %d: no election after a cut of %s", s.seed, length)
		}
	}
	s.committed()
}

func (s *tempest) candidates(count int) {
	for _, i := range s.random.Perm(3)[:count] {
		s.stand(s.nodes[i])
	}
}

// check compares what the nodes applied, and looks for everything that was acknowledged.
func (s *tempest) check() {
	s.mu.Lock()
	acked := append([]string(nil), s.acked...)
	s.mu.Unlock()
	digests := map[uint64]uint64{}
	for _, n := range s.nodes {
		n.machine.mu.Lock()
		for index, digest := range n.machine.digests {
			if other, ok := digests[index]; ok && other != digest {
				s.fault("%s differs at entry %d", n.id, index)
			}
			digests[index] = digest
		}
		n.machine.mu.Unlock()
	}
	for _, n := range s.nodes {
		deadline := time.Now().Add(15 * time.Second)
		for _, request := range acked {
			for !n.machine.has(request) {
				if time.Now().After(deadline) {
					s.fault("%s lost %q, which was acknowledged", n.id, request)
					break
				}
				<-time.After(time.Millisecond)
			}
		}
	}
}

func (s *tempest) end() {
	select {
	case <-s.stop:
		return
	default:
	}
	close(s.stop)
	for _, n := range s.nodes {
		stopped := n.Shutdown()
		n.network.(raft.WithClose).Close()
		n.listener.Close()
		if err := stopped.Error(); err != nil {
			s.Error(err)
		}
	}
	s.work.Wait()
}
