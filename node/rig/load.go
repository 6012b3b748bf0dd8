package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// places is how many wallets a load has: one state that the checker compares.
const places = 6

const riches = 1_000_000 // of every wallet in the beginning

// Load is clients that move money between a few wallets through every node, and
// read them. It keeps what was sent and what came back.
type Load struct {
	Seed uint64
	// Rate is how many writes in all start each second; without one, clients send
	// as soon as they are answered.
	Rate int
	// Pace is how long a client rests after each request, on average.
	Pace time.Duration
	// Tolerant counts linearizable reads that are stale instead of failing.
	Tolerant bool
	// Repeats is how many of a hundred acknowledged writes are sent once more.
	Repeats int
	// Route picks who is asked; nil picks any node.
	Route func(random *rand.Rand) *Node

	t       testing.TB
	cluster *Cluster
	token   string
	wallets [places]string
	client  *client
	began   time.Time
	names   atomic.Int64

	mu       sync.Mutex
	writes   []*Write
	reads    []observation
	balances [places]int64 // at the begin of this chapter
	height   uint64        // of the chain there
	Counts   Counts
	figures  figures
	tickets  chan struct{}
	end      context.CancelFunc
	workers  sync.WaitGroup
}

// Counts are what a load has met since it was made.
type Counts struct {
	Acked, Rejected, Reads int
	Refused                int // answers that say that nothing happened
	Unavailable            int // those of them with Retry-After
	Doubts                 int // sendings without an answer that says what happened
	Abandoned              int // writes never sent again after a refusal
	Repeated               int // acknowledged writes sent again
	Replays                int // doubts that had happened
	Stale                  int // linearizable reads that missed an acknowledged write
	Chapters               int // histories checked
	Dropped                int // connections that ended without an answer
}

// Write is one request, from its first sending to its last answer.
type Write struct {
	call      call
	move      move
	sent, end int64 // since the load began; end is 0 while in doubt
	doubted   bool
	abandoned bool
	answer    reply
	refusals  []string
}

// move is what a write asks for; from is -1 for a deposit.
type move struct {
	from, to int
	amount   int64
}

// observation is a linearizable read of all wallets.
type observation struct {
	node      string
	sent, end int64
	balances  [places]int64
}

const password = "a password for tests"

// NewLoad registers a customer and fills the wallets.
func NewLoad(t testing.TB, c *Cluster, seed uint64) *Load {
	t.Helper()
	l := &Load{Seed: seed, t: t, cluster: c, client: newClient(5 * time.Second), began: time.Now()}
	l.end = func() {}
	t.Cleanup(l.Stop)
	n := c.Leader()
	l.token = must[struct{ Token string }](t, l.client, n, call{method: "POST", path: "/api/auth/register",
		body: fmt.Appendf(nil, `{"email":"customer%d@example.org","password":%q}`, seed, password)}).Token
	for i := range l.wallets {
		l.wallets[i] = must[struct{ ID string }](t, l.client, n, call{method: "POST", path: "/api/qpaynet/wallets", token: l.token,
			body: fmt.Appendf(nil, `{"currency":"KZT","name":"wallet %d"}`, i)}).ID
		must[struct{}](t, l.client, n, l.deposit(i, riches, fmt.Sprintf("riches%d-%d", seed, i)))
		l.balances[i] = riches
	}
	l.height = l.Head(n).Height
	return l
}

func (l *Load) deposit(to int, amount int64, key string) call {
	return call{method: "POST", path: "/api/qpaynet/deposit", token: l.token, key: key,
		body: fmt.Appendf(nil, `{"walletId":%q,"amountKzt":%d}`, l.wallets[to], amount)}
}

// Head is the end of the chain, as a linearizable read at a node.
func (l *Load) Head(n *Node) (head struct {
	Height uint64
	Hash   string
}) {
	return must[struct {
		Height uint64
		Hash   string
	}](l.t, l.client, n, call{method: "GET", path: "/api/veilnetx-ledger/chain/head", consistency: "linearizable"})
}

// Start lets writers and readers loose until Stop.
func (l *Load) Start(writers, readers int) {
	ctx, cancel := context.WithCancel(context.Background())
	l.end = cancel
	if l.tickets = nil; l.Rate > 0 {
		l.tickets = make(chan struct{}, l.Rate)
		l.workers.Go(func() { l.issue(ctx) })
	}
	for i := range writers + readers {
		random := rand.New(rand.NewPCG(l.Seed, uint64(l.Counts.Chapters)<<16|uint64(i)))
		l.workers.Go(func() {
			for ctx.Err() == nil {
				if i < writers {
					l.write(ctx, random)
				} else {
					l.read(ctx, random, l.route(random), l.client)
				}
				l.pause(ctx, random)
			}
		})
	}
}

// issue lets writes start at the rate of the load.
func (l *Load) issue(ctx context.Context) {
	ticker := time.NewTicker(time.Second / time.Duration(l.Rate))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		select {
		case l.tickets <- struct{}{}:
		default: // all are late already
		}
	}
}

// Stop ends all clients; what they have in doubt stays so until Settle.
func (l *Load) Stop() {
	l.end()
	l.workers.Wait()
}

func (l *Load) route(random *rand.Rand) *Node {
	if l.Route != nil {
		return l.Route(random)
	}
	nodes := l.cluster.list()
	return nodes[random.IntN(len(nodes))]
}

func (l *Load) now() int64 { return int64(time.Since(l.began)) }

