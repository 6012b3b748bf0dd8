package node

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"coffer/fsm/fsmtest"
)

// cyclesPerDir is how often one directory is killed: its whole log stays in
// raft.db, so that it can be replayed at the end.
const cyclesPerDir = 30

// TestT3Kill kills the real program with signal 9, again and again, while many
// customers move money: under load, while it stops, while it starts. After each
// restart every acknowledged request must be there with the answer it got, every
// one in doubt must have happened once or not at all, and the files must verify.
func TestT3Kill(t *testing.T) {
	t.Parallel()
	dirs := 1
	if os.Getenv("SOAK") != "" {
		dirs = 17 // 510 cycles
	}
	for range dirs {
		killer := newKiller(t, fsmtest.RandomSeed())
		for killer.cycle = range cyclesPerDir {
			killer.once()
			if t.Failed() {
				t.Fatalf("seed %d, cycle %d", killer.load.seed, killer.cycle)
			}
		}
		killer.finish()
	}
}

// killer is one directory and what happened to it.
type killer struct {
	t      *testing.T
	dir    string
	random *rand.Rand
	load   *load
	cycle  int
	node   *child
	counts killCounts

	written uint64 // newest entry that state.db spoke of at the latest kill
}

// killCounts prove that the kills met what they are meant to meet.
type killCounts struct {
	acked, inDoubt, applied, lost int // requests; what became of those in doubt
	replayed                      uint64
	behind, unfinished            int // kills with log entries to replay, with a flush half written
	underLoad, stopping, starting int // kills
	repeated                      int
}

func newKiller(t *testing.T, seed uint64) *killer {
	k := &killer{t: t, dir: filepath.Join(t.TempDir(), "data"), random: rand.New(rand.NewPCG(seed, 0))}
	k.node = start(t, k.dir, unlimited, k.flags()...)
	c := k.node.client()
	defer c.close()
	k.load = newLoad(t, c, seed, 6, 2)
	return k
}

// flags vary when the state is flushed: by size, by age, all the time, as usual.
func (k *killer) flags() []string {
	flags := []string{"--no-access-log"}
	switch pick := k.random.IntN(8); {
	case pick < 4:
		flags = append(flags, "--flush-interval", "0")
	case pick < 6:
		flags = append(flags, "--flush-interval", "5ms")
	case pick < 7:
		flags = append(flags, "--flush-interval", "1m", "--flush-bytes", "1048576")
	}
	return flags
}

// once is one cycle: load, kill, verify, perhaps kills of starts, restart, verify.
func (k *killer) once() {
	c := k.node.client()
	reached := k.load.start(c, k.cycle, 3, 1+k.random.IntN(200))
	select {
	case <-reached:
	case <-k.node.ended:
		k.t.Fatalf("the node ended by itself: %s\n%s", k.node.how(), k.node.log)
	case <-time.After(patience):
		k.t.Fatalf("no progress within %v\n%s", patience, k.node.log)
	}
	k.kill()
	k.load.workers.Wait()
	c.close()
	k.node.checkLog()
	k.examine()
	for k.random.IntN(3) == 0 {
		k.killStart()
	}
	k.node = start(k.t, k.dir, unlimited, k.flags()...)
	k.settle()
}

// kill ends the node under load, or every fourth time a moment after it was asked
// to stop.
func (k *killer) kill() {
	if k.cycle%4 < 3 {
		k.node.kill()
		k.counts.underLoad++
		return
	}
	if err := k.node.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		k.t.Fatal(err)
	}
	select {
	case <-k.node.ended:
	case <-time.After(time.Duration(k.random.Int64N(int64(4 * time.Millisecond)))):
	}
	k.node.kill()
	if k.node.killed {
		k.counts.stopping++
	}
}

// killStart kills a node that has not said yet that it is ready.
func (k *killer) killStart() {
	k.node = launch(k.t, k.dir, unlimited, k.flags()...)
	select {
	case <-k.node.log.ready:
	case <-time.After(time.Duration(k.random.Int64N(int64(150 * time.Millisecond)))):
		k.counts.starting++
	}
	k.node.kill()
	k.node.checkLog()
	k.examine()
}

// examine verifies the files as the kill left them.
func (k *killer) examine() {
	r := examine(k.t, k.dir)
	if r.last < r.report.Index {
		k.t.Fatalf("state.db is at entry %d, the log ends at %d", r.report.Index, r.last)
	}
	k.counts.replayed += r.last - r.report.Index
	if r.last > r.report.Index {
		k.counts.behind++
	}
	if r.written > r.report.Index && r.written != k.written {
		k.counts.unfinished++
	}
	k.written = r.written
}

// settle repeats what is in doubt and some of what is not, and compares
// everything with the model.
func (k *killer) settle() {
	c := k.node.client()
	defer c.close()
	found := c.verifyChain(k.t)
	k.checkFound(found)
	for _, a := range k.load.inDoubt() {
		k.counts.inDoubt++
		k.resolve(c, a, found.Height)
	}
	for _, a := range k.load.someAcked(k.random, 10) {
		k.repeat(c, a)
	}
	b, err := k.load.replay(c.head(k.t).Height)
	if err != nil {
		k.t.Fatalf("seed %d, cycle %d: %v", k.load.seed, k.cycle, err)
	}
	k.load.compare(k.t, c, b)
}

