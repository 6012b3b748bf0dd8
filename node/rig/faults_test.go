package rig

import (
	"math/rand/v2"
	"testing"
	"time"
)

// fault is one way to break a running cluster, and what must hold meanwhile. All
// nodes run again when it ends.
type fault struct {
	name        string
	few, stated int // how often it is tried: as a test, and with SOAK
	inflict     func(t *testing.T, c *Cluster, l *Load, random *rand.Rand, count int)

	// With SOAK:
	lap   int           // how often one cluster meets it
	lanes int           // clusters side by side on each core; one in all if it is 0
	pace  time.Duration // how long a client rests after each request
	stock bool          // reads are confirmed by raft's own VerifyLeader: what is stale is counted
}

var faults = []fault{
	{name: "T1_kill_one", few: 2, stated: 500, inflict: killOne, lap: 20, lanes: 1, pace: 20 * time.Millisecond},
	{name: "T2_kill_all", few: 1, stated: 200, inflict: killAll, lap: 20, lanes: 1, pace: 20 * time.Millisecond},
	{name: "T4_crash_sites", few: 4, stated: 1600, inflict: crashAnywhere, lap: 25, lanes: 1, pace: 5 * time.Millisecond},
	{name: "T7_disk_errors", few: 2, stated: 200, inflict: diskErrors, lap: 12},
	{name: "T8_partitions", few: 4, stated: 200, inflict: cutNetwork, lap: 2, lanes: 3, pace: 50 * time.Millisecond},
	{name: "T9_paused_leader", few: 1, stated: 2000, inflict: pauseLeader, lap: 10, lanes: 3, pace: 20 * time.Millisecond},
	{name: "T9_stock_reads", stated: 200, inflict: pauseLeader, lap: 10, lanes: 3, pace: 20 * time.Millisecond, stock: true},
	{name: "T19_rolling_restart", few: 1, stated: 20, inflict: restartAll, lap: 4},
	{name: "T20_repeats", few: 400, stated: 1_000_000, inflict: repeatWrites, lap: 50_000},
	{name: "T21_backup", few: 1, stated: 20, inflict: backUp, lap: 3},
	{name: "T17_membership", few: 1, stated: 100, inflict: changeMembers, lap: 2, lanes: 2, pace: 20 * time.Millisecond},
}

// TestFaults inflicts all of them. As a test they meet one cluster, one after the
// other, so that each begins where another one has been; with SOAK each has
// clusters of its own, and several of them side by side.
func TestFaults(t *testing.T) {
	if soaking {
		for _, f := range faults {
			t.Run(f.name, func(t *testing.T) { newSoak(f).run(t) })
		}
		return
	}
	c := New(t, drained...)
	for i, f := range faults {
		if f.few == 0 {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			defer c.hand(c.t)
			c.hand(t)
			seed := firstSeed + uint64(i)
			l := NewLoad(t, c, seed)
			f.inflict(t, c, l, randomOf(seed), rounds(f.few, f.stated))
			l.Settle()
			t.Logf("seed %d: %s%s", seed, l.Counts, &l.figures)
		})
		if t.Failed() {
			return
		}
	}
	c.Finish(NewLoad(t, c, 0))
}

// drained lets balancers see that a node stops.
var drained = []string{"--drain-delay", "300ms"}
