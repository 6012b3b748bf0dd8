package modules_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hashicorp/raft"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/limits"
	"coffer/fsm/modules"
	"coffer/fsm/reputation"
	"coffer/fsm/wallet"
	"coffer/ledgerchain"
	"coffer/store"
)

var (
	histories   = flag.Int("histories", 1, "random histories to check")
	historySeed = flag.Uint64("history-seed", 0, "check the history of this seed only")
	entries     = flag.Int("history-entries", 120, "entries of a random history")
)

// knownSeed is one whose history is known to be rich.
const knownSeed = 1

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// options are those of every machine here: lenient, as a node is.
func options() fsmtest.Options {
	return fsmtest.Options{Modules: domains(), Retention: modules.Retention, FlushBytes: 64 << 10}
}

// TestRandomHistories applies a random history that a plain model checks step by
// step, and then in every other way a node may meet it: all must end with the
// same digest and the same rows.
func TestRandomHistories(t *testing.T) {
	seeds := []uint64{*historySeed}
	if *historySeed == 0 {
		seeds = []uint64{knownSeed}
		for range *histories {
			seeds = append(seeds, fsmtest.RandomSeed())
		}
	}
	for _, seed := range seeds {
		t.Run("", func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("run again with -history-seed=%d", seed)
				}
			}()
			logs, digest, rows := randomHistory(t, seed)
			for name, way := range ways {
				t.Run(name, func(t *testing.T) {
					m := way(t, logs, rand.New(rand.NewPCG(seed, 1)))
					m.Equal(m.Digest(), digest)
					m.Equal(fsmtest.FirstDifference(m.Dump(), rows), "")
				})
			}
		})
	}
}

func randomHistory(t *testing.T, seed uint64) (logs []*raft.Log, digest [32]byte, rows []string) {
	random := rand.New(rand.NewPCG(seed, 0))
	m := fsmtest.New(t, options())
	c := &crowd{model: newModel(t, m.Clock, declaredBy(m)), random: random, at: m}
	c.begin(m)
	for range *entries {
		c.entryOf(m, c.some()...)
		if c.oneIn(40) {
			c.check(m)
		}
		if c.oneIn(50) {
			m.Reopen(c.oneIn(2))
		}
	}
	c.check(m)
	if seed == knownSeed {
		c.enough()
	}
	return m.History(), m.Digest(), m.Dump()
}

func declaredBy(m *fsmtest.Machine) func(command string) fsm.Rejections {
	return func(command string) fsm.Rejections { return m.Machine().Handlers()[command].Rejects() }
}

// begin brings a few customers with money.
func (c *crowd) begin(m *fsmtest.Machine) {
	for i := range 6 {
		email := fmt.Sprintf("user%d@example.org", i)
		c.entryOf(m, as(c, fsm.Actor{}, identity.RegisterUser, identity.Register{Surface: identity.AEVION, Email: email}))
		if c.byEmail(email) == nil {
			continue
		}
		who := c.open()[0]
		for _, s := range c.open() {
			if s.Email == email {
				who = s
			}
		}
		for _, currency := range []string{"KZT", "USD"} {
			c.entryOf(m, as(c, who, wallet.OpenWallet, wallet.Open{Currency: currency}))
			c.entryOf(m, as(c, who, wallet.DepositFunds, wallet.Payment{Wallet: c.walletOf(who), Amount: 60_000}))
		}
	}
}

// some are the requests of the next entry.
func (c *crowd) some() (requests []fsm.Request) {
	for range 1 + c.random.IntN(5) {
		requests = append(requests, c.next())
	}
	return requests
}

// entryOf applies one entry, or a change of membership before it.
func (c *crowd) entryOf(m *fsmtest.Machine, requests ...fsm.Request) {
	c.Helper()
	if c.oneIn(25) {
		m.Deliver(m.Log(raft.LogConfiguration, raft.EncodeConfiguration(raft.Configuration{})))
	}
	switch c.random.IntN(12) {
	case 0:
		m.Clock += store.Time(c.random.Int64N(3 * store.Day))
	case 1:
		m.Clock -= store.Time(c.random.Int64N(store.Hour)) // the next leader's clock is behind
	default:
		m.Clock += store.Time(c.random.Int64N(10 * store.Minute))
	}
	log := m.Sealed(requests...)
	outcomes := m.Outcomes(m.Deliver(log)[0])
	c.entry = m.Clock
	for i, r := range requests {
		c.step(r, outcomes[i], log.Index)
	}
}

// check compares the whole state with the model.
func (c *crowd) check(m *fsmtest.Machine) {
	c.Helper()
	m.CheckInvariants()
	m.Read(func(v *store.View) {
		c.want("log time", v.Applied().Time, c.last)
		c.want("chain", ledgerchain.Size(v), c.chain)
		sums := map[string]int64{}
		for _, w := range c.purses {
			got, _ := wallet.Get(v, w.id)
			account, _ := ledger.Get(v, w.id)
			c.want("wallet "+string(w.id), []any{got.Status, account.Balance(), account.Pending, got.Owner}, []any{w.status, w.balance, w.pending, w.of.id})
			if !w.of.deleted {
				c.want("primary", got.Primary, w.primary)
			}
			sums[w.currency] += w.balance
		}
		for _, currency := range []string{"KZT", "USD"} {
			for _, code := range []string{ledger.Funding, ledger.Payout, ledger.Fees} {
				account, _ := ledger.Get(v, ledger.System(code, currency))
				c.want(code+" "+currency, account.Balance(), c.system[code+" "+currency])
				sums[currency] += c.system[code+" "+currency]
			}
			c.want("sum of all "+currency, sums[currency], 0)
		}
		c.checkPeople(v)
	})
}

