package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// load is many customers who move money at once. It keeps a journal of what was
// sent, and of what came back.
type load struct {
	t         testing.TB
	seed      uint64
	customers []*customer
	purses    map[string][]purse // by currency
	clock     atomic.Int64       // orders what was sent and what came back
	acked     atomic.Int64

	mu       sync.Mutex
	attempts []*attempt
	heads    map[uint64]string // hash of the chain by height, as readers saw it
	goal     int64
	reached  chan struct{} // closed once goal requests are acknowledged
	workers  sync.WaitGroup
}

// attempt is one request, from its first sending to its answer.
type attempt struct {
	path, token, key string
	body             []byte
	moves            []move
	sent, ended      int64 // by the clock of the load; ended is 0 while in doubt
	certain          bool  // in doubt, but said to have had no effect
	answer           reply
	known            []effect // of the answer, once somebody has asked
}

// move is what a request asks for. Money comes from outside or goes there when a
// wallet is empty.
type move struct {
	from, to purse
	amount   int64
}

const (
	riches  = 10_000_000      // of every wallet in the beginning
	tooMuch = 100_000_000_000 // what nobody has
)

var currencies = []string{"KZT", "USD"}

// newLoad registers customers and fills their wallets.
func newLoad(t testing.TB, c *client, seed uint64, customers, wallets int) *load {
	t.Helper()
	l := &load{t: t, seed: seed, purses: map[string][]purse{}, heads: map[uint64]string{}}
	for i := range customers {
		who := c.register(t, fmt.Sprintf("customer%d@example.org", i), wallets, currencies...)
		l.customers = append(l.customers, who)
		for _, p := range who.purses {
			l.purses[p.currency] = append(l.purses[p.currency], p)
			a := l.deposit(who, p, riches, "riches-"+p.id)
			if !l.send(c, a) || a.answer.status != http.StatusOK {
				t.Fatalf("deposit: %d %s", a.answer.status, a.answer.body)
			}
		}
	}
	return l
}

// start lets so many workers for each customer, and a reader, loose on a node.
// They go on until it does not answer any more. The channel is closed once so
// many requests more are acknowledged.
func (l *load) start(c *client, cycle, each, goal int) <-chan struct{} {
	l.mu.Lock()
	l.goal, l.reached = l.acked.Load()+int64(goal), make(chan struct{})
	l.mu.Unlock()
	for i, who := range l.customers {
		for j := range each {
			name := fmt.Sprintf("c%d-w%d-%d", cycle, i, j)
			random := rand.New(rand.NewPCG(l.seed, uint64(cycle)<<32|uint64(i)<<16|uint64(j)))
			l.workers.Go(func() {
				for n := 0; l.send(c, l.next(random, who, name+"-"+strconv.Itoa(n))); n++ {
				}
			})
		}
	}
	l.workers.Go(func() { l.watch(c) })
	return l.reached
}

// watch reads the head of the chain until the node does not answer any more.
func (l *load) watch(c *client) {
	for {
		r, err := c.do("GET", "/api/veilnetx-ledger/chain/head", "", "", nil)
		if err != nil {
			return
		}
		var head chainHead
		if r.status != http.StatusOK || json.Unmarshal(r.body, &head) != nil {
			continue
		}
		l.mu.Lock()
		if before, seen := l.heads[head.Height]; seen && before != head.Hash {
			l.t.Errorf("seed %d: the chain had the head %s at height %d, now %s", l.seed, before, head.Height, head.Hash)
		}
		l.heads[head.Height] = head.Hash
		l.mu.Unlock()
	}
}

// next is a random request of a customer.
func (l *load) next(random *rand.Rand, who *customer, key string) *attempt {
	from := who.purses[random.IntN(len(who.purses))]
	switch pick := random.IntN(100); {
	case pick < 20:
		return l.deposit(who, from, amount(random), key)
	case pick < 35:
		n := amount(random)
		return newAttempt(who, "withdraw", key, []move{{from: from, amount: n}}, map[string]any{"walletId": from.id, unit("amount", from): n})
	case pick < 50:
		return l.batch(random, who, from, key)
	}
	m := l.transfer(random, from)
	return newAttempt(who, "transfer", key, []move{m}, row(m))
}

func amount(random *rand.Rand) int64 {
	if random.IntN(50) == 0 {
		return tooMuch
	}
	return 1 + random.Int64N(100_000)
}

func (l *load) deposit(who *customer, to purse, n int64, key string) *attempt {
	if n == tooMuch {
		n = riches // there is no such thing as too large a deposit
	}
	return newAttempt(who, "deposit", key, []move{{to: to, amount: n}}, map[string]any{"walletId": to.id, unit("amount", to): n})
}

func (l *load) transfer(random *rand.Rand, from purse) move {
	for {
		to := l.purses[from.currency][random.IntN(len(l.purses[from.currency]))]
		if to != from {
			return move{from, to, amount(random)}
		}
	}
}

func (l *load) batch(random *rand.Rand, who *customer, from purse, key string) *attempt {
	var moves []move
	var rows []any
	for range 1 + random.IntN(12) {
		m := l.transfer(random, from)
		moves, rows = append(moves, m), append(rows, row(m))
	}
	return newAttempt(who, "transfers/batch", key, moves, map[string]any{"transfers": rows, "atomic": random.IntN(4) == 0})
}

func row(m move) map[string]any {
	return map[string]any{"fromWalletId": m.from.id, "toWalletId": m.to.id, unit("amount", m.from): m.amount}
}

func newAttempt(who *customer, route, key string, moves []move, body map[string]any) *attempt {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err) // maps of texts and numbers
	}
	return &attempt{path: "/api/qpaynet/" + route, token: who.token, key: key, body: encoded, moves: moves}
}

// unit is the name of an amount member in the currency of a wallet.
func unit(name string, p purse) string {
	if p.currency == "KZT" {
		return name + "Kzt"
	}
	return name + "Cents"
}

// send makes a new request and journals it. It returns false if there was no
// answer: then the node is gone.
func (l *load) send(c *client, a *attempt) bool {
	l.mu.Lock()
	a.sent = l.clock.Add(1)
	l.attempts = append(l.attempts, a)
	l.mu.Unlock()
	r, err := c.do("POST", a.path, a.token, a.key, a.body)
	if err != nil {
		return false
	}
	l.settle(a, r)
	return true
}

// settle journals an answer. One that says nothing about the outcome leaves the
// request in doubt.
func (l *load) settle(a *attempt, r reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.status == http.StatusServiceUnavailable:
		a.certain = !bytes.Contains(r.body, []byte("outcome_unknown"))
		return
	case r.status >= 500:
		l.t.Errorf("seed %d: %s %s answered %d: %s", l.seed, a.path, a.body, r.status, r.body)
	}
	a.answer, a.ended = r, l.clock.Add(1)
	if r.status == http.StatusOK && l.acked.Add(1) == l.goal {
		close(l.reached)
	}
}

// inDoubt lists what has no answer yet.
func (l *load) inDoubt() (open []*attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.attempts {
		if a.ended == 0 {
			open = append(open, a)
		}
	}
	return open
}

// someAcked picks acknowledged requests.
func (l *load) someAcked(random *rand.Rand, n int) (picked []*attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		a := l.attempts[random.IntN(len(l.attempts))]
		if a.ended != 0 && a.answer.status == http.StatusOK {
			picked = append(picked, a)
		}
	}
	return picked
}
