package rig

import (
	"fmt"
	"net/http"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkLimit is how long the checker may search; no answer is a failure.
const checkLimit = 2 * time.Minute

// step is what a client asked for and what it was told: a move or a read.
type step struct {
	reads    bool
	move     move
	rejected bool
	from, to int64 // told balances
	balances [places]int64
}

// wallets is the model of all wallets as one state.
func wallets(first [places]int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return first },
		Step: func(state, input, _ any) (bool, any) {
			balances, s := state.([places]int64), input.(step)
			if s.reads {
				return s.balances == balances, state
			}
			after := balances
			if s.move.apply(&after) == s.rejected {
				return false, state
			}
			if s.rejected {
				return true, state
			}
			return s.to == after[s.move.to] && (s.move.from < 0 || s.from == after[s.move.from]), after
		},
	}
}

// linearizable searches an order of everything that clients saw in this chapter
// that one ledger could have produced.
func (l *Load) linearizable() error {
	var operations []porcupine.Operation
	for _, w := range l.writes {
		if w.end == 0 {
			continue // refused and never sent again: the chain has no entry of it
		}
		s := step{move: w.move, rejected: w.answer.status != http.StatusOK}
		if !s.rejected {
			e, err := w.effect()
			if err != nil {
				return err
			}
			s.from, s.to = e.from, e.to
		}
		operations = append(operations, porcupine.Operation{Input: s, Call: w.sent, Return: w.end})
	}
	for _, r := range l.reads {
		operations = append(operations, porcupine.Operation{Input: step{reads: true, balances: r.balances}, Call: r.sent, Return: r.end})
	}
	if result := porcupine.CheckOperationsTimeout(wallets(l.balances), operations, checkLimit); result != porcupine.Ok {
		return fmt.Errorf("the history of %d operations is not linearizable: %s", len(operations), result)
	}
	return nil
}
