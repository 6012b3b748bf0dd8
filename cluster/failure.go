package cluster

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// failure ends the node on the first storage error. Raft would log it, step down and go on.
type failure struct {
	report   func(error)
	once     sync.Once
	raised   chan struct{} // closed with the first error
	released chan struct{} // closed when raft has been told to stop
	armed    atomic.Bool   // false while Open still can return the error itself
}

func newFailure(report func(error)) *failure {
	return &failure{report: report, raised: make(chan struct{}), released: make(chan struct{})}
}

// raise reports the first error; later ones are its consequences.
func (f *failure) raise(err error) {
	f.once.Do(func() {
		close(f.raised)
		f.report(err)
	})
}

// halt reports err and never returns to raft, which panics or carries on after some errors.
// It normally does not come back from the report; if it does, the goroutine is parked and then ended.
// Only before the failure is armed, or after the store was closed, the error is returned instead.
func (f *failure) halt(err error, closed bool) error {
	if closed || !f.armed.Load() {
		return err
	}
	f.raise(err)
	<-f.released
	runtime.Goexit()
	return err
}

// storageCall runs one call on raft.db under a watchdog and returns its error.
// A fault or panic in the mapped file, which a shrunken or damaged file provokes, becomes an error too.
func storageCall(f *failure, limit time.Duration, name string, observe func(string, time.Duration), call func() error) (err error) {
	// Two clocks, one behind the other: a process that was paused, as a machine that moves to another host is, wakes up
	// with the first one run out, and with a call that ends at once.
	var ended atomic.Bool
	watchdog := time.AfterFunc(limit-limit/10, func() {
		time.AfterFunc(limit/10, func() {
			if !ended.Load() {
				f.raise(fmt.Errorf("raft log: %s has been stuck for %s", name, limit))
			}
		})
	})
	defer watchdog.Stop()
	defer ended.Store(true)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged page: %v", p)
		}
	}()
	start := time.Now()
	err = call()
	observe(name, time.Since(start))
	return err
}
