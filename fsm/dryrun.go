package fsm

import (
	"errors"

	"coffer/store"
)

// Try runs a request against a view in a throw-away batch, with a time and a
// seed of its own. Nothing is committed, remembered or told to hooks outside.
func (m *Machine) Try(v *store.View, r Request, at store.Time, seed [16]byte) (outcome Outcome, err error) {
	h, err := m.Handler(r.Command)
	if err != nil {
		return Outcome{}, err
	}
	applied := v.Applied()
	ctx := m.context(v.Try(), &r, max(at, applied.Time+1), max(applied.Version, FirstVersion))
	ctx.Index, ctx.seed = applied.Index, seed
	result, err := m.run(ctx, h, &r)
	var refused declined
	if errors.As(err, &refused) {
		err = refused.rejection
	}
	if rejection, ok := AsRejection(err); ok {
		return Outcome{Index: applied.Index, Rejection: rejection}, nil
	}
	return Outcome{Index: applied.Index, Result: result}, err
}
