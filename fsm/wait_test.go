package fsm_test

import (
	"context"
	"errors"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
)

func TestAwaitReturnsOnceTheEntryIsApplied(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	m, ctx := p.Machine.Machine(), t.Context()
	p.Equal(m.Await(ctx, m.Applied()), nil)
	logs := p.Sealed(p.ask(1, "a", 1))
	next := p.Sealed(p.ask(2, "a", 1))
	done := make(chan error, 2)
	signal, cancel := m.Watch()
	for _, index := range []uint64{logs.Index, next.Index} {
		go func() {
			err := m.Await(ctx, index)
			if m.Applied() < index {
				err = errors.New("it returned too early")
			}
			done <- err
		}()
	}
	p.Deliver(logs)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	<-signal
	p.Deliver(next)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	<-signal
	cancel()
	p.Apply(p.ask(3, "a", 1))
	select {
	case <-signal:
		t.Error("a cancelled watch still signals")
	default:
	}
}

func TestSeveralEntriesMayBeOneSignal(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	signal, cancel := p.Machine.Machine().Watch()
	other, cancelOther := p.Machine.Machine().Watch()
	defer cancel()
	defer cancelOther()
	for i := range byte(5) {
		p.Apply(p.ask(i+1, "a", 1))
	}
	for _, s := range []<-chan struct{}{signal, other} {
		<-s
		select {
		case <-s:
			t.Error("a second signal is pending")
		default:
		}
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := p.Machine.Machine()
	for range 100 {
		if err := m.Await(ctx, 1<<40); !errors.Is(err, context.Canceled) {
			t.Fatalf("it returned %v", err)
		}
	}
	if n := fsm.Waiting(m); n != 0 {
		t.Errorf("%d waiters are kept for an entry that may never come", n)
	}
}

func TestAHaltedMachineWakesWhoWaits(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	m := p.Machine.Machine()
	done := make(chan error, 1)
	go func() { done <- m.Await(context.Background(), 1000) }()
	signal, cancel := m.Watch()
	defer cancel()
	bad := p.Sealed(p.ask(1, "a", 1))
	bad.Data[0] ^= 1
	p.Deliver(bad)
	<-signal
	if err := <-done; err == nil || err != m.Err() {
		t.Errorf("it returned %v, the machine stopped with %v", err, m.Err())
	}
	if err := m.Await(t.Context(), 1000); err != m.Err() {
		t.Errorf("later it returned %v", err)
	}
	p.Equal(m.Await(t.Context(), 1), nil) // what is applied is applied
}
