package api

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"coffer/fsm"
	"coffer/store"
)

const (
	headerConsistency = "Coffer-Consistency"
	headerMinIndex    = "Coffer-Min-Index"
)

// levels are the words of Coffer-Consistency. What the log offers beyond
// fsm.Level is answered with the strictest level.
var levels = map[string]fsm.Level{
	"linearizable": fsm.Linearizable,
	"strong":       fsm.Linearizable,
	"leader":       fsm.Linearizable,
	"session":      fsm.Session,
	"stale":        fsm.Stale,
}

var levelNames = [...][]string{
	fsm.Linearizable: {"linearizable"},
	fsm.Session:      {"session"},
	fsm.Stale:        {"stale"},
}

var errReadAfterWrite = errors.New("an idempotent route reads state after its command, so a replay would differ")

// Read shows the handler a view of the route's level, or of a stricter one that
// the client asks for. The session of the actor is checked in the same view
// first. An error of the function is returned as it is.
func (c *Call) Read(read func(*store.View) error) error {
	if c.settled && c.target.Spec.Idempotent {
		return errReadAfterWrite
	}
	level, err := c.level()
	if err != nil {
		return err
	}
	c.header[headerConsistency] = levelNames[level]
	return c.mux.options.Reader.Read(c, level, func(v *store.View) error {
		c.reached(v.Index())
		if !c.target.Spec.Auth.Public() {
			if err := c.mux.options.Authorise(v, c.actor, c.target.Spec.Role); err != nil {
				return err
			}
			c.vetted = true
		}
		return read(v)
	})
}

// level is that of the route, or a stricter one the client asks for.
func (c *Call) level() (fsm.Level, error) {
	level := c.target.Spec.Read
	if asked := c.Header(headerConsistency); asked != "" {
		wanted, known := levels[asked]
		if !known {
			return level, badRequest(headerConsistency, "must be linearizable, session or stale", nil)
		}
		level = min(level, wanted)
	}
	if seen := c.Header(headerMinIndex); seen != "" {
		if _, _, ok := parseIndex(seen); !ok {
			return level, badRequest(headerMinIndex, "must be epoch:index", nil)
		}
		level = min(level, fsm.Session)
	}
	return level, nil
}

// SessionIndex is the log index that the caller behind a context has seen, from
// Coffer-Min-Index. A reader of level Session waits for it.
func SessionIndex(ctx context.Context) (epoch uint32, index uint64, ok bool) {
	c, isCall := ctx.Value(callKey{}).(*Call)
	if !isCall {
		return 0, 0, false
	}
	return parseIndex(c.Header(headerMinIndex))
}

func parseIndex(token string) (epoch uint32, index uint64, ok bool) {
	before, after, split := strings.Cut(token, ":")
	e, err := strconv.ParseUint(before, 10, 32)
	i, err2 := strconv.ParseUint(after, 10, 64)
	if !split || err != nil || err2 != nil {
		return 0, 0, false
	}
	return uint32(e), i, true
}
