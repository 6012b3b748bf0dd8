package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	failoverTarget = 5 * time.Second
	quietTarget    = 130 * time.Second // longer than a connection between nodes may be idle
	failoverLimit  = time.Minute       // for writes to resume
	// underLoad is how many transfers each client makes before the leader is killed.
	underLoad = 20
)

// measureFailover kills the leader under load, again and again, and takes the
// time until every survivor acknowledges a new transfer. The last round comes
// after a quiet time, in which connections between nodes grow old.
func (s *session) measureFailover(ctx context.Context) ([]Row, error) {
	b, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	const subject = "writes resume after kill -9 of the leader"
	often, err := s.failOvers(ctx, b, s.options.Failovers)
	if err != nil {
		return nil, err
	}
	rows := []Row{often.row(subject+", p99", s.options)}
	s.note("quiet for %v", s.options.Quiet)
	rest(ctx, s.options.Quiet)
	rested, err := s.failOvers(ctx, b, 1)
	if err != nil {
		return rows, err
	}
	row := rested.row(fmt.Sprintf("the same after %v without load", s.options.Quiet), s.options)
	if s.options.Quiet < quietTarget {
		row.onlyMeasured(fmt.Sprintf("only after %v are idle connections sure to be closed", quietTarget))
	}
	return append(rows, row), nil
}

// failovers are several rounds.
type failovers struct {
	fastest, slowest histogram
	total            Measurement
}

