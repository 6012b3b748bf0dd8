package rig

import (
	"math/rand/v2"
	"testing"
)

// fault is one way to break a running cluster, and what must hold meanwhile. All
// nodes run again when it ends.
type fault struct {
	name        string
	few, stated int // how often it is tried: as a test, and with SOAK
	inflict     func(t *testing.T, c *Cluster, l *Load, random *rand.Rand, count int)
}

var faults = []fault{
	{"T1_kill_one", 2, 500, killOne},
	{"T2_kill_all", 1, 200, killAll},
	{"T7_disk_errors", 2, 200, diskErrors},
	{"T8_partitions", 4, 200, cutNetwork},
	{"T9_paused_leader", 1, 2000, pauseLeader},
	{"T19_rolling_restart", 1, 20, restartAll},
	{"T20_repeats", 400, 1_000_000, repeatWrites},
	{"T21_backup", 1, 20, backUp},
	{"T17_membership", 1, 100, changeMembers},
}

// TestFaults inflicts all of them. As a test they meet one cluster, one after the
// other, so that each begins where another one has been; with SOAK each has a
// cluster of its own.
func TestFaults(t *testing.T) {
	var shared *Cluster
	if !soaking {
		shared = New(t, drained...)
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			c := shared
			if soaking {
				c = New(t, drained...)
			} else {
				defer c.hand(c.t)
				c.hand(t)
			}
			seed, random := newSeed()
			l := NewLoad(t, c, seed)
			f.inflict(t, c, l, random, rounds(f.few, f.stated))
			if soaking {
				c.Finish(l)
				return
			}
			l.Settle()
			t.Logf("seed %d: %s", seed, l.Counts)
		})
		if t.Failed() {
			return
		}
	}
	if !soaking {
		c := shared
		c.Finish(NewLoad(t, c, 0))
	}
}

// drained lets balancers see that a node stops.
var drained = []string{"--drain-delay", "300ms"}
