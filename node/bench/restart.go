package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	startTarget = 2 * time.Second
	startLimit  = 2 * time.Minute // after which a start counts as failed
	// Pauses between two attempts to write, doubling from first to last.
	firstPause = time.Millisecond
	lastPause  = 8 * time.Millisecond
	// crashAfter is how long the node is under load before it is killed.
	crashAfter = 3 * time.Second
)

// measureStart is P8: the time from exec to the first durable write, after a
// stop in good order and after a kill under load.
func (s *session) measureStart(ctx context.Context) ([]Row, error) {
	if s.options.URL != "" {
		return []Row{skippedRow("start until the first durable write", "the server is not ours to stop")}, nil
	}
	b, err := s.loaded(ctx)
	if err != nil {
		return nil, err
	}
	size := b.moved
	if err := b.stop(ctx); err != nil {
		return nil, err
	}
	clean, err := s.restart(ctx, b)
	if err != nil {
		return nil, err
	}
	acknowledged, err := s.crash(ctx, b)
	if err != nil {
		return nil, err
	}
	crashed, err := s.restart(ctx, b)
	if err != nil {
		return nil, err
	}
	height, err := b.height(ctx)
	if err != nil {
		return nil, err
	}
	if height < acknowledged {
		return nil, fmt.Errorf("kill -9 lost writes: %d acknowledged, the chain has %d", acknowledged, height)
	}
	rows := []Row{startRow("start after a clean stop", clean), startRow("start after kill -9 under load", crashed)}
	rows[1].Notes = append(rows[1].Notes, "every acknowledged transfer is still in the chain")
	for i := range rows {
		rows[i].Notes = append(rows[i].Notes, fmt.Sprintf("%s transfers on disk", grouped(float64(size))))
		if size < growthTransfers {
			rows[i].onlyMeasured(fmt.Sprintf("the target is for %s", grouped(growthTransfers)))
		}
	}
	return rows, nil
}

func startRow(subject string, took time.Duration) Row {
	return Row{
		Subject: subject, Figure: took.Seconds(), Unit: Seconds,
		Target: fmt.Sprintf("<= %.0f s", startTarget.Seconds()), Verdict: verdict(took <= startTarget),
	}
}

// restart starts the node again on its data and returns the time from exec to
// the first acknowledged transfer.
func (s *session) restart(ctx context.Context, b *bank) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	requests := newTransferStream(b)
	c := newConnection(b.address)
	defer c.close()
	defer context.AfterFunc(ctx, c.close)()

	started := time.Now()
	process, err := s.command(b).start()
	if err != nil {
		return 0, err
	}
	b.process = process
	last := "no answer"
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		answer, err := c.exchange(requests.next())
		if err == nil && answer.status/100 == 2 {
			took := time.Since(started)
			count, err := requests.accept(answer.body)
			b.moved += count
			return took, err
		}
		if err == nil {
			last = refusalOf(answer).Error()
		}
		select {
		case <-time.After(pause):
		case <-process.exited:
			return 0, fmt.Errorf("node ended at its start: %w%s", exitError(process.err), process.logTail())
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for the first write: %w; last: %s%s", ctx.Err(), last, process.logTail())
		}
	}
}

// crash kills the node under load and returns the height that every
// acknowledged write gives its chain at least.
func (s *session) crash(ctx context.Context, b *bank) (int64, error) {
	before, err := b.height(ctx)
	if err != nil {
		return 0, err
	}
	type result struct {
		Measurement
		err error
	}
	results := make(chan result, 1)
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		m, err := b.load(loading, phase{
			name: "P8 load before the kill", clients: s.options.BatchClients, duration: startLimit,
		}, b.batches(s.options.BatchRows))
		results <- result{m, err}
	}()
	select {
	case <-time.After(min(crashAfter, s.options.Duration)):
	case early := <-results: // only an error ends the load before its time
		return 0, early.err
	}
	underLoad := b.waitForGrowth(ctx, before)
	killErr := b.process.kill()
	cancel()
	loaded := <-results
	if err := errors.Join(underLoad, killErr); err != nil {
		return 0, err
	}
	b.process = nil
	if loaded.Acknowledged == 0 {
		return 0, fmt.Errorf("no write was acknowledged before the kill: %w", loaded.err)
	}
	return before + loaded.Acknowledged, nil
}

// waitForGrowth returns when the chain is longer than it was.
func (b *bank) waitForGrowth(ctx context.Context, before int64) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		height, err := b.height(ctx)
		if err != nil || height > before {
			return err
		}
	}
}
