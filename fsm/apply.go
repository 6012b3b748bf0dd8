package fsm

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/fxamacker/cbor/v2"
	"github.com/hashicorp/raft"

	"coffer/store"
)

// Apply applies one log entry. It is ApplyBatch for one.
func (m *Machine) Apply(log *raft.Log) any { return m.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch applies log entries in order and returns one response for each:
// the encoded outcomes of its requests, nil for membership entries and for
// entries the state already holds.
func (m *Machine) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	entries, requests := 0, 0
	for i, log := range logs {
		if log.Index <= m.applied.Index || m.Err() != nil {
			continue
		}
		outcomes, err := m.applyLog(log)
		if err != nil {
			m.halt(fmt.Errorf("apply entry %d: %w", log.Index, err))
			continue
		}
		if log.Type == raft.LogCommand {
			entries, requests = entries+1, requests+len(outcomes)
			responses[i] = outcomes
		}
	}
	m.wake()
	if observe := m.options.Observe.Applied; observe != nil && entries > 0 {
		observe(entries, requests)
	}
	return responses
}

// applyLog applies one entry whole, or returns why this node must stop. Damage
// found anywhere on the way ends here, and so does a panic outside a handler.
func (m *Machine) applyLog(log *raft.Log) (outcomes [][]byte, err error) {
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case store.Corruption:
			outcomes, err = nil, fault
		default:
			outcomes, err = nil, fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
		}
	}()
	switch log.Type {
	case raft.LogConfiguration:
		m.applied.Index, m.applied.Term, m.applied.Installed = log.Index, log.Term, false
		m.applied.Membership, m.applied.MembershipIndex = log.Data, log.Index
		m.db.Commit(m.applied)
		return nil, nil
	case raft.LogCommand:
		return m.applyEntry(log)
	default:
		return nil, fmt.Errorf("log entry of unknown type %d", log.Type)
	}
}

func (m *Machine) applyEntry(log *raft.Log) ([][]byte, error) {
	entry, err := OpenEntry(log.Data)
	if err != nil {
		return nil, err
	}
	if own := m.options.Salt.ID(); entry.SaltID != own {
		return nil, fmt.Errorf("the entry was sealed under chain salt %x, this node has %x", entry.SaltID, own)
	}
	a := application{machine: m, entry: &entry, index: log.Index}
	outcomes := make([][]byte, len(entry.Requests))
	for i, encoded := range entry.Requests {
		outcome, err := a.request(uint32(i), encoded)
		if err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
		outcomes[i] = EncodeOutcome(outcome)
	}
	writes := sha256.New()
	m.db.WriteSet(writes)
	m.extendDigest(log, writes)
	m.db.Commit(m.applied)
	return outcomes, nil
}

// application is one entry while it is being applied.
type application struct {
	machine *Machine
	entry   *Entry
	index   uint64
}

// request runs one request. An error means that this node cannot go on.
func (a *application) request(ordinal uint32, encoded store.Raw) (Outcome, error) {
	var r Request
	m := a.machine
	if err := store.Decode(encoded, &r); err != nil {
		return a.unreadable(err)
	}
	h, err := m.Handler(r.Command)
	if err != nil {
		return Outcome{}, err
	}
	now := max(a.entry.Time, m.applied.Time+1)
	a.dropOldRequests(now)
	m.applied.Time = now
	batch := m.db.Begin()
	if outcome, seen := m.remembered(batch, &r, now); seen {
		batch.Discard()
		return outcome, nil
	}
	ctx := m.context(batch, &r, now, m.applied.Version)
	ctx.Index, ctx.seed, ctx.ordinal = a.index, a.entry.Seed, ordinal
	result, err := m.run(ctx, h, &r)
	m.applied.Time = max(ctx.last, now)
	if err == nil && ctx.activate > 0 {
		if ctx.activate > NewestVersion {
			return Outcome{}, fmt.Errorf("version %d is put in force, this program knows up to %d", ctx.activate, NewestVersion)
		}
		m.applied.Version = ctx.activate
	}
	return a.settle(ctx, h, &r, result, err)
}

