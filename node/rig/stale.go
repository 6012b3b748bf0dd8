package rig

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// states says how many of the effects of a chapter each state of the wallets
// contains.
type states map[[places]int64]int

// twice marks a state that a chapter has reached more than once.
const twice = -1

func (s states) reached(balances [places]int64, contains int) {
	if _, before := s[balances]; before {
		contains = twice
	}
	s[balances] = contains
}

// narrow finds the stale reads of a chapter: one of them misses a write that was
// acknowledged before the read was sent. A tolerant load counts and forgets them.
//
// Then it narrows the time of everything to what the order of the chain leaves: an
// effect took place neither before an earlier one was asked for nor after a later
// one was answered, and a read between two of them. What is linearizable within
// these bounds is so within the true ones, and the checker need not try every
// place for a request that was in doubt for seconds, and every subset of reads
// that wait for the same write.
func (l *Load) narrow(effects []effect, s states) error {
	begin, end := make([]int64, len(effects)+1), make([]int64, len(effects)+1) // begin[i]: when i effects could be there
	for i, e := range effects {
		begin[i+1] = max(begin[i], e.by.sent)
	}
	end[len(effects)] = math.MaxInt64
	for i := len(effects) - 1; i >= 0; i-- {
		end[i] = min(end[i+1], effects[i].by.end)
	}
	var fresh []observation
	byState := map[int][]observation{}
	for _, r := range l.reads {
		contains, found := s[r.balances]
		switch {
		case !found, contains == twice: // left to the checker
		case end[contains] < r.sent:
			l.Counts.Stale++
			if l.Tolerant {
				continue
			}
			return fmt.Errorf("a stale read: %s was asked at %v and answered at %v with %d writes of this chapter, one more was acknowledged at %v",
				r.node, time.Duration(r.sent), time.Duration(r.end), contains, time.Duration(end[contains]))
		case r.end < begin[contains]:
			return fmt.Errorf("a read of the future: %s answered at %v with %d writes of this chapter, of which one was asked for at %v",
				r.node, time.Duration(r.end), contains, time.Duration(begin[contains]))
		default:
			r.sent, r.end = max(r.sent, begin[contains]), min(r.end, end[contains])
			byState[contains] = append(byState[contains], r)
			continue
		}
		fresh = append(fresh, r)
	}
	for _, alike := range byState {
		fresh = append(fresh, merge(alike)...)
	}
	l.reads = fresh
	for i, e := range effects {
		e.by.sent, e.by.end = begin[i+1], end[i]
	}
	return nil
}

// merge makes one read of those that saw the same state, as far as they have a
// time in common: if one read there is right, all are.
func merge(alike []observation) (merged []observation) {
	slices.SortFunc(alike, func(a, b observation) int { return cmp.Compare(a.end, b.end) })
	for _, r := range alike {
		if last := len(merged) - 1; last >= 0 && r.sent <= merged[last].end {
			merged[last].sent = max(merged[last].sent, r.sent)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}
