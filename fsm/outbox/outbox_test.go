package outbox_test

import (
	"fmt"
	"strings"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/outbox"
	"coffer/store"
)

type emit struct {
	Kind  string `cbor:"1,keyasint"`
	Users int64  `cbor:"2,keyasint"`
	Fail  bool   `cbor:"3,keyasint,omitempty"`
}

var (
	errEmit    = fsm.Reject(fsm.Conflict, "not_today")
	emitEvents = fsm.Command[emit, fsm.Nothing]{Name: "post.emit/1", Rejects: fsm.Rejections{errEmit}}
)

func module() fsm.Module {
	return fsm.Module{Name: "post", Commands: []fsm.Handler{fsm.Handle(emitEvents, func(ctx *fsm.Context, c emit) (fsm.Nothing, error) {
		e := outbox.Event{ID: "made up", At: 1, Kind: c.Kind, First: 3, Count: 2, Facts: []fsm.Detail{fsm.Text("a", "b")}}
		for i := range c.Users {
			e.Users = append(e.Users, store.ID(fmt.Sprint("usr_", i)))
		}
		outbox.Emit(ctx, e)
		outbox.Emit(ctx, e)
		if c.Fail {
			return fsm.Nothing{}, errEmit
		}
		return fsm.Nothing{}, nil
	})}}
}

func TestEventsAreNumberedAndStamped(t *testing.T) {
	b := bank.New(t, fsmtest.Options{}, module())
	fsmtest.Must(b.Machine, emitEvents, emit{Kind: "a.b", Users: 2})
	at := b.Clock
	fsmtest.Rejects(b.Machine, emitEvents, emit{Kind: "c.d", Fail: true}, errEmit) // none of it is queued
	fsmtest.Must(b.Machine, emitEvents, emit{Kind: "e.f", Users: outbox.MaxUsers + 5})
	b.Read(func(v *store.View) {
		b.Equal(outbox.Length(v), uint64(4))
		first, second, third := outbox.At(v, 0), outbox.At(v, 1), outbox.At(v, 2)
		b.Equal([]any{first.Kind, first.At, first.First, first.Count, len(first.Users)}, []any{"a.b", at, uint64(3), uint64(2), 2})
		b.Equal(strings.HasPrefix(string(first.ID), "evt_") && first.ID != second.ID, true)
		b.Equal([]any{third.Kind, len(third.Users)}, []any{"e.f", outbox.MaxUsers})
	})
}