// unreadable refuses a request that no program can read. One that a newer
// program could have written stops this node instead.
func (a *application) unreadable(err error) (Outcome, error) {
	if fromNewer(err) {
		return Outcome{}, err
	}
	a.machine.options.Logger.Error("request cannot be read", "index", a.index, "error", err.Error())
	return Outcome{Index: a.index, Rejection: ErrInternal}, nil
}

// fromNewer tells that what failed to decode has fields this program does not
// know. Every other change of form has a name of its own.
func fromNewer(err error) bool {
	var unknown *cbor.UnknownFieldError
	return errors.As(err, &unknown)
}

// settle merges or drops the batch, remembers the outcome and puts it on the
// record. Refusals that the command does not declare pass: they are never
// remembered.
func (a *application) settle(ctx *Context, h Handler, r *Request, result []byte, err error) (Outcome, error) {
	outcome := Outcome{Index: a.index, Result: result}
	recorded, remembered := audited(h, r), true
	if err != nil {
		var refused declined
		kept := errors.As(err, &refused)
		rejection := refused.rejection
		if !kept {
			ctx.Batch.Discard()
			var ok bool
			if rejection, ok = AsRejection(err); !ok {
				return Outcome{}, err
			}
		}
		outcome.Rejection = rejection
		a.machine.rejected(r, rejection)
		remembered = r.KeepRejection && h.declares(rejection)
		switch {
		case kept:
		case !recorded && !remembered:
			return outcome, nil
		default:
			ctx.Batch = a.machine.db.Begin()
		}
	}
	if recorded {
		record(ctx, r, outcome.Rejection)
	}
	if remembered {
		requests.Put(ctx, ctx.Now, requestRow{ID: r.RequestID, BodyHash: r.BodyHash, Time: ctx.Now, Outcome: outcome})
	}
	ctx.Batch.Merge()
	return outcome, nil
}

func (m *Machine) rejected(r *Request, rejection *Rejection) {
	if observe := m.options.Observe.Rejected; observe != nil {
		observe(r.Command, rejection.Code)
	}
}

// context is called by dry runs too: it reads nothing that applying changes.
func (m *Machine) context(batch *store.Batch, r *Request, now store.Time, version uint32) *Context {
	return &Context{
		Batch:   batch,
		Now:     now,
		Actor:   r.Actor,
		Version: version,
		Salt:    m.options.Salt,
		machine: m,
		last:    now - 1,
	}
}

// run calls the hooks and the handler. A panic of a handler becomes the
// rejection internal_error: a request that can panic a handler must not be a
// request that stops the cluster for good. Damage is not recovered here.
func (m *Machine) run(ctx *Context, h Handler, r *Request) (result []byte, err error) {
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		if damage, ok := fault.(store.Corruption); ok {
			panic(damage)
		}
		m.options.Logger.Error("command handler panicked", "command", r.Command, "index", ctx.Index,
			"panic", fault, "stack", string(debug.Stack()))
		if observe := m.options.Observe.Panicked; observe != nil {
			observe(r.Command)
		}
		result, err = nil, ErrInternal
		if m.options.Strict {
			panic(fault)
		}
	}()
	if !h.system && frozen(ctx) {
		return nil, freezeReason(ctx)
	}
	for _, module := range m.before {
		if err := module.Before(ctx); err != nil {
			return nil, m.checkRejection(Handler{name: h.name, rejects: module.Refusals}, err)
		}
	}
	result, err = h.run(ctx, r.Payload)
	return result, m.checkRejection(h, err)
}

// checkRejection makes an error that is no rejection a failed command, and a
// payload of a newer program a reason to stop. In tests an undeclared rejection
// fails.
func (m *Machine) checkRejection(h Handler, err error) error {
	if err == nil {
		return nil
	}
	if errors.As(err, &undecodable{}) {
		if fromNewer(err) {
			return err
		}
		m.options.Logger.Error("request cannot be read", "command", h.name, "error", err.Error())
		return ErrInternal
	}
	var refused declined
	rejection, ok := AsRejection(err)
	if errors.As(err, &refused) {
		rejection, ok = refused.rejection, true
	}
	if !ok {
		panic(fmt.Errorf("%w: %w", errNoResult, err))
	}
	if m.options.Strict && !h.declares(rejection) && !(Handler{rejects: m.refusals}).declares(rejection) {
		panic(fmt.Sprintf("command %s answered %s, which it does not declare", h.name, rejection.Code))
	}
	return err
}
