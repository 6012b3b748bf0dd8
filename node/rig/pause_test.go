package rig

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// pauseLeader stops the leader's process for some seconds while clients
// read from it, and lets it go on with everything that waits in its sockets. What
// it then answers may not be older than what the others acknowledged meanwhile.
func pauseLeader(t *testing.T, c *Cluster, l *Load, random *rand.Rand, count int) {
	patient := newClient(20 * time.Second)
	overtaken, answered, terms := 0, 0, c.Term()
	for round := range count {
		leader := c.Leader()
		others := c.Others(leader)
		l.Route = func(random *rand.Rand) *Node { return anyOf(random, others) }
		l.Start(3, 1)
		l.AwaitProgress(20)
		var readers sync.WaitGroup
		var asked, told atomic.Int64
		reading, done := context.WithCancel(t.Context())
		for i := range 8 {
			random := rand.New(rand.NewPCG(l.Seed, uint64(round)<<8|uint64(i)))
			readers.Go(func() {
				for reading.Err() == nil {
					asked.Add(1)
					if l.read(reading, random, leader, patient) {
						told.Add(1)
					}
				}
			})
		}
		Eventually(t, "reads at the leader", func() bool { return told.Load() >= 20 })
		before := l.Acked()
		leader.Signal(syscall.SIGSTOP)
		during := told.Load()
		if soaking {
			Pass(between(random, 2*time.Second, 10*time.Second))
		} else {
			l.AwaitProgress(50) // under another leader
		}
		if l.Acked() > before+20 && c.leaderOf(others) != nil {
			overtaken++
		}
		leader.Signal(syscall.SIGCONT)
		Eventually(t, "reads at the former leader", func() bool { return told.Load() >= during+20 })
		answered += int(told.Load() - during)
		done()
		readers.Wait()
		l.Stop()
		l.Route = nil
		c.AwaitLevel()
		l.Settle()
	}
	after := c.Term()
	t.Logf("%d pauses, in %d of them another leader acknowledged writes; term %d to %d; %d reads answered by the former leader after it woke",
		count, overtaken, terms, after, answered)
	if overtaken == 0 || after == terms {
		t.Errorf("seed %d: nobody led meanwhile: the test proves too little", l.Seed)
	}
}

// TestALongPauseIsNoStuckDisk is what T20 found: a leader that was paused for
// longer than a write may take woke up, took the write in flight for a hung disk
// and ended.
func TestALongPauseIsNoStuckDisk(t *testing.T) {
	needsTime(t)
	seed, _ := newSeed()
	c := New(t)
	l := NewLoad(t, c, seed)
	l.Start(8, 0)
	for range rounds(1, 5) {
		l.AwaitProgress(50)
		leader := c.Leader()
		leader.Signal(syscall.SIGSTOP)
		Pass(11 * time.Second) // the limit is ten
		leader.Signal(syscall.SIGCONT)
		l.AwaitProgress(50)
		leader.AwaitReady()
	}
	l.Stop()
	c.Finish(l)
}
