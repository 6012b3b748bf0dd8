package api

import (
	"context"
	"log/slog"
	"time"
)

// Observer is told about requests; nil functions are skipped.
type Observer struct {
	Started  func()
	Finished func(route string, status int, took time.Duration)
}

// label names the route in logs and metrics. It never holds a concrete path,
// which may carry tokens.
func (c *Call) label() string {
	if c.target != nil {
		return c.target.label
	}
	return "unrouted"
}

// log writes the one record of this request: never bodies, headers or queries.
func (c *Call) log() {
	level := slog.LevelInfo
	if c.status >= 500 {
		level = slog.LevelError
	}
	handler := c.mux.options.Logger.Handler()
	ctx := context.Background()
	if !handler.Enabled(ctx, level) {
		return
	}
	now := c.mux.options.Now()
	record := slog.NewRecord(now, level, "request", 0)
	attributes := [...]slog.Attr{
		slog.String("route", c.label()),
		slog.Int("status", c.status),
		slog.Float64("dur_ms", float64(now.Sub(c.start).Microseconds())/1000),
		slog.Int("bytes", c.bytes),
		slog.String("trace_id", c.trace),
		slog.String("actor", c.actor.ID),
		slog.String("ip", c.ip),
		slog.Uint64("index", c.index),
		{}, {},
	}
	count := len(attributes) - 2
	if c.code != "" {
		attributes[count] = slog.String("code", c.code)
		count++
	}
	if c.cause != nil {
		attributes[count] = slog.String("cause", c.cause.Error())
		count++
	}
	record.AddAttrs(attributes[:count]...)
	// A log that cannot be written is its writer's concern; the answer is out.
	_ = handler.Handle(ctx, record)
}
