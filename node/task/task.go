// Package task is the work only the leader does: it reads due rows, acts, and
// submits what happened as a command. A late report of an old leader is
// harmless, because the handler looks again.
package task

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"coffer/fsm"
	"coffer/store"
)

// Lead is what a task may use while its node leads.
type Lead interface {
	fsm.Proposer
	fsm.Reader
	Caller(ctx context.Context) fsm.Caller
	Watch() (signal <-chan struct{}, cancel func())
	Digest() (index uint64, digest [32]byte, ok bool)
}

// Task is one kind of leader work.
type Task struct {
	Name string
	// Next tells when there is something to do, by the wall clock of this node;
	// ok is false while there is nothing.
	Next func(r store.Reader, now store.Time) (due store.Time, ok bool)
	// Pass does what is due, bounded. It is called again while Next says so.
	Pass func(ctx context.Context, lead Lead) error
}

// Run works on all tasks until the leadership ends, then waits for them.
func Run(ctx context.Context, tasks []Task, lead Lead, logger *slog.Logger) {
	var running sync.WaitGroup
	for _, t := range tasks {
		running.Go(func() { t.run(ctx, lead, logger) })
	}
	running.Wait()
}

const (
	longestWait = time.Minute      // between two looks, even when nothing is due
	afterError  = 5 * time.Second  // before a pass that failed is tried again
	shortWait   = time.Millisecond // between two passes in a row
)

func (t Task) run(ctx context.Context, lead Lead, logger *slog.Logger) {
	signal, cancel := lead.Watch()
	defer cancel()
	for ctx.Err() == nil {
		wait, err := t.step(ctx, lead)
		if err != nil && ctx.Err() == nil {
			logger.Warn("leader task failed", "task", t.Name, "err", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-signal:
			// Many entries a second must not mean many looks a second.
			pause(ctx, min(wait, 50*time.Millisecond))
		}
		timer.Stop()
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// step looks once, passes if something is due, and says how long to wait.
func (t Task) step(ctx context.Context, lead Lead) (wait time.Duration, err error) {
	var due store.Time
	var ok bool
	now := store.TimeOf(time.Now())
	err = lead.Read(ctx, fsm.Stale, func(v *store.View) error {
		due, ok = t.Next(v, now)
		return nil
	})
	if err != nil || !ok {
		return longestWait, err
	}
	if due > now {
		return min(longestWait, time.Duration(due-now)*time.Microsecond), nil
	}
	if err := t.Pass(ctx, lead); err != nil {
		return afterError, err
	}
	return shortWait, nil
}
