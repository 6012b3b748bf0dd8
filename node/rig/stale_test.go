package rig

import (
	"fmt"
	"strings"
	"testing"
)

// TestStaleReads gives a history to the judge of which one read is wrong.
func TestStaleReads(t *testing.T) {
	states := [][places]int64{{100}, {101}, {103}}
	chapter := func(reads ...observation) *Load {
		l := &Load{reads: reads}
		l.balances = states[0]
		for i, amount := range []int64{1, 2} {
			l.writes = append(l.writes, &Write{move: move{from: -1, to: 0, amount: amount}, sent: int64(100 * i), end: int64(100*i + 50),
				answer: reply{status: 200, body: fmt.Appendf(nil, `{"transactionId":"tx_%016x%016x","newBalanceKzt":%d}`, i<<8, 0, states[i+1][0])}})
		}
		return l
	}
	for name, one := range map[string]struct {
		read observation
		says string
	}{
		"right":                 {observation{sent: 60, end: 90, balances: states[1]}, ""},
		"right, with a write":   {observation{sent: 110, end: 120, balances: states[2]}, ""},
		"right, for long":       {observation{sent: 40, end: 5000, balances: states[0]}, ""},
		"stale":                 {observation{sent: 160, end: 170, balances: states[1]}, "a stale read"},
		"stale by two":          {observation{sent: 151, end: 170, balances: states[0]}, "a stale read"},
		"of the future":         {observation{sent: 60, end: 90, balances: states[2]}, "a read of the future"},
		"of what there was not": {observation{sent: 60, end: 90, balances: [places]int64{102}}, "not linearizable"},
	} {
		err := chapter(one.read).replay(2)
		if (err == nil) != (one.says == "") || err != nil && !strings.Contains(err.Error(), one.says) {
			t.Errorf("%s: found %v", name, err)
		}
	}
	l := chapter(observation{sent: 160, end: 170, balances: states[1]}, observation{sent: 160, end: 170, balances: states[2]})
	l.Tolerant = true
	if err := l.replay(2); err != nil || l.Counts.Stale != 1 || len(l.reads) != 1 {
		t.Errorf("tolerant: %v, %d stale, %d reads are left", err, l.Counts.Stale, len(l.reads))
	}
}

// TestManyReadsOfOneState is a history that the checker alone does not get to the
// end of: many reads wait while a few writes do.
func TestManyReadsOfOneState(t *testing.T) {
	l := &Load{}
	l.balances = [places]int64{100, 100, 100}
	now := l.balances
	for i := range 3 {
		for range 40 {
			l.reads = append(l.reads, observation{sent: int64(i), end: 3000, balances: now})
		}
		now[i]++
		l.writes = append(l.writes, &Write{move: move{from: -1, to: i, amount: 1}, sent: 5, end: int64(2000 - i),
			answer: reply{status: 200, body: fmt.Appendf(nil, `{"transactionId":"tx_%016x%016x","newBalanceKzt":101}`, i<<8, 0)}})
	}
	if err := l.replay(3); err != nil {
		t.Error(err)
	}
	l.height, l.balances = 0, [places]int64{100, 100, 100}
	l.reads = []observation{{sent: 10, end: 20, balances: [places]int64{101, 101, 100}}, {sent: 21, end: 30, balances: [places]int64{101, 100, 100}}}
	if err := l.replay(3); err == nil || !strings.Contains(err.Error(), "not linearizable: Illegal") {
		t.Errorf("two reads in the wrong order: %v", err)
	}
}
