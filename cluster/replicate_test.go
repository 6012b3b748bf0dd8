package cluster

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestEveryNodeAcceptsProposals(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	var proposing sync.WaitGroup
	for _, m := range g.members {
		for i := range 50 {
			proposing.Go(func() { m.propose(t, fmt.Sprintf("once %s/%d", m.id, i)) })
		}
	}
	proposing.Wait()
	got := g.agree()
	for _, m := range g.members {
		for i := range 50 {
			if want := fmt.Sprintf("once %s/%d", m.id, i); !slices.Contains(got, want) {
				t.Errorf("%q was acknowledged and is missing", want)
			}
		}
	}
}

func TestEveryNodeReadsWhatAnyNodeWrote(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	for i := range 30 {
		writer, reader := g.members[i%3], g.members[(i/3)%3]
		writer.propose(t, fmt.Sprintf("once set key %d", i))
		got, err := reader.read(g.within(10*time.Second), "key")
		must(t, err)
		if got != fmt.Sprint(i) {
			t.Fatalf("%s reads %q after %s wrote %d", reader.id, got, writer.id, i)
		}
	}
}

func TestWritesResumeAfterTheLeaderIsCutOff(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	old := g.leader()
	rest := g.followers(old)
	old.propose(t, "once before")
	g.fabric.isolate(old.id, true, ids(rest)...)
	if got := rest[0].propose(t, "once after"); got == "" {
		t.Error("no outcome")
	}
	if fresh := g.leaderAmong(rest...); fresh == old {
		t.Error("the same leader")
	}
	eventually(t, "the old leader steps down", func() bool { return old.Status().State != "Leader" })
	if _, err := old.Propose(g.within(300*time.Millisecond), []byte("once minority")); err == nil {
		t.Error("a minority acknowledged a write")
	}
	if g.fabric.blocked() == 0 {
		t.Error("nothing was cut off")
	}
	g.fabric.isolate(old.id, false, ids(rest)...)
	g.agree()
}

func TestALaggingNodeIsSentTheState(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	late := g.followers(g.leader())[0]
	g.stop(late)
	for i := range 40 {
		g.leader().propose(t, fmt.Sprint("once many ", i))
	}
	for _, m := range g.followers(late) {
		must(t, m.raft().ReloadConfig(smallest(m.node)))
		must(t, m.Truncate())
	}
	g.start(late, false)
	g.agree()
	if late.file.installs != 1 {
		t.Errorf("%d installs, want 1", late.file.installs)
	}
}

func TestGracefulRestartsOneByOneLoseNothing(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	done := make(chan struct{})
	var mu sync.Mutex
	var acknowledged []string
	var longest time.Duration
	var up sync.RWMutex // nobody proposes at a node that is being replaced
	var writing sync.WaitGroup
	for writer := range 4 {
		writing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				request, began := fmt.Sprintf("once rolling %d/%d", writer, i), time.Now()
				g.writeSomewhere(&up, request)
				mu.Lock()
				acknowledged = append(acknowledged, request)
				longest = max(longest, time.Since(began))
				mu.Unlock()
			}
		})
	}
	transfers := 0
	for _, m := range g.members {
		if m.Ready() {
			transfers++
		}
		term := m.Status().Term
		m.shut(t)
		up.Lock()
		m.up = false
		g.start(m, false)
		up.Unlock()
		eventually(t, m.id+" is back", func() bool { return m.Status().Leader != "" && m.Status().Term >= term })
		leader := g.leader()
		eventually(t, m.id+" has caught up", func() bool { return m.machine.visible.Load() >= leader.machine.visible.Load()-10 })
	}
	close(done)
	writing.Wait()
	if transfers == 0 {
		t.Error("no leader was restarted")
	}
	if len(acknowledged) == 0 {
		t.Fatal("nothing was written")
	}
	if longest > 5*time.Second {
		t.Errorf("the longest write took %s", longest)
	}
	t.Logf("%d writes, the longest took %s", len(acknowledged), longest)
	got := g.agree()
	for _, request := range acknowledged {
		if !slices.Contains(got, request) {
			t.Errorf("%q was acknowledged and is missing", request)
		}
	}
}

// writeSomewhere proposes a request at one running node after the other until one acknowledges it.
func (g *group) writeSomewhere(up *sync.RWMutex, request string) {
	for {
		for _, m := range g.members {
			up.RLock()
			running := m.up
			var err error
			if running {
				_, err = m.Propose(g.within(10*time.Second), []byte(request))
			}
			up.RUnlock()
			if running && err == nil {
				return
			}
		}
	}
}

func TestALeaderThatClosesHandsOver(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	old := g.leader()
	rest := g.followers(old)
	began := time.Now()
	g.stop(old)
	fresh := g.leaderAmong(rest...)
	if took := time.Since(began); took > old.config.Timing.Heartbeat+2*time.Second {
		t.Errorf("the next leader was ready after %s", took)
	}
	if fresh.Status().Term != old.config.State.Term && fresh.Status().Leader != fresh.id {
		t.Errorf("status %+v", fresh.Status())
	}
	fresh.propose(t, "once after")
}
