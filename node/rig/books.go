package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// isRefused tells that a request never left: nobody listened.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// effect is what a node said about a write it acknowledged.
type effect struct {
	place    uint64 // of the chain entry
	fee      int64
	from, to int64 // balances behind it; -1 when not told
	by       *Write
}

func (w *Write) effect() (e effect, err error) {
	var told struct {
		TransactionID, LedgerEntryID string
		FeeKzt, NewBalanceKzt        *int64
		FromBalanceKzt, ToBalanceKzt *int64
	}
	if err := json.Unmarshal(w.answer.body, &told); err != nil {
		return e, fmt.Errorf("%s answered %s: %w", w.call.path, w.answer.body, err)
	}
	digits, ok := strings.CutPrefix(told.TransactionID, "tx_")
	if !ok || len(digits) != 32 {
		return e, fmt.Errorf("%s answered %s: no transaction id", w.call.path, w.answer.body)
	}
	place, err := strconv.ParseUint(digits[:16], 16, 64)
	e = effect{place: place >> 8, from: -1, to: -1, by: w}
	if told.FeeKzt != nil {
		e.fee = *told.FeeKzt
	}
	to := told.ToBalanceKzt
	if w.move.from < 0 {
		to = told.NewBalanceKzt
	}
	if to == nil || w.move.from >= 0 && told.FromBalanceKzt == nil {
		return e, fmt.Errorf("%s answered %s: a balance is missing", w.call.path, w.answer.body)
	}
	if e.to = *to; w.move.from >= 0 {
		e.from = *told.FromBalanceKzt
	}
	return e, err
}

// fee is what a move costs: a thousandth, rounded up.
func (m move) fee() int64 {
	if m.from < 0 {
		return 0
	}
	return (m.amount + 999) / 1000
}

// apply moves money between balances; false if there is too little.
func (m move) apply(balances *[places]int64) bool {
	if m.from >= 0 {
		if balances[m.from] < m.amount+m.fee() {
			return false
		}
		balances[m.from] -= m.amount + m.fee()
	}
	balances[m.to] += m.amount
	return true
}

// Settle resolves every doubt, then checks the chapter that ends here: each entry
// of the chain is the effect of exactly one acknowledged write, in an order that
// real time allows, with the balances that were told (O2, O3, O5), and the
// history is linearizable (O1). The next chapter begins where this one ends. All
// clients must have stopped.
func (l *Load) Settle() {
	l.t.Helper()
	random := rand.New(rand.NewPCG(l.Seed, ^uint64(0)))
	for _, w := range l.writes {
		if w.end != 0 || w.abandoned {
			continue
		}
		Eventually(l.t, w.call.key+" is resolved", func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return l.send(ctx, l.live(random), w)
		})
	}
	if err := l.replay(l.Head(l.live(random)).Height); err != nil {
		l.t.Fatalf("seed %d, chapter %d: %v%s", l.Seed, l.Counts.Chapters, err, l.suspects())
	}
	l.Counts.Chapters++
	l.writes, l.reads = nil, nil
}

// suspects names the writes that were refused, or given up, and have happened all
// the same: sent again, they are answered from what the nodes remember.
func (l *Load) suspects() (found string) {
	for _, w := range l.writes {
		if w.end != 0 && w.answer.status == http.StatusOK {
			continue
		}
		r, err := l.client.do(l.t.Context(), l.live(rand.New(rand.NewPCG(l.Seed, 3))), w.call)
		if err == nil && r.replayed {
			found += fmt.Sprintf("\n%s, sent at %v, had happened: %s\nit was answered %d %s, refused %q",
				w.call.key, time.Duration(w.sent), r.body, w.answer.status, w.answer.body, w.refusals)
		}
	}
	return found
}

// live picks a running node.
func (l *Load) live(random *rand.Rand) *Node {
	running := l.cluster.Others(nil)
	return running[random.IntN(len(running))]
}

// replay executes what was acknowledged in the order of the chain.
func (l *Load) replay(height uint64) error {
	var effects []effect
	for _, w := range l.writes {
		if w.end == 0 || w.answer.status != http.StatusOK {
			continue
		}
		e, err := w.effect()
		if err != nil {
			return err
		}
		effects = append(effects, e)
	}
	slices.SortStableFunc(effects, func(a, b effect) int { return int(int64(a.place) - int64(b.place)) })
	balances, latest := l.balances, int64(0)
	seen := states{balances: 0}
	for i, e := range effects {
		if e.place != l.height+uint64(i) {
			return fmt.Errorf("%s claims entry %d, its turn is at entry %d", e.by.call.key, e.place, l.height+uint64(i))
		}
		if e.by.end < latest {
			return fmt.Errorf("%s was answered before an earlier entry than %d was asked for", e.by.call.key, e.place)
		}
		latest = max(latest, e.by.sent)
		m := e.by.move
		if !m.apply(&balances) || e.fee != m.fee() || e.to != balances[m.to] || m.from >= 0 && e.from != balances[m.from] {
			return fmt.Errorf("%s, entry %d, %+v: answered %s, the balances are %v", e.by.call.key, e.place, m, e.by.answer.body, balances)
		}
		seen.reached(balances, i+1)
	}
	if told := l.height + uint64(len(effects)); told != height {
		return fmt.Errorf("%d entries are acknowledged, the chain has %d", told, height)
	}
	if err := l.narrow(effects, seen); err != nil {
		return err
	}
	if err := l.linearizable(); err != nil {
		return err
	}
	l.balances, l.height = balances, height
	return nil
}
