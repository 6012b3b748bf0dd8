package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// snapshotScale makes one RPC timeout last for this many bytes of a snapshot;
// with raft's default a gigabyte would get eleven hours.
const snapshotScale = 4 << 20

// maxPool is how many idle connections to one peer are kept.
const maxPool = 3

// transport is raft's network transport, with seven differences.
//
//   - Heartbeats take the same road as every other call. Beside raft's main goroutine they change term and state under a
//     running leader or candidate, and logs diverge. The embedded type keeps pre-vote and close.
//   - A peer is called by id and address, and must prove its id.
//   - A call is refused unless it names the node that its connection proved. So each accepted connection has its own reader.
//   - Calls that bring entries wait at the valve.
//   - A candidate is not refused for the sake of a leader that is silent.
//   - A pipeline ends with its first refusal.
//   - What decides an election has a fresh connection: a pooled one may have been closed by its idle peer, and a candidate
//     that meets its end counts a refusal and waits for another election.
type transport struct {
	*raft.NetworkTransport                        // outgoing calls
	elections              *raft.NetworkTransport // outgoing votes and their like, without a pool
	snapshots              *raft.NetworkTransport // outgoing snapshots, nil without a port
	named                  bool                   // targets carry the peer's id
	valve                  *valve
	silence                silence
	settings               raft.NetworkTransportConfig // of readers
	logger                 hclog.Logger
	patience               time.Duration // with a peer that shall lead
	incoming               chan raft.RPC
	stop                   chan struct{}

	mu      sync.Mutex
	ended   bool
	readers map[*reader]struct{}
}

var (
	_ raft.Transport   = &transport{}
	_ raft.WithPreVote = &transport{}
	_ raft.WithClose   = &transport{}
)

func newTransport(cfg Config, v *valve) *transport {
	settings := raft.NetworkTransportConfig{
		Logger: newHCLog(cfg.Logger), MaxPool: maxPool,
		MaxRPCsInFlight: cfg.Timing.RPCsInFlight, Timeout: cfg.Timing.RPCTimeout,
	}
	t := &transport{
		valve: v, silence: silence{v, cfg.Timing.Heartbeat + time.Millisecond}, settings: settings, logger: settings.Logger,
		patience: cfg.Timing.Election, incoming: make(chan raft.RPC), stop: make(chan struct{}), readers: map[*reader]struct{}{},
	}
	settings.Stream = newOutgoing(cfg.Stream, cfg.Stream.Dial)
	t.NetworkTransport = raft.NewNetworkTransportWithConfig(&settings)
	t.TimeoutScale = snapshotScale
	settings.MaxPool = 0
	settings.Stream = newOutgoing(cfg.Stream, cfg.Stream.Dial)
	t.elections = raft.NewNetworkTransportWithConfig(&settings)
	if port, ok := cfg.Stream.(*Port); ok {
		t.named = true
		settings.Stream = newOutgoing(port, func(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
			return port.dialTarget(protocolSnapshot, target, timeout)
		})
		t.snapshots = raft.NewNetworkTransportWithConfig(&settings)
		t.snapshots.TimeoutScale = snapshotScale
	}
	return t
}

// SetHeartbeatHandler ignores the fast path, which raft's interface permits.
func (*transport) SetHeartbeatHandler(func(raft.RPC)) {}

// Consumer returns the calls of peers.
func (t *transport) Consumer() <-chan raft.RPC { return t.incoming }

// target names the peer where connections can prove it.
func (t *transport) target(id raft.ServerID, address raft.ServerAddress) raft.ServerAddress {
	if !t.named {
		return address
	}
	return nameTarget(id, address)
}

// AppendEntriesPipeline opens a connection for several calls in flight.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, address raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, t.target(id, address))
	if err != nil {
		return nil, err
	}
	return newPipeline(inner), nil
}

// AppendEntries sends entries or a heartbeat.
func (t *transport) AppendEntries(id raft.ServerID, address raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return t.NetworkTransport.AppendEntries(id, t.target(id, address), args, resp)
}

// RequestVote asks for a vote.
func (t *transport) RequestVote(id raft.ServerID, address raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.elections.RequestVote(id, t.target(id, address), args, resp)
}

// RequestPreVote asks whether a vote would be given.
func (t *transport) RequestPreVote(id raft.ServerID, address raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.elections.RequestPreVote(id, t.target(id, address), args, resp)
}

// TimeoutNow asks a peer to stand for election. Raft takes no proposals until it returns, so a peer that hangs is given up
// after the time of an election; if it takes the call later, the worst is one election more.
func (t *transport) TimeoutNow(id raft.ServerID, address raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	type result struct {
		response raft.TimeoutNowResponse
		err      error
	}
	answered := make(chan result, 1)
	go func() {
		var r result
		r.err = t.elections.TimeoutNow(id, t.target(id, address), args, &r.response)
		answered <- r
	}()
	timer := time.NewTimer(t.patience)
	defer timer.Stop()
	select {
	case r := <-answered:
		*resp = r.response
		return r.err
	case <-timer.C:
		return fmt.Errorf("node %s does not answer within %s", id, t.patience)
	case <-t.stop:
		return net.ErrClosed
	}
}

// InstallSnapshot streams the state, over a connection of its own.
func (t *transport) InstallSnapshot(id raft.ServerID, address raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if t.snapshots == nil {
		return t.NetworkTransport.InstallSnapshot(id, address, args, resp, data)
	}
	return t.snapshots.InstallSnapshot(id, t.target(id, address), args, resp, data)
}

// receive takes over an accepted connection. The peer is what it proved, empty where connections prove nothing.
func (t *transport) receive(conn net.Conn, peer string) {
	r := &reader{Conn: conn, transport: t, peer: peer, fresh: make(chan struct{}, 1), closed: make(chan struct{}), gone: make(chan struct{})}
	r.fresh <- struct{}{}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		conn.Close()
		return
	}
	t.readers[r] = struct{}{}
	settings := t.settings
	settings.Stream = r
	r.network = raft.NewNetworkTransportWithConfig(&settings)
	go r.pump()
}

// Close cuts all connections. Raft waits for its calls before it has stopped, and a stalled one may take long.
func (t *transport) Close() error {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return nil
	}
	t.ended = true
	close(t.stop)
	readers := t.readers
	t.readers = nil
	t.mu.Unlock()
	for r := range readers {
		r.Close()
	}
	err := errors.Join(t.NetworkTransport.Close(), t.elections.Close())
	if t.snapshots != nil {
		err = errors.Join(err, t.snapshots.Close())
	}
	return err
}
