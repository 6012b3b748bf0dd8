package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"coffer/fsm"
	"coffer/ledgerchain"
	"coffer/store"
)

// Replay adds the books up again from the chain, entry by entry, and compares
// the result with the accounts. It needs every row from the first one on.
type Replay struct {
	sums   map[store.ID]replayed
	owners map[store.ID]uint64 // latest height of each owner
	of     map[store.ID]store.ID
	erased uint64
}

type replayed struct {
	debits, credits Amount
	currency        string
	last            uint64
}

// NewReplay starts a replay of a view's chain.
func NewReplay(v *store.View) *Replay {
	p := &Replay{sums: map[store.ID]replayed{}, owners: map[store.ID]uint64{}, of: map[store.ID]store.ID{}}
	for _, a := range accounts.Scan(v, store.All{}, nil) {
		p.of[a.ID] = a.Owner
	}
	return p
}

// Add takes the next entry. It reports postings that do not sum to zero and
// links that do not lead to the rows before.
func (p *Replay) Add(f *Fact) error {
	if f.Erased {
		p.erased++
		return nil
	}
	height := f.Entry.Index + 1
	var sum Amount
	for i, leg := range f.Legs {
		s := p.sums[leg.Account]
		want := ledgerchain.Link{Account: s.last}
		if owner := p.of[leg.Account]; owner != "" {
			want.Owner = p.owners[owner]
		}
		if got := f.row.Link(i); got != want {
			return fmt.Errorf("entry %d, leg %d: links to %+v, the rows before are %+v", f.Entry.Index, i, got, want)
		}
		if s.currency != "" && s.currency != f.Currency {
			return fmt.Errorf("entry %d moves %s on account %s of %s", f.Entry.Index, f.Currency, leg.Account, s.currency)
		}
		sum += leg.Net
		s.currency, s.last = f.Currency, height
		if leg.Net < 0 {
			s.debits -= leg.Net
		} else {
			s.credits += leg.Net
		}
		p.sums[leg.Account] = s
	}
	for _, leg := range f.Legs {
		if owner := p.of[leg.Account]; owner != "" {
			p.owners[owner] = height
		}
	}
	if sum != 0 {
		return fmt.Errorf("entry %d: postings sum to %d", f.Entry.Index, sum)
	}
	return nil
}

// Compare tells whether the accounts hold exactly what the chain says.
func (p *Replay) Compare(v *store.View) error {
	if p.erased > 0 {
		return fmt.Errorf("%d openings are erased: the books cannot be added up from the start", p.erased)
	}
	seen := 0
	for _, a := range accounts.Scan(v, store.All{}, nil) {
		s, moved := p.sums[a.ID]
		if moved {
			seen++
		}
		if s.debits != a.Debits || s.credits != a.Credits || s.last != a.Last || moved && s.currency != a.Currency {
			return fmt.Errorf("account %s holds debits %d, credits %d, last %d; the chain says %d, %d, %d",
				a.ID, a.Debits, a.Credits, a.Last, s.debits, s.credits, s.last)
		}
	}
	if seen != len(p.sums) {
		return fmt.Errorf("the chain moves %d accounts, %d exist", len(p.sums), seen)
	}
	return p.compareOwners(v)
}

func (p *Replay) compareOwners(v *store.View) error {
	seen := 0
	for _, o := range owners.Scan(v, store.All{}, nil) {
		seen++
		if p.owners[o.ID] != o.Last {
			return fmt.Errorf("history of %s goes on at %d, the chain says %d", o.ID, o.Last, p.owners[o.ID])
		}
	}
	if seen != len(p.owners) {
		return fmt.Errorf("%d users have a history, the chain says %d", seen, len(p.owners))
	}
	return nil
}

// replayAll is the replay as an invariant, for histories short enough.
func replayAll(v *store.View) error {
	p := NewReplay(v)
	for index := range ledgerchain.Size(v) {
		f := FactAt(v, index)
		if err := p.Add(&f); err != nil {
			return err
		}
	}
	return p.Compare(v)
}

