package cluster

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// Found by the rig: a leader that was refused by a follower while entries were in flight could neither replicate to
// that follower any more nor shut down.
func TestARefusedPipelineDoesNotHang(t *testing.T) {
	here, there := newWire("node-1:7000"), newWire("node-2:7000")
	here.peer = there
	sender := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: here, MaxPool: 1, MaxRPCsInFlight: 2, Timeout: time.Minute})
	defer sender.Close()
	follower := raft.NewNetworkTransport(there, 1, time.Minute, io.Discard)
	defer follower.Close()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a follower whose term is newer
		for {
			select {
			case call := <-follower.Consumer():
				call.Respond(&raft.AppendEntriesResponse{Term: 9}, nil)
			case <-stop:
				return
			}
		}
	}()
	inner, err := sender.AppendEntriesPipeline(raft.ServerID("node-2"), "node-2:7000")
	must(t, err)
	p := newPipeline(inner)
	defer p.Close()
	send := func() error {
		_, err := p.AppendEntries(&raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3}, Term: 7}, &raft.AppendEntriesResponse{})
		return err
	}
	must(t, send())
	if answered := <-p.Consumer(); answered.Response().Success {
		t.Fatal("the follower did not refuse") // raft's decoder reads no further than this
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if err := send(); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		if errors.Is(err, io.EOF) {
			t.Errorf("the follower closed the connection: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a send hangs behind a refusal")
	}
}
