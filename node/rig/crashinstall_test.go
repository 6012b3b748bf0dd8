package rig

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestT4CrashedInstall kills a follower at the calls with which it puts a received
// state in the place of its own, and nodes that drop the oldest entries of their
// logs. Whatever is left is the old state or the new one, and they go on.
func TestT4CrashedInstall(t *testing.T) {
	needsTime(t)
	tracer := tracing(t)
	seed, random := newSeed()
	c := New(t, forgetful...)
	f := newFiller(t, c, seed, 400)
	l := NewLoad(t, c, seed)
	sites := newCrashes(seed)
	count := rounds(8, 300)
	for sites.total() < count && sites.aimed < 5*count && !t.Failed() {
		c.crashInstalls(t, tracer, f, l, sites, random)
		for range 4 {
			c.crashCut(t, tracer, f, l, sites, random)
		}
		c.Agree(l)
	}
	sites.report(t)
	if !t.Failed() {
		c.Finish(l)
	}
}

// installCalls are those of an install, with how many one thread may make.
var installCalls = []struct {
	name string
	most int
}{{"renameat", 2}, {"renameat", 1}, {"unlinkat", 1}, {"fsync", 4}, {"fdatasync", 4}, {"pwrite64", 300}, {"ftruncate", 1}}

// crashInstalls kills one receiver until it has installed what it is sent.
func (c *Cluster) crashInstalls(t *testing.T, tracer string, f *filler, l *Load, sites *crashes, random *rand.Rand) {
	receiver, was := c.leaveBehind(t, f, random)
	l.Start(2, 1)
	l.AwaitProgress(5)
	for tries := 0; tries < 8 && survey(t, receiver.Dir).Applied <= was.LastIndex; tries++ {
		one := installCalls[random.IntN(len(installCalls))]
		sites.aimed++
		receiver.Launch()
		Eventually(t, receiver.ID+" answers", func() bool { _, err := receiver.Status(); return err == nil || !receiver.Running() })
		s := scene{over: func() bool { return installed(receiver, was.LastIndex) && len(receiver.received()) == 0 }}
		text, ended := c.killed(tracer, s, receiver, one.name, 1+random.IntN(one.most))
		receiver.Kill()
		site, ok := siteOf(text, receiver.Dir, one.name)
		if !ended || !ok {
			continue
		}
		sites.happened(t, "a follower receives a state, "+site, func() {
			mustRun(t, "check", "--data-dir", receiver.Dir)
			if told := survey(t, receiver.Dir); told.Applied < was.Applied {
				t.Errorf("it holds entry %d, it held %d", told.Applied, was.Applied)
			}
		})
		if t.Failed() {
			t.Logf("trace:\n%s", text[max(0, len(text)-4000):])
			return
		}
	}
	receiver.Start()
	l.AwaitProgress(5)
	l.Stop()
	c.AwaitLevel()
	l.Settle()
	c.spotless()
}

// crashCut kills a node while it drops the oldest entries of its log: it is started
// with a smaller budget than the log has.
func (c *Cluster) crashCut(t *testing.T, tracer string, f *filler, l *Load, sites *crashes, random *rand.Rand) {
	victim := aFollower(c, random)
	victim.Stop()
	victim.Start("--log-budget", "1073741824")
	pouring, done := context.WithCancel(t.Context())
	poured := make(chan struct{})
	go func() { defer close(poured); f.pour(pouring) }()
	Eventually(t, "a log above the budget", func() bool {
		status, err := victim.Status()
		return err == nil && status.LogBytes > 60<<20
	})
	done()
	<-poured
	c.AwaitLevel()
	first := survey(t, victim.stopped()).LogFirst
	call := bolt[random.IntN(len(bolt))]
	sites.aimed++
	text, ended := c.killedAtStart(tracer, victim, call, 1+random.IntN(3), func() bool {
		status, err := victim.Status()
		return err == nil && status.LogFirst > first
	}, "raft.db")
	goesOn := func() {
		victim.Start()
		l.Settle()
		c.AwaitLevel()
	}
	site, ok := siteOf(text, victim.Dir, call)
	if !ended || !ok {
		goesOn()
		return
	}
	what := "a node appends, "
	if survey(t, victim.Dir).LogFirst <= cutTo(victim) {
		what = "a node drops its oldest entries, "
	}
	sites.happened(t, what+site, goesOn)
}

// stopped stops a node and returns its directory.
func (n *Node) stopped() string {
	n.Stop()
	return n.Dir
}

// cutTo is up to which entry a node was about to drop entries last.
func cutTo(n *Node) uint64 {
	var told struct{ To uint64 }
	for line := range strings.Lines(n.run.log.String()) {
		if strings.Contains(line, `"compacting logs"`) {
			_ = json.Unmarshal([]byte(line), &told) // a line that is cut short says nothing
		}
	}
	return told.To
}
