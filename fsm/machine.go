package fsm

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"coffer/ledgerchain"
	"coffer/store"
)

// Options are what a machine is made of.
type Options struct {
	DB      *store.DB // opened with the Schema of the same modules
	Modules []Module
	Salt    *ledgerchain.Salt
	Node    string // this node's id, for logs
	// Retention is how long request ids are remembered, in microseconds.
	Retention func(store.Reader) int64
	Logger    *slog.Logger // slog.Default when nil
	// Halt is told once why the machine stopped applying: damage, an entry it
	// does not know, another salt. The process exits. Panics when nil.
	Halt    func(error)
	Observe Observer
	// Strict fails on a rejection its command does not declare; for tests.
	Strict bool
}

// Observer is told what the machine does; nil functions are skipped.
type Observer struct {
	Applied  func(entries, requests int)
	Rejected func(command, code string)
	Replayed func()
	Panicked func(command string)
	// Diverged is told that this node's digest of an entry is not the
	// leader's: it must stop serving.
	Diverged func(index uint64)
	// Compared is told the result of each assertion that this node applies.
	Compared func(Comparison)
}

// Machine applies log entries to the store. Raft calls it from one goroutine;
// everything else only reads views.
type Machine struct {
	options   Options
	db        *store.DB
	handlers  map[string]Handler
	before    []Module // those with a Before
	listeners map[string][]func(*Context, any) error
	refusals  Rejections // what any command may answer
	applied   store.Applied
	digests   digestRing
	halted    atomic.Pointer[error]

	mu      sync.Mutex
	waiters []waiter
	watches []chan struct{}
}

type waiter struct {
	index uint64
	done  chan struct{}
}

// NewMachine joins modules and store. Two commands or modules of one name are
// refused.
func NewMachine(o Options) (*Machine, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Halt == nil {
		o.Halt = func(err error) { panic(err) }
	}
	m := &Machine{
		options:   o,
		db:        o.DB,
		handlers:  map[string]Handler{},
		listeners: map[string][]func(*Context, any) error{},
		refusals:  Rejections{ErrKeyReused, ErrInternal, ErrWriteFrozen, ErrNoSpace},
	}
	names := map[string]bool{}
	for _, module := range WithSystem(o.Modules) {
		if names[module.Name] {
			return nil, fmt.Errorf("module %s is listed twice", module.Name)
		}
		names[module.Name] = true
		if err := m.add(module); err != nil {
			return nil, err
		}
	}
	view := m.db.Latest()
	defer view.Close()
	m.applied = view.Applied()
	if m.applied.Version == 0 {
		m.applied.Version = FirstVersion
	}
	if m.applied.Version > NewestVersion {
		return nil, fmt.Errorf("the state has version %d, this program knows up to %d", m.applied.Version, NewestVersion)
	}
	return m, nil
}

// The state-machine versions this program can run. A command of a higher one
// stops the node before it is applied.
const (
	FirstVersion  = 1
	NewestVersion = 1
)

func (m *Machine) add(module Module) error {
	for _, h := range module.Commands {
		if _, taken := m.handlers[h.name]; taken {
			return fmt.Errorf("command %s is registered twice", h.name)
		}
		m.handlers[h.name] = h
	}
	if module.Before != nil {
		m.before = append(m.before, module)
		m.refusals = m.refusals.And(module.Refusals...)
	}
	for _, l := range module.Listens {
		m.listeners[l.hook] = append(m.listeners[l.hook], l.run)
	}
	return nil
}

// Handlers lists every registered command.
func (m *Machine) Handlers() map[string]Handler { return m.handlers }

// Handler returns the handler of a command, or an error that names it.
func (m *Machine) Handler(command string) (Handler, error) {
	h, known := m.handlers[command]
	if !known {
		return Handler{}, fmt.Errorf("unknown command %q", command)
	}
	return h, nil
}

// Refusals lists what any command may answer besides its own rejections.
func (m *Machine) Refusals() Rejections { return m.refusals }

// Err tells why the machine stopped applying; nil while it runs.
func (m *Machine) Err() error {
	if err := m.halted.Load(); err != nil {
		return *err
	}
	return nil
}

// halt stops applying for good.
func (m *Machine) halt(err error) {
	if m.halted.CompareAndSwap(nil, &err) {
		m.options.Logger.Error("state machine halted", "err", err, "index", m.applied.Index)
		m.wake()
		m.options.Halt(err)
	}
}