// checkFound checks a restarted node before anybody has written to it: nothing
// acknowledged and nothing read is gone.
func (k *killer) checkFound(found chainVerified) {
	effects, err := k.load.effects()
	if err != nil {
		k.t.Fatal(err)
	}
	least := uint64(0)
	for _, e := range effects {
		least = max(least, e.index+1)
	}
	k.load.mu.Lock()
	defer k.load.mu.Unlock()
	for height := range k.load.heads {
		least = max(least, height)
	}
	if hash, seen := k.load.heads[found.Height]; seen && hash != found.HeadHash {
		k.t.Fatalf("seed %d, cycle %d: height %d had the hash %s, now %s", k.load.seed, k.cycle, found.Height, hash, found.HeadHash)
	}
	if !found.Valid || found.Height < least {
		k.t.Fatalf("seed %d, cycle %d: height %d was acknowledged, now chain %+v", k.load.seed, k.cycle, least, found)
	}
}

// resolve repeats a request in doubt, twice at once: it happens once or has
// happened once, and both get the same answer. Height is that of the chain
// before any repeat.
func (k *killer) resolve(c *client, a *attempt, height uint64) {
	var both [2]reply
	var group sync.WaitGroup
	for i := range both {
		group.Go(func() {
			var err error
			if both[i], err = c.do("POST", a.path, a.token, a.key, a.body); err != nil {
				k.t.Errorf("seed %d, cycle %d: repeat of %s: %v", k.load.seed, k.cycle, a.key, err)
			}
		})
	}
	group.Wait()
	if both[0].status != both[1].status || both[0].status == http.StatusOK && !bytes.Equal(both[0].body, both[1].body) {
		k.t.Errorf("seed %d, cycle %d: %s got two answers:\n%d %s\n%d %s", k.load.seed, k.cycle, a.key, both[0].status, both[0].body, both[1].status, both[1].body)
	}
	k.load.settle(a, both[0])
	switch {
	case a.ended == 0:
		k.t.Errorf("seed %d, cycle %d: %s is still in doubt: %d %s", k.load.seed, k.cycle, a.key, both[0].status, both[0].body)
	case both[0].status != http.StatusOK: // refused, as it would have been
	case both[0].replayed && both[1].replayed:
		k.counts.applied++
		k.checkPlace(a, 0, height)
		if a.certain {
			k.t.Errorf("seed %d, cycle %d: %s was said not to have happened and did", k.load.seed, k.cycle, a.key)
		}
	case both[0].replayed || both[1].replayed:
		k.counts.lost++
		k.checkPlace(a, height, ^uint64(0))
	default:
		k.t.Errorf("seed %d, cycle %d: %s happened twice", k.load.seed, k.cycle, a.key)
	}
}

// checkPlace checks between which heights the effects of a request stand.
func (k *killer) checkPlace(a *attempt, from, to uint64) {
	effects, err := a.effects()
	if err != nil {
		k.t.Error(err)
	}
	for _, e := range effects {
		if e.index < from || e.index >= to {
			k.t.Errorf("seed %d, cycle %d: %s has entry %d, not one from %d to %d", k.load.seed, k.cycle, a.key, e.index, from, to)
		}
	}
}

// repeat sends an acknowledged request again: it gets the very same bytes.
func (k *killer) repeat(c *client, a *attempt) {
	r, err := c.do("POST", a.path, a.token, a.key, a.body)
	if err != nil {
		k.t.Fatal(err)
	}
	if r.status != a.answer.status || !r.replayed || !bytes.Equal(r.body, a.answer.body) {
		k.t.Errorf("seed %d, cycle %d: %s was answered\n%s\nand now, replayed %v,\n%d %s",
			k.load.seed, k.cycle, a.key, a.answer.body, r.replayed, r.status, r.body)
	}
	k.counts.repeated++
}

// compare reads every wallet and compares it with the model.
func (l *load) compare(t testing.TB, c *client, b *books) {
	t.Helper()
	for _, who := range l.customers {
		held := c.balances(t, who.token)
		for _, p := range who.purses {
			if held[p.id] != b.balances[p] {
				t.Errorf("seed %d: wallet %s holds %d, it should be %d", l.seed, p.id, held[p.id], b.balances[p])
			}
		}
	}
}

// finish stops the node in peace, replays its whole log into a machine that
// nobody ever killed, and reports what the kills have met.
func (k *killer) finish() {
	k.node.stop()
	k.node.checkLog()
	r := examine(k.t, k.dir)
	if r.report.Index != r.last {
		k.t.Errorf("after a graceful stop state.db is at entry %d, the log ends at %d", r.report.Index, r.last)
	}
	checkReplay(k.t, k.dir)
	k.load.checkHeads(k.t, k.dir)
	k.counts.acked = int(k.load.acked.Load())
	n := k.counts
	k.t.Logf("seed %d: %d kills under load, %d of a stop, %d of a start; %d requests acknowledged; %d in doubt, of those %d had happened, %d not; "+
		"%d of the acknowledged repeated; %d kills left %d log entries to replay, %d a flush half written",
		k.load.seed, n.underLoad, n.stopping, n.starting, n.acked, n.inDoubt, n.applied, n.lost, n.repeated, n.behind, n.replayed, n.unfinished)
	for what, count := range map[string]int{
		"kill under load": n.underLoad, "kill of a stop": n.stopping, "kill of a start": n.starting,
		"request in doubt that had happened": n.applied, "request in doubt that had not": n.lost,
		"kill that left log entries to replay": n.behind, "kill amid a flush": n.unfinished,
	} {
		if count == 0 {
			k.t.Errorf("seed %d: there was no %s: the test proves too little", k.load.seed, what)
		}
	}
}
