package cluster

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// voteLog remembers what raft says about votes that could not be asked for.
type voteLog struct {
	slog.Handler
	about string // default: calls for votes that failed
	mu    sync.Mutex
	found []string
}

func (l *voteLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *voteLog) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l *voteLog) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	about := l.about
	if about == "" {
		about = "ote RPC"
	}
	if strings.Contains(text, about) && !strings.Contains(text, "was held") {
		l.mu.Lock()
		l.found = append(l.found, text)
		l.mu.Unlock()
	}
	return nil
}

func (l *voteLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found = nil
}

func (l *voteLog) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.found...)
}

func TestAnElectionAfterAQuietTimeMeetsNoDeadConnection(t *testing.T) {
	t.Parallel()
	said := &voteLog{Handler: slog.DiscardHandler}
	g := newGroup(t, 3, func(cfg *Config) { cfg.Logger = slog.New(said) })
	for _, m := range g.members { // each has led once, so each has connections to all
		if !m.Ready() {
			must(t, g.leader().Transfer(g.within(10*time.Second), m.id))
			eventually(t, m.id+" leads", m.Ready)
		}
	}
	g.agree()
	before := g.leader()
	for _, m := range g.followers(before) {
		for _, conn := range m.stream.(*Port).connections() {
			if conn.accepted && conn.protocol == protocolRaft && conn.peer != before.id {
				conn.Close() // as after two quiet minutes
			}
		}
	}
	others := g.followers(before)
	said.forget()
	g.fabric.isolate(before.id, true, ids(others)...)
	after := g.leaderAmong(others...)
	for _, line := range said.lines() {
		if strings.Contains(line, "EOF") || strings.Contains(line, "reset") || strings.Contains(line, "broken pipe") {
			t.Errorf("an election met a dead connection: %s", line)
		}
	}
	g.fabric.isolate(before.id, false, ids(others)...)
	after.propose(t, "once after")
	g.agree()
}