// TrialBalance is the sum of debits and credits of one currency.
type TrialBalance struct {
	Currency        string
	Debits, Credits Amount
	// Positive and Negative add up the balances above and below zero.
	Positive, Negative Amount
	Accounts           int
}

// TrialBalances adds all accounts up, by currency.
func TrialBalances(r store.Reader) []TrialBalance {
	list, _ := trialBalances(r, func() bool { return true })
	return list
}

// Imbalance adds up over all currencies how far debits and credits are apart:
// zero in sound books. It asks goOn at each account; false ends it without a
// result.
func Imbalance(r store.Reader, goOn func() bool) (sum Amount, complete bool) {
	list, complete := trialBalances(r, goOn)
	for _, t := range list {
		sum += max(t.Debits-t.Credits, t.Credits-t.Debits)
	}
	return sum, complete
}

func trialBalances(r store.Reader, goOn func() bool) (list []TrialBalance, complete bool) {
	for _, a := range accounts.Scan(r, store.All{}, nil) {
		if !goOn() {
			return nil, false
		}
		at := slices.IndexFunc(list, func(t TrialBalance) bool { return t.Currency == a.Currency })
		if at < 0 {
			list = append(list, TrialBalance{Currency: a.Currency})
			at = len(list) - 1
		}
		list[at].Debits += a.Debits
		list[at].Credits += a.Credits
		if balance := a.Balance(); balance > 0 {
			list[at].Positive += balance
		} else {
			list[at].Negative += balance
		}
		list[at].Accounts++
	}
	slices.SortFunc(list, func(a, b TrialBalance) int { return cmp.Compare(a.Currency, b.Currency) })
	return list, true
}

func booksBalance(v *store.View) error {
	for _, t := range TrialBalances(v) {
		if t.Debits != t.Credits {
			return fmt.Errorf("%s: debits are %d, credits %d", t.Currency, t.Debits, t.Credits)
		}
	}
	return nil
}

func noOverdraft(v *store.View) error {
	for _, a := range accounts.Scan(v, store.All{}, nil) {
		if a.Debits < 0 || a.Credits < 0 || a.Pending < 0 {
			return fmt.Errorf("account %s has a negative side", a.ID)
		}
		if a.Flags&NoOverdraft != 0 && a.Available() < 0 {
			return fmt.Errorf("account %s is overdrawn: %d", a.ID, a.Available())
		}
	}
	return nil
}

func holdsAddUp(v *store.View) error {
	pending := map[store.ID]Amount{}
	for _, h := range holds.Scan(v, store.All{}, nil) {
		if h.Status == Held {
			pending[h.Account] += h.Amount
		}
	}
	for _, a := range accounts.Scan(v, store.All{}, nil) {
		if pending[a.ID] != a.Pending {
			return fmt.Errorf("account %s: %d is reserved, its holds say %d", a.ID, a.Pending, pending[a.ID])
		}
	}
	return nil
}

// ReplayInvariant names the invariant that reads the whole chain; a verifier
// that reads the chain anyway runs a Replay itself instead.
const ReplayInvariant = "balances are the sums of the postings in the chain"

// Module is the domain for the list of all domains.
func Module() fsm.Module {
	return fsm.Module{
		Name:     "ledger",
		Tables:   append(ledgerchain.Tables(), accounts, owners, holds, scans, counts, moduleSums),
		Commands: []fsm.Handler{fsm.Handle(ExpireHold, expireHold), fsm.Handle(RecordScan, recordScan), fsm.Handle(AppendExternal, appendExternal)},
		Invariants: []fsm.Invariant{
			{Name: "debits equal credits in each currency", Check: booksBalance},
			{Name: "no account is overdrawn", Check: noOverdraft},
			{Name: "reserved amounts are the sums of their holds", Check: holdsAddUp},
			{Name: "entries are counted by hour and module", Check: countsAddUp},
			{Name: ReplayInvariant, Check: replayAll},
		},
	}
}
