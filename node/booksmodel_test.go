package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// effect is one movement of money that a node has acknowledged, with what it
// said about it.
type effect struct {
	index       uint64 // of the chain entry
	move        move
	fee         *int64
	fromBalance *int64 // behind it
	toBalance   *int64
	by          *attempt
}

// moneyAnswer is what deposit, withdrawal, transfer and batch answer. Members
// are named by currency.
type moneyAnswer struct {
	TransactionID, LedgerEntryID     string
	FeeKzt, FeeCents                 *int64
	NewBalanceKzt, NewBalanceCents   *int64
	FromBalanceKzt, FromBalanceCents *int64
	ToBalanceKzt, ToBalanceCents     *int64
	SucceededCount, FailedCount      int
	Results                          []batchResult
}

type batchResult struct {
	TransactionID    string
	FeeKzt, FeeCents *int64
	Error            string
}

func either(a, b *int64) *int64 {
	if a != nil {
		return a
	}
	return b
}

// effects takes an acknowledged answer apart.
func (a *attempt) effects() ([]effect, error) {
	var answer moneyAnswer
	if err := json.Unmarshal(a.answer.body, &answer); err != nil {
		return nil, fmt.Errorf("%s answered %s: %w", a.path, a.answer.body, err)
	}
	if answer.Results != nil {
		return a.batchEffects(&answer)
	}
	index, err := indexOf(answer.TransactionID)
	if err != nil {
		return nil, err
	}
	if want := fmt.Sprintf("vnx_%016x", index); !strings.HasPrefix(answer.LedgerEntryID, want) {
		return nil, fmt.Errorf("%s answered %s: transaction and entry do not belong together", a.path, a.answer.body)
	}
	e := effect{index: index, move: a.moves[0], by: a, fee: either(answer.FeeKzt, answer.FeeCents)}
	e.fromBalance, e.toBalance = either(answer.FromBalanceKzt, answer.FromBalanceCents), either(answer.ToBalanceKzt, answer.ToBalanceCents)
	balance := either(answer.NewBalanceKzt, answer.NewBalanceCents)
	switch {
	case e.move.from.id == "":
		e.toBalance = balance
	case e.move.to.id == "":
		e.fromBalance = balance
	}
	if e.fromBalance == nil && e.move.from.id != "" || e.toBalance == nil && e.move.to.id != "" {
		return nil, fmt.Errorf("%s answered %s: a balance is missing", a.path, a.answer.body)
	}
	return []effect{e}, nil
}

func (a *attempt) batchEffects(answer *moneyAnswer) (effects []effect, err error) {
	if len(answer.Results) != len(a.moves) {
		return nil, fmt.Errorf("%s answered %d results for %d rows", a.path, len(answer.Results), len(a.moves))
	}
	for i, r := range answer.Results {
		if r.Error != "" {
			continue
		}
		index, err := indexOf(r.TransactionID)
		if err != nil {
			return nil, err
		}
		effects = append(effects, effect{index: index, move: a.moves[i], by: a, fee: either(r.FeeKzt, r.FeeCents)})
	}
	if len(effects) != answer.SucceededCount || len(a.moves)-len(effects) != answer.FailedCount {
		return nil, fmt.Errorf("%s answered %s: it miscounts", a.path, a.answer.body)
	}
	return effects, nil
}

// indexOf is the place in the chain that a transaction id begins with.
func indexOf(transaction string) (uint64, error) {
	digits, ok := strings.CutPrefix(transaction, "tx_")
	if !ok || len(digits) != 32 {
		return 0, fmt.Errorf("%q is no transaction id", transaction)
	}
	place, err := strconv.ParseUint(digits[:16], 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no transaction id: %w", transaction, err)
	}
	return place >> 8, nil
}

// books is an independent model of the wallets.
type books struct {
	balances map[purse]int64
	outside  map[string]int64 // by currency: deposits less withdrawals
	fees     map[string]int64
}

// replay executes what the node has acknowledged, in the order of the chain, and
// compares every answer with what the model says at that place. Each entry of
// the chain, and nothing else, must be the effect of exactly one request.
func (l *load) replay(height uint64) (*books, error) {
	effects, err := l.effects()
	if err != nil {
		return nil, err
	}
	if uint64(len(effects)) != height {
		return nil, fmt.Errorf("%d movements are acknowledged, the chain has %d entries", len(effects), height)
	}
	b := &books{map[purse]int64{}, map[string]int64{}, map[string]int64{}}
	latest := int64(0)
	for i, e := range effects {
		if e.index != uint64(i) {
			return nil, fmt.Errorf("%s with key %s claims entry %d, its turn is at entry %d", e.by.path, e.by.key, e.index, i)
		}
		if e.by.ended < latest {
			return nil, fmt.Errorf("%s with key %s was answered before an entry before %d was asked for", e.by.path, e.by.key, i)
		}
		latest = max(latest, e.by.sent)
		if err := b.apply(e); err != nil {
			return nil, fmt.Errorf("%s with key %s, entry %d: %w", e.by.path, e.by.key, i, err)
		}
	}
	return b, b.conserved()
}

// effects lists all acknowledged movements in the order of the chain.
func (l *load) effects() ([]effect, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []effect
	for _, a := range l.attempts {
		if a.ended == 0 || a.answer.status != http.StatusOK {
			continue
		}
		if a.known == nil {
			var err error
			if a.known, err = a.effects(); err != nil {
				return nil, err
			}
		}
		all = append(all, a.known...)
	}
	slices.SortStableFunc(all, func(a, b effect) int { return int(int64(a.index) - int64(b.index)) })
	return all, nil
}

func (b *books) apply(e effect) error {
	m := e.move
	fee := int64(0)
	if m.from.id != "" {
		fee = (m.amount + 999) / 1000 // a thousandth, rounded up
	}
	if e.fee != nil && *e.fee != fee || e.fee == nil && fee != 0 {
		return fmt.Errorf("the fee on %d is not %d", m.amount, fee)
	}
	if m.from.id != "" {
		b.balances[m.from] -= m.amount + fee
		b.fees[m.from.currency] += fee
	} else {
		b.outside[m.to.currency] += m.amount
	}
	if m.to.id != "" {
		b.balances[m.to] += m.amount
	} else {
		b.outside[m.from.currency] -= m.amount
	}
	if b.balances[m.from] < 0 {
		return fmt.Errorf("%s is overdrawn by %d", m.from.id, -b.balances[m.from])
	}
	for _, side := range []struct {
		told *int64
		of   purse
	}{{e.fromBalance, m.from}, {e.toBalance, m.to}} {
		if side.told != nil && *side.told != b.balances[side.of] {
			return fmt.Errorf("the balance of %s was told as %d, it is %d", side.of.id, *side.told, b.balances[side.of])
		}
	}
	return nil
}

// conserved checks that money neither came from nowhere nor went there.
func (b *books) conserved() error {
	for _, currency := range currencies {
		held := int64(0)
		for of, balance := range b.balances {
			if of.currency == currency {
				held += balance
			}
		}
		if want := b.outside[currency] - b.fees[currency]; held != want {
			return fmt.Errorf("wallets hold %d %s, deposits less withdrawals and fees are %d", held, currency, want)
		}
	}
	return nil
}
