package fsm_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

// wire is a Proposer that keeps what it was given and answers what it is told.
type wire struct {
	proposed, tried []fsm.Request
	outcome         fsm.Outcome
	err             error
}

func (w *wire) Propose(_ context.Context, r fsm.Request) (fsm.Outcome, error) {
	w.proposed = append(w.proposed, r)
	return w.outcome, w.err
}

func (w *wire) Try(_ context.Context, r fsm.Request) (fsm.Outcome, error) {
	w.tried = append(w.tried, r)
	return w.outcome, w.err
}

func TestSubmitHandsOverWhatTheCallerIs(t *testing.T) {
	from := fsm.Origin{Actor: fsm.Actor{Kind: fsm.User, ID: "u", Session: "s", Email: "e", IP: "i", Agent: "a"},
		RequestID: fsm.RequestID{1}, BodyHash: [32]byte{2}, KeepRejection: true}
	w := &wire{outcome: fsm.Outcome{Index: 7, Result: store.Encode(&added{Value: 3})}}
	caller := &fsmtest.Caller{Context: t.Context(), From: from}
	got, err := addTo.Submit(caller, w, add{Name: "a", By: 1})
	if err != nil || got.Value != 3 {
		t.Fatalf("got %+v, %v", got, err)
	}
	want := fsm.Request{Command: "probe.add/1", Actor: from.Actor, RequestID: from.RequestID, BodyHash: from.BodyHash,
		KeepRejection: true, Payload: store.Encode(&add{Name: "a", By: 1})}
	if diff := cmp.Diff([]fsm.Request{want}, w.proposed); diff != "" || len(w.tried) > 0 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if caller.Outcome.Index != 7 {
		t.Error("the caller was not told the outcome")
	}
	caller.From.DryRun = true
	if _, err := addTo.Submit(caller, w, add{}); err != nil || len(w.tried) != 1 || len(w.proposed) != 1 {
		t.Errorf("a dry run was proposed %d times, tried %d times: %v", len(w.proposed)-1, len(w.tried), err)
	}
}

func TestSubmitTellsRejectionsFromFailures(t *testing.T) {
	caller := &fsmtest.Caller{Context: t.Context()}
	rejection := errLow.With(fsm.Number("value", -1))
	w := &wire{outcome: fsm.Outcome{Index: 9, Rejection: rejection}}
	_, err := addTo.Submit(caller, w, add{})
	if got, ok := fsm.AsRejection(err); !ok || got != rejection || !errors.Is(err, errLow) || caller.Outcome.Index != 9 {
		t.Errorf("a rejection came back as %v", err)
	}
	w = &wire{err: errPlain}
	caller = &fsmtest.Caller{Context: t.Context()}
	if _, err := addTo.Submit(caller, w, add{}); !errors.Is(err, errPlain) || caller.Outcome.Index != 0 {
		t.Errorf("a failure came back as %v", err)
	}
	w = &wire{outcome: fsm.Outcome{Result: store.Encode("text")}}
	if _, err := addTo.Submit(caller, w, add{}); err == nil {
		t.Error("a result of another type was accepted")
	} else if _, ok := fsm.AsRejection(err); ok {
		t.Errorf("it is taken for a rejection: %v", err)
	}
}

func TestRejectionsKeepTheirDeclaration(t *testing.T) {
	declared := fsm.Reject(fsm.Limited, "too_much")
	one := declared.With(fsm.Number("used", 3))
	two, three := one.With(fsm.Text("unit", "KZT")), one.With(fsm.Number("cap", 5))
	if len(declared.Details) != 0 || len(one.Details) != 1 || two.Details[1].Name != "unit" || three.Details[1].Name != "cap" {
		t.Errorf("details leak: %v, %v, %v, %v", declared, one, two, three)
	}
	if got := two.Error(); got != `too_much used=3 unit="KZT"` {
		t.Errorf("it reads %s", got)
	}
	if !errors.Is(two, declared) || errors.Is(two, errLow) || errors.Is(two, errPlain) {
		t.Error("rejections are compared by more or less than their code")
	}
	if d, ok := two.Detail("used"); !ok || d.Number != 3 || d.IsText {
		t.Errorf("the detail is %+v", d)
	}
	if _, ok := two.Detail("other"); ok {
		t.Error("a detail was made up")
	}
	list := fsm.Rejections{declared}
	more, other := list.And(errLow), list.And(errUndeclared)
	if more[1] != errLow || other[1] != errUndeclared || len(list) != 1 {
		t.Error("joined lists share memory")
	}
	if _, ok := fsm.AsRejection(fsm.Declined(declared)); ok {
		t.Error("a declined request passes for a plain rejection")
	}
}

func TestRequestIDsAreRandom(t *testing.T) {
	seen := map[fsm.RequestID]bool{}
	for range 1000 {
		id := fsm.NewRequestID()
		if seen[id] || len(id.String()) != 32 {
			t.Fatalf("id %s", id)
		}
		seen[id] = true
	}
}
