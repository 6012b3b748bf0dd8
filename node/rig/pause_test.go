package rig

import (
	"context"
	"math/rand/v2"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// pauseLeader stops the leader's process for some seconds while clients read
// from it, and lets it go on with everything that waits in its sockets: reads
// that were sent when others had acknowledged more, and answers of its followers
// to what it had sent before. What it then tells may not be older than what was
// acknowledged when it was asked.
func pauseLeader(t *testing.T, c *Cluster, l *Load, random *rand.Rand, count int) {
	overtaken, answered, terms := 0, 0, c.Term()
	for range count {
		p := newPause(t, c, l, random)
		led, told := p.run(t)
		answered += told
		if led {
			overtaken++
		}
	}
	after := c.Term()
	t.Logf("%d pauses, in %d of them another leader acknowledged writes; term %d to %d; %d reads answered by the former leader after it woke, %d of them stale",
		count, overtaken, terms, after, answered, l.Counts.Stale)
	l.Tally("pauses in which another leader acknowledged writes", overtaken)
	l.Tally("reads answered by the former leader after it woke", answered)
	if overtaken == 0 || after == terms {
		t.Errorf("seed %d: nobody led meanwhile: the test proves too little", l.Seed)
	}
}

// left is where answers of followers to the stopped leader are when it wakes.
type left string

const (
	leftToChance  left = "answers left to chance"
	leftInBuffer  left = "answers left in buffers"
	leftInTransit left = "an answer left in a buffer, the other in transit"
)

// pause is one pause of a leader.
type pause struct {
	cluster *Cluster
	load    *Load
	random  *rand.Rand
	leader  *Node
	others  []*Node
	left    left
	told    atomic.Int64 // reads that the leader answered
}

func newPause(t *testing.T, c *Cluster, l *Load, random *rand.Rand) *pause {
	t.Helper()
	leader := c.Leader()
	answers := []left{leftToChance, leftInBuffer, leftInTransit}[random.IntN(3)]
	return &pause{cluster: c, load: l, random: random, leader: leader, others: c.Others(leader), left: answers}
}

// run tells whether another led meanwhile, and how many reads the former leader
// answered when it was awake again.
func (p *pause) run(t *testing.T) (led bool, answered int) {
	l, stale := p.load, p.load.Counts.Stale
	l.Route = func(random *rand.Rand) *Node { return anyOf(random, p.others) }
	l.Start(3, 1)
	l.AwaitProgress(20)
	reading, done := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 8 {
		random := rand.New(rand.NewPCG(p.random.Uint64(), 1))
		readers.Go(func() { p.read(reading, random) })
	}
	defer readers.Wait()
	defer done()
	late := p.connect(t, 16)
	Eventually(t, "reads at the leader", func() bool { return p.told.Load() >= 20 })

	before := l.Acked()
	p.stop()
	during := p.told.Load()
	if soaking {
		Pass(between(p.random, 2*time.Second, 10*time.Second))
	} else {
		l.AwaitProgress(50) // under another leader
	}
	led = l.Acked() > before+20 && p.cluster.leaderOf(p.others) != nil
	late.ask(t)
	p.wake()
	Eventually(t, "reads at the former leader", func() bool { return p.told.Load() >= during+20 })
	late.answered.Wait()
	answered = int(p.told.Load() - during)
	done()
	readers.Wait()
	l.Stop()
	l.Route = nil
	p.cluster.AwaitLevel()
	l.Settle()
	l.Tally("pauses with "+string(p.left), 1)
	if stale = l.Counts.Stale - stale; stale > 0 {
		l.Tally("pauses with stale reads, "+string(p.left), 1)
		l.Tally("stale reads, "+string(p.left), stale)
	}
	return led, answered
}

// read asks the leader again and again.
func (p *pause) read(ctx context.Context, random *rand.Rand) {
	patient := newClient(20 * time.Second)
	defer patient.http.CloseIdleConnections()
	for ctx.Err() == nil {
		if p.load.read(ctx, random, p.leader, patient) {
			p.told.Add(1)
		}
		p.load.pause(ctx, random)
	}
}

// stop stops the leader, with answers on their way to it.
func (p *pause) stop() {
	network := p.cluster.Network
	if p.left != leftToChance {
		for _, n := range p.others {
			network.Hold(n.ID, p.leader.ID)
		}
		Pass(between(p.random, 50*time.Millisecond, 300*time.Millisecond)) // a heartbeat is sent every 150 to 300 ms, a lease lasts a second
	}
	p.leader.Signal(syscall.SIGSTOP)
	switch p.left {
	case leftInBuffer:
		network.Heal()
	case leftInTransit:
		for _, n := range p.others {
			network.Hold(p.leader.ID, n.ID)
		}
		network.Release(p.others[p.random.IntN(len(p.others))].ID, p.leader.ID)
	}
}

// wake lets the leader go on, and what is in transit arrive.
func (p *pause) wake() {
	p.leader.t.Helper()
	p.leader.Signal(syscall.SIGCONT)
	if p.left != leftInTransit {
		return
	}
	Pass(between(p.random, 0, 20*time.Millisecond))
	for _, n := range p.others {
		p.cluster.Network.Release(n.ID, p.leader.ID)
	}
	Pass(between(p.random, 0, time.Second))
	p.cluster.Network.Heal()
}

// latecomers are clients that are connected to the leader before it is stopped.
// What they ask meanwhile waits in its sockets.
type latecomers struct {
	pause    *pause
	clients  []*client
	answered sync.WaitGroup
}

func (p *pause) connect(t *testing.T, count int) *latecomers {
	t.Helper()
	late := &latecomers{pause: p}
	for range count {
		c := newClient(20 * time.Second)
		late.clients = append(late.clients, c)
		Eventually(t, "a read at the leader", func() bool { return p.load.read(t.Context(), p.random, p.leader, c) })
	}
	return late
}

// ask sends one read on each connection and returns when all are sent.
func (late *latecomers) ask(t *testing.T) {
	t.Helper()
	var sent sync.WaitGroup
	for _, c := range late.clients {
		random := rand.New(rand.NewPCG(late.pause.random.Uint64(), 1))
		sent.Add(1)
		written := sync.OnceFunc(sent.Done)
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { written() }})
		late.answered.Go(func() {
			defer c.http.CloseIdleConnections()
			defer written()
			if late.pause.load.read(ctx, random, late.pause.leader, c) {
				late.pause.told.Add(1)
			}
		})
	}
	sent.Wait()
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
