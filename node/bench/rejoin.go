package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	rejoinTarget = time.Minute
	rejoinState  = 1 << 30 // for which that must hold
	rejoinLimit  = 10 * time.Minute
	// smallLog lets the nodes forget old entries early. They keep a thousand all
	// the same, so the entries are made of batches of a moderate size.
	smallLog   = "67108864"
	rejoinRows = 500
	// bridged is a state so small that the log need not have forgotten anything.
	bridged = 64 << 20
	// loadStep is how many transfers pass between two looks at the size.
	loadStep = 50_000
)

// measureRejoin is the way back of a follower that was away for so long that
// the log does not reach back to where it stopped. Nothing else happens then.
func (s *session) measureRejoin(ctx context.Context) ([]Row, error) {
	b, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.shortenLogs(ctx, b); err != nil {
		return nil, err
	}
	leader, err := b.lead(ctx)
	if err != nil {
		return nil, err
	}
	follower := b.fleet.without(leader)[0]
	left, err := follower.status(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.outgrow(ctx, b, leader, follower, left); err != nil {
		return nil, err
	}
	before, err := leader.status(ctx)
	if err != nil {
		return nil, err
	}
	installed := before.LogFirst > left.LogLast // no log reaches back: the state must travel
	height, err := b.height(ctx)
	if err != nil {
		return nil, err
	}
	b.memory() // forget the peak before the rejoin
	began := time.Now()
	if follower.process, err = follower.start(); err != nil {
		return nil, err
	}
	if err := b.caughtUp(ctx, follower, height); err != nil {
		return nil, err
	}
	took := time.Since(began)
	size, err := stateSize(follower)
	if err != nil {
		return nil, err
	}
	m := Measurement{Name: "rejoin", Seconds: took.Seconds(), PeakMemoryBytes: b.memory()}
	return []Row{rejoinRow(took, size, installed, m)}, nil
}

func rejoinRow(took time.Duration, size int64, installed bool, m Measurement) Row {
	perSecond := float64(size) / took.Seconds()
	row := Row{
		Subject: "follower is back with a large state", Figure: took.Seconds(), Unit: Seconds,
		Target:  fmt.Sprintf("<= %.0f s", rejoinTarget.Seconds()),
		Verdict: verdict(took <= rejoinTarget), Measurements: []Measurement{m},
		Notes: []string{fmt.Sprintf("from its start to its first read of the newest entry; its state.db has %s then: %.1f MiB/s; the cluster is otherwise idle; the peak memory is that of the largest node, %s",
			binarySize(float64(size)), perSecond/(1<<20), binarySize(float64(m.PeakMemoryBytes)))},
	}
	if installed {
		row.Notes = append(row.Notes, "it received the state of another node")
	} else {
		row.onlyMeasured("it found all it lacked in the log and needed no state: this is a replay")
	}
	if size < rejoinState {
		row.Notes = append(row.Notes, fmt.Sprintf("extrapolated in proportion, not measured: %.1f s for 1 GiB", rejoinState/perSecond))
		row.onlyMeasured("the target is for 1 GiB")
	}
	return row
}

// shortenLogs starts all nodes again, one by one, with a small budget for
// their logs.
func (s *session) shortenLogs(ctx context.Context, b *bank) error {
	for _, n := range b.fleet.nodes {
		if err := n.down(ctx); err != nil {
			return err
		}
		n.arguments = append(n.arguments, "--log-budget", smallLog)
		if err := n.up(ctx); err != nil {
			return err
		}
	}
	return nil
}

// outgrow stops the follower and loads the others until the state is large
// enough and their logs have forgotten where the follower stopped.
func (s *session) outgrow(ctx context.Context, b *bank, leader, follower *fleetNode, left logStatus) error {
	if err := follower.down(ctx); err != nil {
		return err
	}
	for {
		size, err := stateSize(leader)
		if err != nil {
			return err
		}
		now, err := leader.status(ctx)
		if err != nil {
			return err
		}
		if size >= s.options.StateBytes && (size < bridged || now.LogFirst > left.LogLast) {
			return nil
		}
		p := phase{
			name:    fmt.Sprintf("loading, state.db has %s and the log begins at %d", binarySize(float64(size)), now.LogFirst),
			clients: s.options.BatchClients, limit: min(loadStep, max(1, s.options.StateBytes/1000)),
		}
		if _, err := b.loadTransfers(ctx, p, b.batches(rejoinRows)); err != nil {
			return err
		}
	}
}

// caughtUp waits until a node answers a read with a chain of at least height.
func (b *bank) caughtUp(ctx context.Context, n *fleetNode, height int64) error {
	ctx, cancel := context.WithTimeout(ctx, rejoinLimit)
	defer cancel()
	local := &bank{address: n.address}
	for {
		found, err := local.height(ctx)
		if err == nil && found >= height {
			return nil
		}
		select {
		case <-n.process.exited:
			return fmt.Errorf("node ended on its way back: %w%s", exitError(n.process.err), n.process.logTail())
		case <-ctx.Done():
			return fmt.Errorf("wait for a node to come back: %w; it has %d of %d entries, %v%s", ctx.Err(), found, height, err, n.process.logTail())
		case <-time.After(pollInterval):
		}
	}
}

// stateSize is the size of a node's state.db.
func stateSize(n *fleetNode) (int64, error) {
	info, err := os.Stat(filepath.Join(n.dataDir, "state.db"))
	if err != nil {
		return 0, fmt.Errorf("look at the state: %w", err)
	}
	return info.Size(), nil
}

// logStatus is what a node says about its log.
type logStatus struct{ LogFirst, LogLast uint64 }

// status asks a node through its admin socket.
func (n *fleetNode) status(ctx context.Context) (logStatus, error) {
	c := newConnection(filepath.Join(n.dataDir, "admin.sock"))
	c.network = "unix"
	defer c.close()
	var found logStatus
	if err := c.do(ctx, call{method: "GET", path: "/admin/v1/status"}, &found); err != nil {
		return found, fmt.Errorf("ask for the node's status: %w", err)
	}
	return found, nil
}
