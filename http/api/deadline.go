package api

import (
	"context"
	"time"
)

// A write that finds no leader must end, but most calls never wait for
// anything. So the deadline's timer is made when somebody asks for Done.

// Deadline is when the call gives up.
func (c *Call) Deadline() (time.Time, bool) {
	deadline := c.start.Add(c.mux.options.Deadline)
	if sooner, ok := c.Context.Deadline(); ok && sooner.Before(deadline) {
		return sooner, true
	}
	return deadline, true
}

// Done is closed when the client has gone, the deadline has passed or the call
// is over.
func (c *Call) Done() <-chan struct{} { return c.withDeadline().Done() }

// Err says why Done is closed.
func (c *Call) Err() error { return c.withDeadline().Err() }

// callKey is the context key of the Call itself.
type callKey struct{}

// Value is that of the request's context.
func (c *Call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	c.deadlineMu.Lock()
	bounded := c.bounded
	c.deadlineMu.Unlock()
	if bounded != nil {
		return bounded.Value(key)
	}
	return c.Context.Value(key)
}

func (c *Call) withDeadline() context.Context {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	if c.bounded == nil {
		c.bounded, c.cancel = context.WithDeadline(c.Context, c.start.Add(c.mux.options.Deadline))
	}
	return c.bounded
}

// release frees the timer. Whoever still waits is told.
func (c *Call) release() {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
}
