package rig

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// scene is something a node of a cluster does, in which it is killed at one of
// its system calls.
type scene struct {
	name  string
	file  string // only calls to it count; empty for all files
	calls []string
	most  int // calls of one name and thread
	loads bool
	// victim picks who is killed; act makes it do something, and may be nil.
	victim func(c *Cluster, random *rand.Rand) *Node
	act    func(ctx context.Context, c *Cluster, victim *Node)
	starts bool        // it is killed while it starts again, behind another crash
	over   func() bool // what it did has ended; nil to wait for a while
	slow   bool        // its end takes ten seconds: a vote comes back after a probation
}

var bolt = []string{"pwrite64", "pwrite64", "fdatasync"}

var scenes = []scene{
	{name: "a leader appends", file: "raft.db", calls: bolt, most: 12, loads: true, victim: theLeader},
	{name: "a follower appends", file: "raft.db", calls: bolt, most: 12, loads: true, victim: aFollower},
	{name: "a leader flushes", file: "state.db", calls: bolt, most: 8, loads: true, victim: theLeader},
	{name: "a follower flushes", file: "state.db", calls: bolt, most: 8, loads: true, victim: aFollower},
	{name: "a voter hears of an election", file: "raft.db", calls: bolt, most: 4, victim: aFollower,
		act: func(ctx context.Context, c *Cluster, victim *Node) {
			for _, n := range c.Others(victim) {
				if n != c.leading() {
					transferTo(ctx, c, n)
				}
			}
		}},
	{name: "a candidate is elected", file: "raft.db", calls: bolt, most: 10, victim: aFollower, act: transferTo},
	{name: "a leader hands over", file: "raft.db", calls: bolt, most: 6, victim: theLeader,
		act: func(ctx context.Context, c *Cluster, victim *Node) { transferTo(ctx, c, c.Others(victim)[0]) }},
	{name: "a node stops", calls: []string{"pwrite64", "fdatasync", "unlinkat"}, most: 6, victim: anybody,
		act: func(_ context.Context, _ *Cluster, victim *Node) {
			_ = victim.run.command.Process.Signal(syscall.SIGTERM) // a flush may have killed it already
		},
		over: func() bool { return false }}, // it ends in any case
	{name: "a member is demoted", file: "raft.db", calls: bolt, most: 4, victim: aFollower, act: demote, slow: true},
	{name: "the leader demotes a member", file: "raft.db", calls: bolt, most: 4, victim: theLeader, slow: true,
		act: func(ctx context.Context, c *Cluster, victim *Node) { demote(ctx, c, c.Others(victim)[0]) }},
	{name: "a node copies its state for a backup", calls: []string{"unlinkat", "pwrite64", "fdatasync"}, most: 2, loads: true, victim: anybody,
		act: func(ctx context.Context, c *Cluster, victim *Node) {
			path := filepath.Join(c.dir, "cut")
			_, _ = Copy(ctx, victim, path) // it is cut short
			for _, left := range []string{path, path + ".new"} {
				_ = os.Remove(left)
			}
		}},
	{name: "a node starts", calls: []string{"pwrite64", "pwrite64", "fdatasync", "fsync", "renameat", "write"}, most: 6, loads: true,
		victim: anybody, starts: true},
}

func theLeader(c *Cluster, _ *rand.Rand) *Node { return c.Leader() }

func aFollower(c *Cluster, random *rand.Rand) *Node { return anyOf(random, c.Others(c.Leader())) }

func anybody(c *Cluster, random *rand.Rand) *Node { return anyOf(random, c.Nodes) }

// transferTo asks for another leader; whoever dies meanwhile may answer or not.
func transferTo(ctx context.Context, c *Cluster, to *Node) {
	_ = c.leading().Operator().TransferLeadership(ctx, to.ID)
}

// demote takes a vote, which the end of the scene gives back.
func demote(ctx context.Context, c *Cluster, n *Node) {
	_, _ = c.leading().Operator().ChangeMembers(ctx, "demote", 0, n.ID)
}

// crashAnywhere kills nodes of a cluster under load at their system calls. The
// node starts again by itself, nothing acknowledged is lost, and all are one.
func crashAnywhere(t *testing.T, c *Cluster, l *Load, random *rand.Rand, count int) {
	tracer := tracing(t)
	sites := newCrashes(l.Seed)
	for sites.total() < count && sites.aimed < 4*count+8 {
		sites.aimed++
		c.play(t, tracer, targets.choose(random), l, sites, random)
		if t.Failed() {
			break
		}
		if sites.total()%20 == 19 {
			c.Agree(l)
		}
	}
	for site, times := range sites.at {
		l.Tally("crashes: "+site, times)
	}
	if sites.total() < count {
		t.Errorf("seed %d: %d crashes in %d runs, not %d", l.Seed, sites.total(), sites.aimed, count)
	}
}

