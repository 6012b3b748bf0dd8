package cluster

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestANodeWithoutPeers(t *testing.T) {
	stream := NoPeers("node-1:7000")
	if got := stream.Addr().String(); got != "node-1:7000" {
		t.Errorf("address %q", got)
	}
	if _, err := stream.Dial("node-2:7000", time.Second); err == nil {
		t.Error("a dial succeeded")
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := stream.Accept()
		accepted <- err
	}()
	must(t, stream.Close())
	must(t, stream.Close())
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept ended with %v", err)
	}
}

func TestHeartbeatsTakeTheMainRoad(t *testing.T) {
	cfg, err := testConfig(t.TempDir()).completeForTest()
	must(t, err)
	here := newWire("node-1:7000")
	cfg.Stream = here
	road := newTransport(cfg, newValve(func() uint64 { return 0 }))
	defer road.Close()
	go func() {
		if conn, err := here.Accept(); err == nil {
			road.receive(conn, "")
		}
	}()
	road.SetHeartbeatHandler(func(raft.RPC) { t.Error("a heartbeat took the fast path") })
	sender := newWire("node-2:7000")
	sender.peer = here
	other := raft.NewNetworkTransport(sender, 1, time.Second, io.Discard)
	defer other.Close()

	answered := make(chan error, 1)
	go func() {
		heartbeat := &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, Addr: []byte("node-2:7000")}, Term: 7}
		answered <- other.AppendEntries(testNode, "node-1:7000", heartbeat, &raft.AppendEntriesResponse{})
	}()
	rpc := <-road.Consumer()
	rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
	if request, ok := rpc.Command.(*raft.AppendEntriesRequest); !ok || request.Term != 7 {
		t.Errorf("the main road brought %+v", rpc.Command)
	}
	must(t, <-answered)
	if road.TimeoutScale != snapshotScale {
		t.Errorf("timeout scale %d", road.TimeoutScale)
	}
}

// wire is a stream layer in memory that connects two nodes.
type wire struct {
	*noPeers
	peer     *wire
	incoming chan net.Conn
}

func newWire(advertised string) *wire {
	return &wire{noPeers: NoPeers(advertised).(*noPeers), incoming: make(chan net.Conn)}
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case conn := <-w.incoming:
		return conn, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.peer.incoming <- there:
		return here, nil
	case <-w.peer.closed:
		return nil, net.ErrClosed
	}
}

// voter plays the other voter: it grants every vote and confirms every entry, unless it is cut off.
type voter struct {
	network *raft.NetworkTransport
	cut     atomic.Bool
}

func (v *voter) serve(done <-chan struct{}) {
	header := raft.RPCHeader{ProtocolVersion: 3, ID: []byte("node-2"), Addr: []byte("node-2:7000")}
	for {
		var rpc raft.RPC
		select {
		case rpc = <-v.network.Consumer():
		case <-done:
			return
		}
		if v.cut.Load() {
			continue // no answer: raft takes even a failed one for a sign of life
		}
		switch request := rpc.Command.(type) {
		case *raft.RequestPreVoteRequest:
			rpc.Respond(&raft.RequestPreVoteResponse{RPCHeader: header, Term: request.Term, Granted: true}, nil)
		case *raft.RequestVoteRequest:
			rpc.Respond(&raft.RequestVoteResponse{RPCHeader: header, Term: request.Term, Granted: true}, nil)
		case *raft.AppendEntriesRequest:
			last := request.PrevLogEntry + uint64(len(request.Entries))
			rpc.Respond(&raft.AppendEntriesResponse{RPCHeader: header, Term: request.Term, LastLog: last, Success: true}, nil)
		default:
			rpc.Respond(nil, errors.New("unexpected call"))
		}
	}
}

// startPair starts a node that leads with the help of a played voter.
func startPair(t *testing.T) (*node, *voter) {
	t.Helper()
	here, there := newWire("node-1:7000"), newWire("node-2:7000")
	here.peer, there.peer = there, here
	other := &voter{network: raft.NewNetworkTransport(there, 1, time.Second, io.Discard)}
	done := make(chan struct{})
	served := work(func() { other.serve(done) })
	t.Cleanup(func() {
		other.network.Close()
		close(done)
		<-served
	})
	dir := t.TempDir()
	logFile{first: 1, count: 1, others: []raft.Server{{ID: "node-2", Address: "node-2:7000"}}}.write(t, dir)
	cfg := testConfig(dir)
	cfg.Stream = here
	cfg.Timing = LAN()
	cfg.Timing.Heartbeat, cfg.Timing.Election = 200*time.Millisecond, 200*time.Millisecond
	cfg.Timing.LeaderLease = 100 * time.Millisecond
	return start(t, cfg, &stateFile{}, seams{}), other
}
