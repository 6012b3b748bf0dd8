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
	// answerLimit is how long after its end a phase waits for open answers.
	answerLimit = 30 * time.Second
	// progressInterval is the time between two lines of a long phase.
	progressInterval = 5 * time.Second
	// hopelessAfter refusals without one success end a phase.
	hopelessAfter = 10
)

var errNoAnswer = errors.New("no answer within 30 s")

// phase is one closed-loop load: each client sends its next request when the
// answer to the last has arrived.
type phase struct {
	name      string
	clients   int
	warmUp    time.Duration
	duration  time.Duration // after the warm-up; zero runs until limit
	limit     int64         // counted things after which the phase ends; zero is none
	addresses []string      // where clients connect, in turn; none is the bank's
}

// running is a phase in progress.
type running struct {
	phase
	from, until time.Time    // what completes between them is counted; until may be zero
	counted     atomic.Int64 // things counted so far, for limit and progress
	tallies     []*tally     // one per client
	cpu         [2]cpuTimes  // at from and at the end
}

// load drives the phase with one stream per client. The measurement is valid
// as far as it got also when an error is returned.
func (b *bank) load(ctx context.Context, p phase, newStream func() stream) (Measurement, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b.memory() // forget the peak before this phase

	start := time.Now()
	r := &running{phase: p, from: start.Add(p.warmUp)}
	if p.duration > 0 {
		r.until = r.from.Add(p.duration)
	}
	streams := make([]stream, p.clients)
	for i := range streams {
		streams[i] = newStream()
		r.tallies = append(r.tallies, &tally{})
	}
	var workers sync.WaitGroup
	for i, s := range streams {
		c := newConnection(b.address)
		if len(p.addresses) > 0 {
			c.address = p.addresses[i%len(p.addresses)]
		}
		stop := context.AfterFunc(ctx, c.close)
		workers.Go(func() {
			defer c.close()
			defer stop()
			if err := r.work(ctx, c, s, r.tallies[i]); err != nil {
				cancel(err)
			}
		})
	}
	finished := make(chan struct{})
	go func() { workers.Wait(); close(finished) }()
	r.watch(b, cancel, finished)

	m := r.measure(b)
	b.moved += m.Acknowledged
	if err := context.Cause(ctx); err != nil {
		return m, fmt.Errorf("%s: %w", p.name, err)
	}
	return m, nil
}

// work is one client: it stops at the end of the phase, at the limit, or
// when ctx ends, which closes its connection.
func (r *running) work(ctx context.Context, c *connection, s stream, t *tally) error {
	for ctx.Err() == nil && (r.limit == 0 || r.counted.Load() < r.limit) {
		request := s.next()
		sent := time.Now()
		if !r.until.IsZero() && sent.After(r.until) {
			return nil
		}
		answer, err := c.exchange(request)
		if err != nil {
			return err
		}
		done := time.Now()
		count, err := judge(s, answer)
		t.acknowledged += count
		if err != nil && t.firstRefusal == nil {
			t.firstRefusal = err
		}
		if done.Before(r.from) || !r.until.IsZero() && done.After(r.until) {
			continue
		}
		t.add(done.Sub(sent), done.Sub(r.from), count, err != nil)
		r.counted.Add(count)
		if t.acknowledged == 0 && t.refused >= hopelessAfter {
			return fmt.Errorf("every answer is a refusal: %w", t.firstRefusal)
		}
	}
	return nil
}

func judge(s stream, answer response) (int64, error) {
	if answer.status/100 != 2 {
		return 0, refusalOf(answer)
	}
	return s.accept(answer.body)
}

// watch notes the processor times at both ends, tells how far the phase is,
// and gives up on answers that never come.
func (r *running) watch(b *bank, cancel context.CancelCauseFunc, finished <-chan struct{}) {
	begin := time.NewTimer(time.Until(r.from))
	defer begin.Stop()
	var end, never <-chan time.Time
	if !r.until.IsZero() {
		end = time.After(time.Until(r.until))
		never = time.After(time.Until(r.until) + answerLimit)
	}
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	ended := false
	for {
		select {
		case <-begin.C:
			r.cpu[0] = cpuTimesOf(b.processes())
		case <-end:
			r.cpu[1], ended = cpuTimesOf(b.processes()), true
		case <-never:
			cancel(errNoAnswer)
		case <-tick.C:
			r.tell(b)
		case <-finished:
			if !ended {
				r.cpu[1] = cpuTimesOf(b.processes())
				r.until = time.Now()
			}
			return
		}
	}
}

func (r *running) tell(b *bank) {
	elapsed, counted := time.Since(r.from).Seconds(), r.counted.Load()
	switch {
	case elapsed <= 0:
		b.note("%s: warming up", r.name)
	case r.limit > 0:
		b.note("%s: %s of %s (%s/s)", r.name, grouped(float64(counted)), grouped(float64(r.limit)),
			grouped(float64(counted)/elapsed))
	default:
		b.note("%s: %.0f of %.0f s (%s/s)", r.name, elapsed, r.duration.Seconds(),
			grouped(float64(counted)/elapsed))
	}
}

// loadTransfers is load for streams that move money. It fails when the chain
// grew by less than the server has acknowledged.
func (b *bank) loadTransfers(ctx context.Context, p phase, newStream func() stream) (Measurement, error) {
	before, err := b.height(ctx)
	if err != nil {
		return Measurement{}, err
	}
	m, err := b.load(ctx, p, newStream)
	if err != nil {
		return m, err
	}
	after, err := b.height(ctx)
	if err != nil {
		return m, err
	}
	if after-before < m.Acknowledged {
		return m, fmt.Errorf("%s: %d transfers acknowledged, the chain grew by %d", p.name, m.Acknowledged, after-before)
	}
	return m, nil
}

func (b *bank) transfers() stream { return newTransferStream(b) }

func (b *bank) batches(rows int) func() stream {
	return func() stream { return newBatchStream(b, rows) }
}