func (c *crowd) checkPeople(v *store.View) {
	c.Helper()
	active := int64(0)
	for _, p := range c.people {
		if !p.deleted {
			active++
		}
		_, found := identity.Active(v, store.ID(p.id))
		c.want("active", found, !p.deleted)
		c.want("KYC", identity.KYCOf(v, store.ID(p.id)).Status, p.kyc)
		c.want("score of "+p.id, reputation.Of(v, store.ID(p.id)).Score, p.score)
		for _, month := range sortedKeys(p.moves) {
			volume := limits.VolumeOf(v, store.ID(p.id), month)
			c.want("volume", []any{volume.Moves, volume.Outgoing}, []any{p.moves[month], p.outgoing[month]})
		}
	}
	c.want("users", identity.Count(v), active)
	for id, s := range c.session {
		err := identity.Authorize(v, fsm.Actor{Kind: fsm.User, ID: s.of.id, Session: id})
		c.want("session", err == nil, s.open)
	}
}

// enough fails when the history did not do what it is for.
func (c *crowd) enough() {
	c.Helper()
	for _, command := range []string{wallet.TransferFunds.Name, wallet.TransferMany.Name, wallet.DepositFunds.Name, wallet.WithdrawFunds.Name} {
		if done := c.answers[command+" "]; done < *entries/50 {
			c.Errorf("%s succeeded %d times", command, done)
		}
	}
	if len(c.answers) < 40 {
		c.Errorf("only %d different answers were given: %v", len(c.answers), c.answers)
	}
}

// ways are the ways in which a node may meet a history. The first two entries
// are those every machine begins with.
var ways = map[string]func(t *testing.T, logs []*raft.Log, random *rand.Rand) *fsmtest.Machine{
	"one by one, each flushed": func(t *testing.T, logs []*raft.Log, _ *rand.Rand) *fsmtest.Machine {
		m := unchecked(t, func(o *fsmtest.Options) { o.FlushEach = true })
		for _, log := range logs[2:] {
			m.Deliver(log)
		}
		return m
	},
	"whole, never flushed": func(t *testing.T, logs []*raft.Log, _ *rand.Rand) *fsmtest.Machine {
		m := unchecked(t, func(o *fsmtest.Options) { o.FlushBytes = 1 << 30 })
		m.Deliver(logs[2:]...)
		return m
	},
	"in random batches, some twice": func(t *testing.T, logs []*raft.Log, random *rand.Rand) *fsmtest.Machine {
		m := unchecked(t, func(o *fsmtest.Options) { o.FlushBytes = 3 << 10 })
		for at := 2; at < len(logs); {
			end := min(len(logs), at+1+random.IntN(20))
			m.Machine().ApplyBatch(logs[max(2, at-random.IntN(5)):end])
			at = end
		}
		return m
	},
	"with restarts and crashes": func(t *testing.T, logs []*raft.Log, random *rand.Rand) *fsmtest.Machine {
		m := unchecked(t, func(o *fsmtest.Options) { o.FlushBytes = 32 << 10 })
		for at := 2; at < len(logs); {
			end := min(len(logs), at+1+random.IntN(len(logs)/6))
			m.Deliver(logs[at:end]...)
			m.Reopen(random.IntN(2) == 0)
			at = end
		}
		return m
	},
	"beside readers": besideReaders,
}

func unchecked(t *testing.T, change func(*fsmtest.Options)) *fsmtest.Machine {
	o := options()
	o.Unchecked = true
	change(&o)
	return fsmtest.New(t, o)
}

// besideReaders applies while others read: every view is of one moment, in which
// the money of each currency adds up.
func besideReaders(t *testing.T, logs []*raft.Log, random *rand.Rand) *fsmtest.Machine {
	m := unchecked(t, func(o *fsmtest.Options) { o.FlushBytes = 8 << 10 })
	stop, found := make(chan struct{}), make(chan string, 2)
	for range cap(found) {
		go func() {
			var last uint64
			for {
				select {
				case <-stop:
					found <- ""
					return
				default:
				}
				v := m.View()
				for _, balance := range ledger.TrialBalances(v) {
					if balance.Debits != balance.Credits {
						found <- balance.Currency
					}
				}
				if v.Index() < last || len(fsmtest.Broken(v, modules.All()[:3])) > 0 {
					found <- "a view of no moment"
				}
				last = v.Index()
				v.Close()
			}
		}()
	}
	for at := 2; at < len(logs); {
		end := min(len(logs), at+1+random.IntN(4))
		m.Deliver(logs[at:end]...)
		at = end
	}
	close(stop)
	for range cap(found) {
		m.Equal(<-found, "")
	}
	return m
}