// play kills a node in a scene, starts it again and checks what must hold.
func (c *Cluster) play(t *testing.T, tracer string, at target, l *Load, sites *crashes, random *rand.Rand) {
	began, s := time.Now(), scenes[at.scene]
	if s.loads {
		l.Start(3, 1)
		l.AwaitProgress(10)
	} else {
		c.AwaitLevel()
	}
	victim := s.victim(c, random)
	text, ended := "", false
	if s.starts {
		text, ended = c.killedAtStart(tracer, victim, at.call, at.nth, victim.ready)
	} else {
		text, ended = c.killed(tracer, s, victim, at.call, at.nth)
	}
	recovers := func() {
		if !victim.Running() {
			victim.Start()
		}
		c.restoreVotes()
		c.AwaitLevel()
		l.Stop()
		l.Settle()
	}
	if !ended || !strings.Contains(text, "killed by SIGKILL") {
		targets.missed(at)
		recovers() // another thread made the call, or there were not so many
		return
	}
	site, ok := siteOf(text, victim.Dir, at.call)
	if !ok {
		site = "what it writes elsewhere"
	}
	site = s.name + ", " + site
	targets.led(at, site)
	sites.happened(t, site, recovers)
	t.Logf("%s, %s %d of %s: %v", site, at.call, at.nth, victim.ID, time.Since(began).Round(time.Millisecond))
	if t.Failed() {
		t.Logf("trace:\n%s", text[max(0, len(text)-4000):])
	}
}

// lasts is how long a scene may take until the call comes that kills.
const lasts = 2500 * time.Millisecond

// patience is shorter for what happens at once or not at all.
func (s scene) patience() time.Duration {
	switch {
	case s.over != nil:
		return Patience
	case s.loads:
		return lasts
	}
	return lasts / 3
}

// killed attaches a tracer to a running node and lets it act.
func (c *Cluster) killed(tracer string, s scene, victim *Node, call string, nth int) (text string, ended bool) {
	c.t.Helper()
	line := append(killAt(call, nth), "-p", strconv.Itoa(victim.run.command.Process.Pid))
	if s.file != "" {
		line = append(line, "-P", victim.File(s.file))
	}
	attached := exec.Command(tracer, line...)
	var out trace
	attached.Stdout, attached.Stderr = &out, &out
	check(c.t, attached.Start())
	defer func() {
		_ = attached.Process.Signal(syscall.SIGTERM) // it ends with what it traces, or lets go of it
		_ = attached.Wait()                          // its code is that of what it traced
		text = out.String()
	}()
	Eventually(c.t, "the tracer is attached", func() bool { return strings.Contains(out.String(), "attached") })
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*lasts)
	defer cancel()
	acted := make(chan struct{})
	go func() {
		defer close(acted)
		if s.act != nil {
			s.act(ctx, c, victim)
		}
	}()
	within(s.patience(), func() bool { return !victim.Running() || s.over != nil && s.over() })
	ended = !victim.Running()
	cancel()
	<-acted
	return "", ended
}

// killedAtStart kills a node at any moment, and again while it starts, until it
// is over. Only calls to some files count, if any are named.
func (c *Cluster) killedAtStart(tracer string, victim *Node, call string, nth int, over func() bool, only ...string) (text string, ended bool) {
	c.t.Helper()
	into := filepath.Join(c.dir, "trace")
	victim.Kill()
	victim.prefix = append(append([]string{tracer, "-D"}, killAt(call, nth)...), "-o", into)
	for _, file := range only {
		victim.prefix = append(victim.prefix, "-P", victim.File(file))
	}
	victim.Launch()
	victim.prefix = nil
	Eventually(c.t, victim.ID+" starts or is killed", func() bool { return !victim.Running() || over() })
	ended = !victim.Running()
	victim.Kill() // the tracer ends with it
	Eventually(c.t, "the tracer has ended", func() bool {
		written, err := os.ReadFile(into)
		text = string(written)
		return err == nil && (strings.Contains(text, "killed by SIGKILL") || strings.Contains(text, "exited with"))
	})
	if !ended {
		text = "" // the rig killed it
	}
	return text, ended
}

// ready tells that nothing speaks against serving.
func (n *Node) ready() bool {
	status, err := n.Status()
	return err == nil && len(status.Reasons) == 0
}

// restoreVotes gives those their vote back who have lost it.
func (c *Cluster) restoreVotes() {
	c.t.Helper()
	for _, n := range c.Nodes {
		members, err := c.Leader().Operator().Members(c.t.Context())
		if err != nil {
			continue
		}
		for _, m := range members.Members {
			if m.ID == n.ID && !m.Voter {
				c.Promote(n.ID)
			}
		}
	}
}
