package modules_test

import (
	"strings"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest/bank"
)

// areas are the beginnings of command names whose rejections have a checklist,
// each in the tests of its domain; that of the machine itself stands here.
var areas = []string{"system.", "settings.", "identity.", "reputation.", "ledger.", "wallet."}

func TestEveryCommandHasAChecklist(t *testing.T) {
	for name := range handlers(t) {
		listed := false
		for _, area := range areas {
			listed = listed || strings.HasPrefix(name, area)
		}
		if !listed {
			t.Errorf("nobody checks that the rejections of %s are reached", name)
		}
	}
}

func TestEveryRejectionOfTheMachineIsReached(t *testing.T) {
	// by submits as a kind of actor.
	by := func(kind fsm.ActorKind, ask func(*bank.Bank) error) func(*bank.Bank) error {
		return func(b *bank.Bank) error { b.As(fsm.Actor{Kind: kind, ID: "x"}); return ask(b) }
	}
	found := func(b *bank.Bank) error { return bank.Submit(b, fsm.Found, fsm.FoundCluster{LedgerID: "x"}) }
	begin := func(b *bank.Bank) error { return bank.Submit(b, fsm.BeginTerm, fsm.TermBegun{Term: 2}) }
	assert := func(b *bank.Bank) error { return bank.Submit(b, fsm.Assert, fsm.Assertion{}) }
	raise := func(b *bank.Bank) error { return bank.Submit(b, fsm.RaiseAlarm, fsm.AlarmChange{Kind: "tired"}) }
	disarm := func(b *bank.Bank) error { return bank.Submit(b, fsm.DisarmAlarm, fsm.AlarmChange{Kind: fsm.NoSpace}) }
	bank.CheckRefusals(t, "system.", []bank.Refusal{
		bank.On("system.found/1", "not_permitted", by(fsm.Operator, found)),
		bank.On("system.found/1", "already_founded", by(fsm.Node, found)),
		bank.On("system.begin_term/1", "not_permitted", by(fsm.Operator, begin)),
		bank.On("system.assert/1", "not_permitted", by(fsm.Operator, assert)),
		bank.On("system.raise_alarm/1", "not_permitted", by(fsm.Service, raise)),
		bank.On("system.raise_alarm/1", "unknown_alarm", by(fsm.Node, raise)),
		bank.On("system.disarm_alarm/1", "not_permitted", by(fsm.Service, disarm)),
		bank.On("system.disarm_alarm/1", "alarm_not_found", by(fsm.Operator, disarm)),
	})
}
