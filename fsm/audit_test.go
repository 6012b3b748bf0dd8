package fsm_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

// records reads all that is on the record.
func (p *probe) records() (all []fsm.AuditRecord) {
	p.Read(func(v *store.View) { all = fsm.Audit(v, 0, 1000) })
	return all
}

// TestWhatOperatorsAskIsOnTheRecord wants done and refused, with who, why and
// where in the log, and nothing of anybody else.
func TestWhatOperatorsAskIsOnTheRecord(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	root := fsm.Actor{Kind: fsm.Operator, ID: "root", Agent: "uid 0"}
	alarm := fsm.AlarmChange{Kind: fsm.NoSpace, Node: "node-1"}
	p.Apply(p.ask(1, "a", 1))
	p.AsNode(func() { fsmtest.Must(p.Machine, fsm.RaiseAlarm, alarm) })
	p.Equal(len(p.records()), 0)

	p.As(root)
	r := fsmtest.Request(p.Machine, fsm.DisarmAlarm, alarm)
	r.RequestID, r.Reason = fsm.RequestID{7}, "the disk is larger"
	done := p.Apply(r)[0]
	p.Equal(code(done), "")
	p.Equal(p.Apply(r)[0].Replayed, true) // the same request is the same action
	fsmtest.Rejects(p.Machine, fsm.DisarmAlarm, alarm, fsm.ErrAlarmNotFound)
	fsmtest.Must(p.Machine, fsm.RecordAction, fsm.Note{Action: "backup", About: "x"})
	tried, err := p.try(r)
	p.Equal(err, nil)
	p.Equal(code(tried), "alarm_not_found")
	p.AsNode(func() { fsmtest.Must(p.Machine, fsm.BeginEpoch, fsm.EpochReason{Epoch: 2, Reason: "restored"}) })

	p.Reopen(false)
	all := p.records()
	p.Equal(len(all), 4)
	var said []string
	previous := [32]byte{}
	for _, a := range all {
		said = append(said, a.Actor.ID+" "+a.Command+" "+a.Refused)
		p.Equal(a.Previous, previous)
		previous = a.Hash()
	}
	p.Equal(said, []string{
		"root system.disarm_alarm/1 ", "root system.disarm_alarm/1 alarm_not_found", "root system.record_action/1 ", "node-1 system.begin_epoch/1 ",
	})
	p.Equal(all[0].Actor, root)
	p.Equal(all[0].Reason, "the disk is larger")
	p.Equal(all[0].Index, done.Index)
	var asked fsm.AlarmChange
	p.Equal(store.Decode(all[0].Input, &asked), nil)
	p.Equal(asked, alarm)
	p.Read(func(v *store.View) {
		length, last := fsm.AuditLength(v)
		p.Equal(length, uint64(4))
		p.Equal(last, previous)
		p.Equal(len(fsm.Audit(v, 3, 10)), 1)
		p.Equal(len(fsm.Audit(v, 4, 10)), 0)
		p.Equal(len(fsm.Audit(v, 1, 2)), 2)
	})
}
