package rig

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"coffer/node"
)

// diskErrors lets the n-th write or sync of one file of a node fail under
// load. The node ends at once with the code of a storage failure, acknowledges
// nothing more, and starts again with all it had.
func diskErrors(t *testing.T, c *Cluster, l *Load, random *rand.Rand, count int) {
	tracer, err := exec.LookPath("strace")
	if err != nil {
		t.Skipf("no system call can be made to fail here: %v", err)
	}
	if out, err := exec.Command(tracer, "-f", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1", "true").CombinedOutput(); err != nil {
		t.Skipf("no system call can be made to fail here: %v: %s", err, out)
	}
	var slowest time.Duration
	for round := range count {
		file := []string{"raft.db", "state.db"}[round%2]
		fault := []string{"fdatasync:error=EIO", "pwrite64:error=EIO", "pwrite64:error=ENOSPC"}[round/2%3]
		victim := c.Leader()
		if round%4 >= 2 {
			victim = anyOf(random, c.Others(victim))
		}
		l.Start(4, 1)
		l.AwaitProgress(20)
		nth := 1 + random.IntN(30)
		if file == "state.db" {
			nth = 1 + random.IntN(3) // it is written once a second
		}
		took := inject(t, tracer, victim, file, fault, nth)
		slowest = max(slowest, took)
		l.Measure("a node lives on after its disk failed", took)
		if code := victim.Wait(); code != node.ExitStorage {
			t.Errorf("seed %d: exit code %d after %s of %s", l.Seed, code, fault, file)
		}
		l.AwaitProgress(20)
		l.Stop()
		victim.Start()
		c.AwaitLevel()
		l.Settle()
		t.Logf("%s, call %d to %s of %s: it ended %v later", fault, nth, file, victim.ID, took)
	}
	if slowest > time.Second {
		t.Errorf("seed %d: a node lived for %v after its disk had failed", l.Seed, slowest)
	}
}

// inject attaches a tracer to a node, which makes the n-th call to a file fail,
// and all after it. It returns how long the node lived after the first failure.
func inject(t *testing.T, tracer string, victim *Node, file, fault string, nth int) time.Duration {
	t.Helper()
	name, _, _ := strings.Cut(fault, ":")
	injecting := exec.Command(tracer, "-f", "-p", fmt.Sprint(victim.run.command.Process.Pid), "-P", victim.File(file),
		"-e", "trace="+name, "-e", fmt.Sprintf("inject=%s:when=%d+", fault, nth))
	var out stamped
	injecting.Stdout, injecting.Stderr = &out, &out
	check(t, injecting.Start())
	select {
	case <-victim.run.ended:
	case <-time.After(Patience):
		t.Errorf("%s lives on with %s of %s\n%s", victim.ID, fault, file, &out.text)
	}
	ended := time.Now()
	_ = injecting.Process.Signal(syscall.SIGTERM) // it ends with what it traces
	_ = injecting.Wait()                          // its code is that of what it traced
	if out.first.IsZero() {
		t.Fatalf("nothing was injected into %s: the test proves nothing\n%s", file, &out.text)
	}
	return ended.Sub(out.first)
}

// stamped keeps what a tracer says, and when it first said that a call failed.
type stamped struct {
	text  bytes.Buffer
	first time.Time
}

func (s *stamped) Write(p []byte) (int, error) {
	if s.first.IsZero() && bytes.Contains(p, []byte("(INJECTED)")) {
		s.first = time.Now()
	}
	return s.text.Write(p)
}

// TestT12DiskFull fills the small disk of one node: business writes stop before
// it is full, reads go on, the node leaves before anything fails, and with room
// again everything goes on without an operator's repair.
func TestT12DiskFull(t *testing.T) {
	const size, reserve = 160 << 20, 8 << 20
	seed, random := newSeed()
	c := Prepare(t, "--disk-reserve", fmt.Sprint(reserve), "--probation", "300ms")
	victim := c.Nodes[1]
	mount(t, victim, size)
	for _, n := range c.Nodes {
		n.Launch()
	}
	for _, n := range c.Nodes {
		n.AwaitReady()
	}
	l := NewLoad(t, c, seed)
	for round := range rounds(1, 50) {
		l.Start(4, 1)
		l.AwaitProgress(50)
		stuffing := filepath.Join(victim.Dir, "stuffing")
		fill(t, stuffing, victim.Dir, 3*reserve)
		Eventually(t, "the alarm no_space", func() bool { return c.alarmed("no_space") })
		l.Stop()
		r, err := l.client.do(t.Context(), c.leading(), l.next(random).call)
		if err != nil || r.status != http.StatusInsufficientStorage || !bytes.Contains(r.body, []byte("no_space")) {
			t.Fatalf("seed %d: a write with the alarm: %d %s %v", seed, r.status, r.body, err)
		}
		if !l.read(t.Context(), random, c.leading(), l.client) {
			t.Errorf("seed %d: no reads with the alarm", seed)
		}
		if round%2 == 0 { // and further, until the node gives up
			fill(t, stuffing, victim.Dir, reserve/2)
			if code := victim.Wait(); code != node.ExitDiskFull {
				t.Errorf("seed %d: exit code %d", seed, code)
			}
		}
		check(t, os.Remove(stuffing))
		if !victim.Running() {
			victim.Launch()
		}
		Eventually(t, "the alarm is disarmed", func() bool {
			leader := c.leading()
			if err := leader.Operator().Disarm(t.Context(), "no_space", victim.ID); err != nil && c.alarmed("no_space") {
				return false
			}
			return !c.alarmed("no_space")
		})
		for _, n := range c.Nodes {
			n.AwaitReady()
		}
		l.Start(4, 1)
		l.AwaitProgress(50)
		l.Stop()
		l.Settle()
	}
	c.Finish(l)
}

// leading is who leads, also with alarms.
func (c *Cluster) leading() (leader *Node) {
	c.t.Helper()
	Eventually(c.t, "a leader", func() bool {
		for _, n := range c.Nodes {
			if status, err := n.Status(); n.Running() && err == nil && status.State == "Leader" {
				leader = n
			}
		}
		return leader != nil
	})
	return leader
}

func (c *Cluster) alarmed(kind string) bool {
	alarms, err := c.leading().Operator().Alarms(c.t.Context())
	for _, a := range alarms.Alarms {
		if err == nil && a.Kind == kind {
			return true
		}
	}
	return err != nil
}

// mount puts a small disk below the directory of a node.
func mount(t *testing.T, n *Node, size int) {
	t.Helper()
	aside := n.Dir + ".aside"
	check(t, os.Rename(n.Dir, aside))
	check(t, os.Mkdir(n.Dir, 0o700))
	if err := syscall.Mount("tmpfs", n.Dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		t.Skipf("no small disk can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		n.Kill()
		if err := syscall.Unmount(n.Dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	check(t, os.CopyFS(n.Dir, os.DirFS(aside)))
}

// fill makes a file grow until only so many bytes are left.
func fill(t *testing.T, path, dir string, left int64) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	check(t, err)
	for {
		var s syscall.Statfs_t
		check(t, syscall.Statfs(dir, &s))
		free := int64(s.Bavail) * s.Bsize
		if free <= left {
			break
		}
		_, err := file.Write(make([]byte, min(free-left, 1<<20)))
		check(t, err)
	}
	check(t, file.Close())
}
