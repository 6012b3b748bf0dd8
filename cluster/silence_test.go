package cluster

import (
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"
)

func TestTheFirstCandidateAfterALeadersDeathIsNotRefused(t *testing.T) {
	t.Parallel()
	said := &voteLog{Handler: slog.DiscardHandler, about: "since we have a leader"}
	g := newGroup(t, 3, func(cfg *Config) { cfg.Logger = slog.New(said) })
	g.fabric.refuseDials()
	var took []time.Duration
	refused := 0
	for range failovers() {
		before := g.leader()
		others := g.followers(before)
		for _, m := range others {
			eventually(t, m.id+" follows", func() bool { return m.Status().Leader == before.id })
		}
		said.forget()
		began := time.Now()
		g.fabric.isolate(before.id, true, ids(others)...)
		after := g.leaderAmong(others...)
		took = append(took, time.Since(began))
		if len(said.lines()) > 0 {
			refused++
		}
		g.fabric.isolate(before.id, false, ids(others)...)
		after.propose(t, "once after")
		eventually(t, before.id+" is back", func() bool { return before.Status().Leader == g.leader().id })
	}
	slices.Sort(took)
	t.Logf("%d failovers with a heartbeat timeout of %s: p50 %s, max %s, %d with a refusal", len(took), swift().Heartbeat, took[len(took)/2], took[len(took)-1], refused)
	if 2*refused > len(took) { // without the hold it is all of them
		t.Errorf("%d of %d first candidates were refused", refused, len(took))
	}
	g.agree()
}

func failovers() int {
	if os.Getenv("SOAK") != "" {
		return 20
	}
	return 3
}
