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
	admit := func(b *bank.Bank) error { return bank.Submit(b, fsm.Admit, fsm.Admission{Node: "node-1"}) }
	remove := func(b *bank.Bank) error { return bank.Submit(b, fsm.RemoveMember, fsm.Removal{Node: "node-1"}) }
	token := func(b *bank.Bank) error { return bank.Submit(b, fsm.CreateToken, fsm.TokenCreated{}) }
	announce := func(b *bank.Bank) error { return bank.Submit(b, fsm.Announce, fsm.Announcement{Node: "node-1"}) }
	finalize := func(version uint32) func(*bank.Bank) error {
		return func(b *bank.Bank) error { return bank.Submit(b, fsm.FinalizeUpgrade, fsm.Upgrade{Version: version}) }
	}
	epoch := func(b *bank.Bank) error { return bank.Submit(b, fsm.BeginEpoch, fsm.EpochReason{Epoch: 2}) }
	note := func(b *bank.Bank) error { return bank.Submit(b, fsm.RecordAction, fsm.Note{}) }
	// after submits one command of a node before another.
	after := func(first, then func(*bank.Bank) error) func(*bank.Bank) error {
		return func(b *bank.Bank) error {
			if err := by(fsm.Node, first)(b); err != nil {
				return err
			}
			return then(b)
		}
	}
	bank.CheckRefusals(t, "system.", []bank.Refusal{
		bank.On("system.admit/1", "not_permitted", by(fsm.Operator, admit)),
		bank.On("system.admit/1", "member_exists", after(admit, admit)),
		bank.On("system.admit/1", "member_removed", after(admit, after(remove, admit))),
		bank.On("system.admit/1", "token_invalid", after(admit, func(b *bank.Bank) error {
			return bank.Submit(b, fsm.Admit, fsm.Admission{Node: "node-2", Token: "00"})
		})),
		bank.On("system.remove_member/1", "not_permitted", by(fsm.Service, remove)),
		bank.On("system.remove_member/1", "member_unknown", by(fsm.Node, remove)),
		bank.On("system.create_token/1", "not_permitted", by(fsm.Node, token)),
		bank.On("system.create_token/1", "token_lifetime", by(fsm.Operator, token)),
		bank.On("system.announce/1", "not_permitted", by(fsm.Operator, announce)),
		bank.On("system.announce/1", "member_unknown", by(fsm.Node, announce)),
		bank.On("system.announce/1", "member_removed", after(admit, after(remove, announce))),
		bank.On("system.finalize_upgrade/1", "not_permitted", by(fsm.Node, finalize(2))),
		bank.On("system.finalize_upgrade/1", "version_not_newer", by(fsm.Operator, finalize(1))),
		bank.On("system.finalize_upgrade/1", "member_too_old", after(admit, by(fsm.Operator, finalize(2)))),
		bank.On("system.begin_epoch/1", "not_permitted", by(fsm.Operator, epoch)),
		bank.On("system.begin_epoch/1", "epoch_exists", after(epoch, epoch)),
		bank.On("system.record_action/1", "not_permitted", by(fsm.Node, note)),
		bank.On("system.record_action/1", "note_too_long", by(fsm.Operator, note)),
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
