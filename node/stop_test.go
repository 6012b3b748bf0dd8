package node

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"coffer/fsm/fsmtest"
)

// TestStopStorm asks the real program to stop while many customers move money.
// It ends with code 0 and everything in state.db, answers what it has taken, and
// a request without an answer has not happened.
func TestStopStorm(t *testing.T) {
	t.Parallel()
	cycles := 3
	if os.Getenv("SOAK") != "" {
		cycles = 60
	}
	seed := fsmtest.RandomSeed()
	random := rand.New(rand.NewPCG(seed, 1))
	dir := filepath.Join(t.TempDir(), "data")
	n := start(t, dir, unlimited, "--no-access-log")
	c := n.client()
	l := newLoad(t, c, seed, 4, 2)
	unanswered := 0
	for cycle := range cycles {
		reached := l.start(c, cycle, 4, 50+random.IntN(200))
		select {
		case <-reached:
		case <-time.After(patience):
			t.Fatalf("seed %d, cycle %d: no progress within %v\n%s", seed, cycle, patience, n.log)
		}
		if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		l.workers.Wait()
		if code := n.wait(); code != ExitOK {
			t.Fatalf("seed %d, cycle %d: exit code %d\n%s", seed, cycle, code, n.log)
		}
		c.close()
		n.checkLog()
		if r := examine(t, dir); r.report.Index != r.last {
			t.Errorf("seed %d, cycle %d: state.db is at entry %d, the log ends at %d", seed, cycle, r.report.Index, r.last)
		}
		n = start(t, dir, unlimited, "--no-access-log")
		c = n.client()
		unanswered += l.checkStopped(t, c)
		if t.Failed() {
			t.Fatalf("seed %d, cycle %d\n%s", seed, cycle, n.log)
		}
	}
	c.close()
	n.stop()
	checkReplay(t, dir)
	l.checkHeads(t, dir)
	t.Logf("seed %d: %d stops, %d requests acknowledged, %d came too late", seed, cycles, l.acked.Load(), unanswered)
}

// checkStopped checks a node that was stopped in peace and started again. It
// repeats what was not answered and returns how much that was.
func (l *load) checkStopped(t *testing.T, c *client) (late int) {
	t.Helper()
	found := c.verifyChain(t)
	b, err := l.replay(c.head(t).Height)
	if err != nil || !found.Valid {
		t.Fatalf("seed %d: chain %+v, %v", l.seed, found, err)
	}
	l.compare(t, c, b)
	for _, a := range l.inDoubt() {
		r, err := c.do("POST", a.path, a.token, a.key, a.body)
		if err != nil {
			t.Fatal(err)
		}
		if r.replayed {
			t.Errorf("seed %d: %s happened, but was not answered", l.seed, a.key)
		}
		l.settle(a, r)
		late++
	}
	for _, a := range l.someAcked(rand.New(rand.NewPCG(l.seed, found.Height)), 20) {
		r, err := c.do("POST", a.path, a.token, a.key, a.body)
		if err != nil || !r.replayed || !bytes.Equal(r.body, a.answer.body) {
			t.Errorf("seed %d: %s was answered\n%s\nand now, replayed %v,\n%s, %v", l.seed, a.key, a.answer.body, r.replayed, r.body, err)
		}
	}
	return late
}

// TestAStopThatIsCutLeavesTheFilesOpen: whoever gives up waiting does not know
// what is still being applied. Another stop completes the first.
func TestAStopThatIsCutLeavesTheFilesOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	h := mustHost(t, dir)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for h.Stop(ended) == nil { // the cluster was faster
		h = mustHost(t, dir)
	}
	v := h.db.Latest()
	v.Close()
	if _, err := host(t, dir); CodeOf(err) != ExitRefused {
		t.Errorf("another node on the same files: %v", err)
	}
	h.end(t)
	mustHost(t, dir).end(t)
}
