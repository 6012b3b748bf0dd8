package snapshot

import (
	"errors"
	"io"
	"testing"
	"time"
)

// journey is what an exchange has told about the states that went through it.
type journey struct {
	sent, received []error
	took           time.Duration
}

// observed is an exchange and its journey.
func (a *appliance) observed(t testing.TB) (*Virtual, *journey) {
	t.Helper()
	c, j := a.config(), &journey{}
	c.Observe = Observe{
		Sent:     func(err error) { j.sent = append(j.sent, err) },
		Received: func(took time.Duration, err error) { j.received, j.took = append(j.received, err), took },
	}
	_, err := Clean(c.Dir)
	must(t, err)
	return NewExchange(c), j
}

func TestAJourneyThatSucceedsIsToldOnBothSides(t *testing.T) {
	one, two := pair(t, 60, 0)
	from, out := one.observed(t)
	to, in := two.observed(t)
	into, err := transfer(t, from, to)
	must(t, err)
	if len(out.sent) != 1 || out.sent[0] != nil || len(in.received) != 0 {
		t.Errorf("before the install: sent %v, received %v", out.sent, in.received)
	}
	_, err = restored(t, to, into)
	must(t, err)
	if len(in.received) != 1 || in.received[0] != nil || in.took <= 0 {
		t.Errorf("after the install: received %v in %v", in.received, in.took)
	}
	if len(in.sent)+len(out.received) > 0 {
		t.Errorf("told in the wrong direction: %v, %v", in.sent, out.received)
	}
}

func TestAJourneyThatFailsIsToldOnce(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, from, to *Virtual) error{
		"cancelled": func(t *testing.T, from, to *Virtual) error {
			meta, stream, err := from.Open(virtualID)
			must(t, err)
			into, err := to.Create(meta.Version, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
			must(t, err)
			_, err = io.CopyN(into, stream, meta.Size/2)
			must(t, err)
			must(t, into.Cancel())
			must(t, stream.Close())
			return errCancelled
		},
		"cut off": func(t *testing.T, from, to *Virtual) error {
			meta, stream, err := from.Open(virtualID)
			must(t, err)
			into, err := to.Create(meta.Version, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
			must(t, err)
			_, err = io.CopyN(into, stream, meta.Size-1)
			must(t, err)
			if into.Close() == nil {
				t.Error("a state without its last byte is taken")
			}
			must(t, stream.Close())
			return nil
		},
		"not installed": func(t *testing.T, from, to *Virtual) error {
			into, err := transfer(t, from, to)
			must(t, err)
			_, source, err := to.Open(into.ID())
			must(t, err)
			must(t, source.Close())
			return errUnasked
		},
		"refused": func(t *testing.T, from, to *Virtual) error {
			to.config.Source.ClusterID = "another"
			if _, err := transfer(t, from, to); err == nil {
				t.Error("a foreign state is taken")
			}
			return ErrForeign
		},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := pair(t, 60, 0)
			from, out := one.observed(t)
			to, in := two.observed(t)
			want := fail(t, from, to)
			if len(in.received) != 1 || in.received[0] == nil || want != nil && !errors.Is(in.received[0], want) {
				t.Errorf("received %v, want %v once", in.received, want)
			}
			// A peer may still refuse what it was given all of.
			half := name == "cancelled" || name == "cut off"
			if len(out.sent) != 1 || half && !errors.Is(out.sent[0], errCut) {
				t.Errorf("sent %v", out.sent)
			}
		})
	}
}

func TestAStateThatCannotBeSentIsTold(t *testing.T) {
	one, _ := pair(t, 30, 0)
	from, out := one.observed(t)
	from.config.free = func() (int64, error) { return 100, nil }
	if _, _, err := from.Open(virtualID); err == nil {
		t.Fatal("there is no room for it")
	}
	if len(out.sent) != 1 || !errors.Is(out.sent[0], ErrNoSpace) {
		t.Errorf("sent %v", out.sent)
	}
}
