package rig

import (
	"math/rand/v2"
	"syscall"
	"testing"
)

// repeatWrites sends a third of all writes again, through other nodes, while
// leaders are killed, paused and asked to step down: each has one effect, and
// each repeat gets the bytes of the first answer.
func repeatWrites(t *testing.T, c *Cluster, l *Load, random *rand.Rand, goal int) {
	l.Repeats = 43 // of a hundred writes: three in ten requests
	requests, failovers := 0, 0
	for requests < goal || failovers < 2 {
		l.Start(8, 0)
		l.AwaitProgress(100)
		leader, term := c.Leader(), c.Term()
		switch failovers % 3 {
		case 1:
			leader.Kill()
			l.AwaitProgress(50)
			leader.Start()
		case 0:
			_ = leader.Operator().TransferLeadership(t.Context(), "") // it may have stepped down by itself
		case 2:
			leader.Signal(syscall.SIGSTOP)
			l.AwaitProgress(50)
			leader.Signal(syscall.SIGCONT)
		}
		Eventually(t, "another term", func() bool { return c.Term() > term })
		failovers++
		l.AwaitProgress(100 + random.IntN(min(goal/8, 5000)))
		l.Stop()
		l.Settle()
		requests = l.Counts.Acked + l.Counts.Repeated
	}
	t.Logf("%d requests over %d failovers, %d of them repeats", requests, failovers, l.Counts.Repeated)
	if l.Counts.Repeated*5 < l.Counts.Acked {
		t.Errorf("seed %d: %d repeats: the test proves too little", l.Seed, l.Counts.Repeated)
	}
}
