package cluster

import (
	"io"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// heldStable lets a test hold raft while it writes a term.
type heldStable struct {
	*raft.InmemStore
	term    uint64        // whose first write is held
	held    chan struct{} // closed when it is
	release chan struct{}
}

func (s *heldStable) SetUint64(key []byte, value uint64) error {
	if string(key) == keyCurrentTerm && value == s.term {
		s.term = 0
		close(s.held)
		<-s.release
	}
	return s.InmemStore.SetUint64(key, value)
}

// meetLeader makes a node stand for election in term 2 and holds it while it writes that term. Meanwhile the leader of
// term 7 sends a heartbeat. It returns whether that was answered before the node had done with its write, and the answer
// to a request for a vote in term 3 afterwards.
func meetLeader(t *testing.T, network func(raft.StreamLayer) raft.Transport) (meanwhile, votes bool) {
	t.Helper()
	here, there := newWire("node-1:7000"), newWire("node-2:7000")
	here.peer, there.peer = there, here
	other := raft.NewNetworkTransport(there, 1, 10*time.Second, io.Discard)
	defer other.Close()
	header := raft.RPCHeader{ProtocolVersion: 3, ID: []byte("node-2"), Addr: []byte("node-2:7000")}
	done := make(chan struct{})
	defer close(done)
	stable := &heldStable{InmemStore: raft.NewInmemStore(), held: make(chan struct{}), release: make(chan struct{})}
	go func() { // grants the first election and no other
		for {
			select {
			case rpc := <-other.Consumer():
				switch request := rpc.Command.(type) {
				case *raft.RequestPreVoteRequest:
					rpc.Respond(&raft.RequestPreVoteResponse{RPCHeader: header, Term: request.Term, Granted: request.Term == 2}, nil)
				case *raft.RequestVoteRequest:
					rpc.Respond(&raft.RequestVoteResponse{RPCHeader: header, Term: request.Term}, nil)
				}
			case <-done:
				return
			}
		}
	}()

	config := quietRaft(testNode)
	config.HeartbeatTimeout, config.ElectionTimeout, config.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	config.Logger = hclog.NewNullLogger()
	mine := network(here)
	servers := raft.Configuration{Servers: []raft.Server{
		{ID: testNode, Address: "node-1:7000"}, {ID: "node-2", Address: "node-2:7000"}, {ID: "node-3", Address: "node-3:7000"},
	}}
	snapshots := raft.NewDiscardSnapshotStore()
	must(t, raft.BootstrapCluster(config, stable, stable, snapshots, mine, servers))
	stable.term = 2
	r, err := raft.NewRaft(config, newTestMachine(&stateFile{}), stable, stable, snapshots, mine)
	must(t, err)
	defer func() {
		stopped := r.Shutdown()
		mine.(raft.WithClose).Close()
		must(t, stopped.Error())
	}()

	<-stable.held
	answered := make(chan error, 1)
	go func() {
		heartbeat := &raft.AppendEntriesRequest{RPCHeader: header, Term: 7, Leader: []byte("node-2:7000")}
		answered <- other.AppendEntries(testNode, "node-1:7000", heartbeat, &raft.AppendEntriesResponse{})
	}()
	select {
	case err := <-answered:
		must(t, err)
		meanwhile = true
		close(stable.release)
	case <-time.After(500 * time.Millisecond):
		close(stable.release)
		must(t, <-answered)
	}
	eventually(t, "the election is over", func() bool { term, _ := stable.GetUint64([]byte(keyVoteTerm)); return term >= 2 })
	ask := &raft.RequestVoteRequest{RPCHeader: header, Term: 3, LastLogIndex: 1, LastLogTerm: 1, LeadershipTransfer: true}
	var vote raft.RequestVoteResponse
	must(t, other.RequestVote(testNode, "node-1:7000", ask, &vote))
	return meanwhile, vote.Granted
}

// The stock library answers a heartbeat beside its main goroutine. A node that has bowed to the leader of term 7 then
// goes on with the election that it had begun: its term falls to 2, and it votes in term 3. This test pins the behaviour
// that ours replaces.
func TestStockHeartbeatsMakeATermFall(t *testing.T) {
	t.Parallel()
	meanwhile, votes := meetLeader(t, func(stream raft.StreamLayer) raft.Transport {
		return raft.NewNetworkTransport(stream, 1, 10*time.Second, io.Discard)
	})
	if !meanwhile || !votes {
		t.Errorf("answered beside the main goroutine: %v, votes in a past term: %v; our transport is no longer needed if not", meanwhile, votes)
	}
}

func TestOurHeartbeatsNeverMakeATermFall(t *testing.T) {
	t.Parallel()
	meanwhile, votes := meetLeader(t, func(stream raft.StreamLayer) raft.Transport {
		cfg := Config{Stream: stream, Timing: LAN(), Logger: testLogger()}
		ours := newTransport(cfg, newValve(func() uint64 { return 1 << 60 }))
		go func() {
			for {
				conn, err := stream.Accept()
				if err != nil {
					return
				}
				ours.receive(conn, "")
			}
		}()
		t.Cleanup(func() { stream.Close() })
		return ours
	})
	if meanwhile || votes {
		t.Errorf("answered beside the main goroutine: %v, votes in a past term: %v", meanwhile, votes)
	}
}
