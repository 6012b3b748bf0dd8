package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// depositAmount is what each wallet starts with, in minor units: enough that
// a random walk of transfers never empties one.
const depositAmount = 100_000_000

// bank is one server under test with its users and wallets. Wallet i belongs
// to user i modulo the number of users, so owners are spread evenly.
type bank struct {
	address string
	process *process // nil when the server is not one node of ours
	fleet   *fleet   // nil when the server is no cluster of ours
	dataDir string   // empty when the server is not ours
	run     uint64   // first half of every idempotency key
	seed    uint64
	tokens  []string // one per user
	wallets []string
	moved   int64 // transfers acknowledged so far
	streams int   // request streams made so far; each has keys of its own
	note    func(format string, arguments ...any)
}

// populate registers the users, opens the wallets and puts money in each.
func (b *bank) populate(ctx context.Context, users, wallets, clients int) error {
	b.note("registering %d users", users)
	c := newConnection(b.address)
	defer c.close()
	for i := range users {
		var registered struct{ Token string }
		credentials := map[string]string{
			"email":    fmt.Sprintf("bench-%016x-%d@example.org", b.run, i),
			"password": fmt.Sprintf("bench-%016x", b.run^b.seed),
		}
		err := c.do(ctx, call{method: "POST", path: "/api/auth/register", body: credentials}, &registered)
		if err != nil {
			return fmt.Errorf("register user: %w", err)
		}
		if registered.Token == "" {
			return fmt.Errorf("register user: answer without token")
		}
		b.tokens = append(b.tokens, registered.Token)
	}
	wallets -= wallets % users
	b.note("opening %d wallets", wallets)
	b.wallets = make([]string, wallets)
	if err := b.openWallets(ctx, clients); err != nil {
		return err
	}
	for _, id := range b.wallets {
		if len(id) != len(b.wallets[0]) {
			return fmt.Errorf("open wallets: ids %s and %s differ in length", b.wallets[0], id)
		}
	}
	return nil
}

// openWallets fills the empty list of wallets over many connections.
func (b *bank) openWallets(ctx context.Context, clients int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range clients {
		keys := b.newKeys()
		workers.Go(func() {
			c := newConnection(b.address)
			defer c.close()
			for {
				i := int(next.Add(1) - 1)
				if i >= len(b.wallets) || ctx.Err() != nil {
					return
				}
				if err := b.openWallet(ctx, c, keys, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

func (b *bank) openWallet(ctx context.Context, c *connection, keys *keySequence, i int) error {
	token := b.tokens[i%len(b.tokens)]
	var opened struct{ ID string }
	wallet := map[string]any{"currency": "KZT", "name": fmt.Sprintf("bench %d", i)}
	err := c.do(ctx, call{method: "POST", path: "/api/qpaynet/wallets", token: token, body: wallet}, &opened)
	if err != nil {
		return fmt.Errorf("open wallet: %w", err)
	}
	if opened.ID == "" {
		return fmt.Errorf("open wallet: answer without id")
	}
	b.wallets[i] = opened.ID
	deposit := map[string]any{"walletId": opened.ID, "amountKzt": depositAmount}
	err = c.do(ctx, call{
		method: "POST", path: "/api/qpaynet/deposit", token: token, key: keys.take(), body: deposit,
	}, nil)
	if err != nil {
		return fmt.Errorf("deposit: %w", err)
	}
	return nil
}

// anyOwner lets pick choose the paying user too.
const anyOwner = -1

// pick chooses a random transfer of the given user. Sender and receiver have
// different owners: only then does a transfer touch both reputations.
func (b *bank) pick(random *rand.Rand, owner int) transfer {
	users := len(b.tokens)
	from := random.IntN(len(b.wallets))
	if owner != anyOwner {
		from += owner - from%users
	}
	to := random.IntN(len(b.wallets))
	if to%users == from%users {
		to = (to + 1) % len(b.wallets)
	}
	return transfer{
		owner: from % users, from: b.wallets[from], to: b.wallets[to],
		amount: minAmount + random.IntN(maxAmount-minAmount+1),
	}
}

// newKeys returns keys that no other part of this run uses.
func (b *bank) newKeys() *keySequence {
	b.streams++
	return newKeySequence(b.run, b.streams)
}

// newRandom returns the choices of the stream made last; the seed of the run
// decides them.
func (b *bank) newRandom() *rand.Rand {
	return rand.New(rand.NewPCG(b.seed, uint64(b.streams)))
}

// height asks the server for the length of its chain.
func (b *bank) height(ctx context.Context) (int64, error) {
	c := newConnection(b.address)
	defer c.close()
	var chain struct{ Height int64 }
	err := c.do(ctx, call{method: "GET", path: "/api/veilnetx-ledger/chain/head"}, &chain)
	if err != nil {
		return 0, fmt.Errorf("read chain head: %w", err)
	}
	return chain.Height, nil
}

// processes are the running nodes of our own.
func (b *bank) processes() []*process {
	if b.fleet == nil {
		if b.process == nil {
			return nil
		}
		return []*process{b.process}
	}
	var running []*process
	for _, n := range b.fleet.nodes {
		if n.process != nil {
			running = append(running, n.process)
		}
	}
	return running
}

// memory returns the anonymous memory of the server, peak since the last
// call: of the largest node when there are several, zero when it is not ours.
func (b *bank) memory() int64 {
	peak := int64(0)
	for _, p := range b.processes() {
		peak = max(peak, p.takePeak())
	}
	return peak
}

// stop ends a server of our own in good order.
func (b *bank) stop(ctx context.Context) error {
	defer b.forget()
	var failures []error
	for _, p := range b.processes() {
		failures = append(failures, p.stop(ctx))
	}
	return errors.Join(failures...)
}

// kill ends a server of our own without warning.
func (b *bank) kill() error {
	defer b.forget()
	var failures []error
	for _, p := range b.processes() {
		failures = append(failures, p.kill())
	}
	return errors.Join(failures...)
}

// forget the processes that have ended.
func (b *bank) forget() {
	b.process = nil
	if b.fleet == nil {
		return
	}
	for _, n := range b.fleet.nodes {
		n.process = nil
	}
}