// write makes one write and repeats it with its key until its outcome is known.
func (l *Load) write(ctx context.Context, random *rand.Rand) {
	if l.tickets != nil {
		select {
		case <-l.tickets:
		case <-ctx.Done():
			return
		}
	}
	w := l.next(random)
	l.mu.Lock()
	l.writes = append(l.writes, w)
	l.mu.Unlock()
	// A client that has asked waits for its answer, also when all end.
	for !l.send(context.Background(), l.route(random), w) && ctx.Err() == nil {
		if !w.doubted && random.IntN(2) == 0 {
			l.abandon(w)
			return
		}
		l.rest(ctx, random)
	}
	if w.end != 0 && random.IntN(100) < l.Repeats {
		l.repeat(context.Background(), l.route(random), w)
	}
}

// rest keeps a client from asking a broken cluster all the time.
func (l *Load) rest(ctx context.Context, random *rand.Rand) {
	select {
	case <-time.After(time.Duration(10+random.IntN(20)) * time.Millisecond):
	case <-ctx.Done():
	}
}

// pause keeps a client from asking all the time.
func (l *Load) pause(ctx context.Context, random *rand.Rand) {
	if l.Pace == 0 {
		return
	}
	select {
	case <-time.After(between(random, 0, 2*l.Pace)):
	case <-ctx.Done():
	}
}

func (l *Load) next(random *rand.Rand) *Write {
	m := move{from: random.IntN(places), to: random.IntN(places), amount: 1 + random.Int64N(2_000)}
	key := fmt.Sprintf("k%d-%d", l.Seed, l.names.Add(1))
	if m.from == m.to || random.IntN(10) == 0 {
		m.from = -1
		return &Write{move: m, call: l.deposit(m.to, m.amount, key), sent: l.now()}
	}
	if random.IntN(50) == 0 {
		m.amount = 100_000_000 // what nobody has
	}
	return &Write{move: m, sent: l.now(), call: call{method: "POST", path: "/api/qpaynet/transfer", token: l.token, key: key,
		body: fmt.Appendf(nil, `{"fromWalletId":%q,"toWalletId":%q,"amountKzt":%d}`, l.wallets[m.from], l.wallets[m.to], m.amount)}}
}

// send sends a write and returns whether its outcome is known now.
func (l *Load) send(ctx context.Context, n *Node, w *Write) bool {
	r, err := l.client.do(ctx, n, w.call)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		var refused interface{ Timeout() bool }
		if !isRefused(err) {
			w.doubted = true
			l.Counts.Doubts++
			if !errors.As(err, &refused) || !refused.Timeout() {
				l.Counts.Dropped++
			}
		}
		return false
	case r.status == http.StatusServiceUnavailable && r.doubtful():
		w.doubted = true
		l.Counts.Doubts++
		return false
	case r.status == http.StatusServiceUnavailable || r.status == http.StatusInsufficientStorage:
		l.Counts.Refused++
		w.refusals = append(w.refusals, fmt.Sprintf("%s at %v: %d %s", n.ID, time.Duration(l.now()), r.status, r.body))
		if r.retry != "" {
			l.Counts.Unavailable++
		}
		return false
	case r.status >= 500 || r.status == http.StatusUnauthorized:
		l.t.Errorf("seed %d: %s %s at %s answered %d: %s", l.Seed, w.call.path, w.call.body, n.ID, r.status, r.body)
	}
	w.answer, w.end = r, l.now()
	switch {
	case r.status == http.StatusOK && r.replayed:
		l.Counts.Replays++ // the node itself may have asked twice
		l.Counts.Acked++
	case r.status == http.StatusOK:
		l.Counts.Acked++
	default:
		l.Counts.Rejected++
	}
	return true
}

// abandon forgets a write that was refused: it must never happen.
func (l *Load) abandon(w *Write) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.abandoned = true
	l.Counts.Abandoned++
}

// repeat sends an acknowledged write again: it gets the very same bytes.
func (l *Load) repeat(ctx context.Context, n *Node, w *Write) {
	if w.answer.status != http.StatusOK {
		return // a refusal is not remembered in this area
	}
	r, err := l.client.do(ctx, n, w.call)
	if err != nil || r.status == http.StatusServiceUnavailable {
		return // no answer to compare
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Counts.Repeated++
	if r.status != w.answer.status || !r.replayed || string(r.body) != string(w.answer.body) {
		l.t.Errorf("seed %d: %s was answered\n%s\nand now at %s, replayed %v,\n%d %s",
			l.Seed, w.call.key, w.answer.body, n.ID, r.replayed, r.status, r.body)
	}
}

// read reads all wallets as of now and notes what it saw.
func (l *Load) read(ctx context.Context, random *rand.Rand, n *Node, c *client) bool {
	o := observation{node: n.ID, sent: l.now()}
	r, err := c.do(ctx, n, call{method: "GET", path: "/api/qpaynet/wallets?limit=200", token: l.token, consistency: "linearizable"})
	if err != nil || r.status != http.StatusOK {
		l.rest(ctx, random)
		return false
	}
	o.end = l.now()
	var page struct {
		Wallets []struct {
			ID         string
			BalanceKzt int64
		}
	}
	if err := json.Unmarshal(r.body, &page); err != nil || len(page.Wallets) != places {
		l.t.Errorf("seed %d: %s answered %s", l.Seed, n.ID, r.body)
		return false
	}
	for _, w := range page.Wallets {
		o.balances[slices.Index(l.wallets[:], w.ID)] = w.BalanceKzt
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads = append(l.reads, o)
	l.Counts.Reads++
	return true
}

// Acked is how many writes are acknowledged so far.
func (l *Load) Acked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Counts.Acked
}

// AwaitProgress waits until so many more writes are acknowledged, and returns how
// long that took.
func (l *Load) AwaitProgress(more int) time.Duration {
	l.t.Helper()
	began, goal := time.Now(), l.Acked()+more
	Eventually(l.t, fmt.Sprintf("%d more writes", more), func() bool { return l.Acked() >= goal })
	return time.Since(began)
}

// between is a random time.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)+1))
}