func (s *session) failOvers(ctx context.Context, b *bank, rounds int) (*failovers, error) {
	var all failovers
	began := time.Now()
	for i := range rounds {
		r, err := s.failOver(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		s.note("failover %d of %d: writes resume after %v", i+1, rounds, r.slowest.Round(time.Millisecond))
		all.slowest.record(r.slowest)
		all.fastest.record(r.fastest)
		all.total.Acknowledged += r.acknowledged
		all.total.Refused += r.refused
	}
	m := &all.total
	m.Name, m.Clients, m.Seconds = fmt.Sprintf("failover, %d rounds", rounds), s.options.Clients, time.Since(began).Seconds()
	m.Requests, m.Count, m.Latency = m.Acknowledged+m.Refused, m.Acknowledged, latencyOf(&all.slowest)
	m.PeakMemoryBytes = b.memory()
	return &all, nil
}

func (f *failovers) row(subject string, o Options) Row {
	took := f.slowest.percentile(0.99)
	row := Row{
		Subject: subject, Figure: took.Seconds(), Unit: Seconds, Target: fmt.Sprintf("<= %.0f s", failoverTarget.Seconds()),
		Verdict: verdict(took <= failoverTarget), Measurements: []Measurement{f.total},
		Notes: []string{
			fmt.Sprintf("%s of %d nodes, all survivors: p50 %.2f s, p99 %.2f s, max %.2f s; the first survivor: p50 %.2f s, max %.2f s",
				f.total.Name, o.Nodes, f.slowest.percentile(0.5).Seconds(), took.Seconds(), f.slowest.max.Seconds(),
				f.fastest.percentile(0.5).Seconds(), f.fastest.max.Seconds()),
			fmt.Sprintf("%s transfers acknowledged by the survivors, none lost; %s requests refused or without answer meanwhile",
				grouped(float64(f.total.Acknowledged)), grouped(float64(f.total.Refused))),
		},
	}
	if o.Failovers < 100 {
		row.Notes = append(row.Notes, "with fewer than 100 rounds p99 is the longest")
	}
	return row
}

// failover is what one round found.
type failover struct {
	fastest, slowest      time.Duration // of the survivors
	acknowledged, refused int64
}

// failOver is one round. The killed node is back when it returns.
func (s *session) failOver(ctx context.Context, b *bank) (failover, error) {
	leader, err := b.lead(ctx)
	if err != nil {
		return failover{}, err
	}
	before, err := b.height(ctx)
	if err != nil {
		return failover{}, err
	}
	survivors := b.fleet.without(leader)
	t := newTraffic(ctx, b, survivors, s.options.Clients)
	round, err := killUnderLoad(t, leader, survivors)
	t.end()
	if err != nil {
		return round, err
	}
	b.address = survivors[0].address
	after, err := b.height(ctx)
	if err != nil {
		return round, err
	}
	round.acknowledged, round.refused = t.acknowledged.Load(), t.refused.Load()
	b.moved += round.acknowledged
	if after-before < round.acknowledged {
		return round, fmt.Errorf("failover lost writes: %d acknowledged, the chain grew by %d", round.acknowledged, after-before)
	}
	if err := leader.up(ctx); err != nil {
		return round, err
	}
	return round, b.caughtUp(ctx, leader, after)
}

// killUnderLoad kills the leader and asks every survivor until it acknowledges
// a transfer that was sent after the kill.
func killUnderLoad(t *traffic, leader *fleetNode, survivors []*fleetNode) (failover, error) {
	ctx, cancel := context.WithTimeout(t.ctx, failoverLimit)
	defer cancel()
	if err := t.await(ctx, int64(underLoad*t.clients)); err != nil {
		return failover{}, err
	}
	probes := make([]*transferStream, len(survivors))
	for i := range probes {
		probes[i] = newTransferStream(t.bank).(*transferStream)
	}
	killed := time.Now()
	if err := leader.process.kill(); err != nil {
		return failover{}, err
	}
	leader.process = nil
	type result struct {
		took time.Duration
		err  error
	}
	results := make(chan result, len(survivors))
	for i, n := range survivors {
		go func() {
			err := t.insist(ctx, n, probes[i])
			results <- result{time.Since(killed), err}
		}()
	}
	round := failover{fastest: failoverLimit}
	var failures []error
	for range survivors {
		r := <-results
		failures = append(failures, r.err)
		round.fastest, round.slowest = min(round.fastest, r.took), max(round.slowest, r.took)
	}
	return round, errors.Join(failures...)
}

// traffic is load that outlives refusals and lost connections.
type traffic struct {
	ctx                   context.Context
	bank                  *bank
	clients               int
	stop                  context.CancelFunc
	workers               sync.WaitGroup
	acknowledged, refused atomic.Int64
	grown                 chan struct{} // receives after an acknowledgement
}

// newTraffic lets clients loose on nodes until end is called or ctx ends.
func newTraffic(ctx context.Context, b *bank, nodes []*fleetNode, clients int) *traffic {
	ctx, stop := context.WithCancel(ctx)
	t := &traffic{ctx: ctx, bank: b, clients: clients, stop: stop, grown: make(chan struct{}, 1)}
	for i := range clients {
		requests := newTransferStream(b)
		address := nodes[i%len(nodes)].address
		t.workers.Go(func() {
			c := newConnection(address)
			defer c.close()
			defer context.AfterFunc(ctx, c.close)()
			for pause := firstPause; ctx.Err() == nil; {
				if t.try(c, requests) {
					pause = firstPause
					continue
				}
				rest(ctx, pause)
				pause = min(2*pause, lastPause)
			}
		})
	}
	return t
}

// try sends one transfer and tells whether it was acknowledged.
func (t *traffic) try(c *connection, requests stream) bool {
	answer, err := c.exchange(requests.next())
	if err == nil {
		_, err = judge(requests, answer)
	}
	if err != nil {
		t.refused.Add(1)
		return false
	}
	t.acknowledged.Add(1)
	select {
	case t.grown <- struct{}{}:
	default:
	}
	return true
}

// insist sends transfers to a node until one is acknowledged.
func (t *traffic) insist(ctx context.Context, n *fleetNode, requests stream) error {
	c := newConnection(n.address)
	defer c.close()
	defer context.AfterFunc(ctx, c.close)()
	for pause := firstPause; !t.try(c, requests); pause = min(2*pause, lastPause) {
		rest(ctx, pause)
		if ctx.Err() != nil {
			return fmt.Errorf("wait for a write at %s: %w%s", n.address, ctx.Err(), n.process.logTail())
		}
	}
	return nil
}

// await returns once so many transfers are acknowledged.
func (t *traffic) await(ctx context.Context, count int64) error {
	for t.acknowledged.Load() < count {
		select {
		case <-t.grown:
		case <-ctx.Done():
			return fmt.Errorf("wait for load: %w", ctx.Err())
		}
	}
	return nil
}

// end stops the clients and waits for them.
func (t *traffic) end() {
	t.stop()
	t.workers.Wait()
}

// rest pauses unless ctx ends before.
func rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
