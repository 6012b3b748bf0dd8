package fsm

import "coffer/store"

// Module is one domain: its tables, commands and what always holds for them.
type Module struct {
	Name       string
	Tables     []store.Shape
	Commands   []Handler
	Invariants []Invariant
	// Before runs ahead of each handler, in module order and in the same batch;
	// an error refuses the request. It may answer Refusals.
	Before   func(*Context) error
	Refusals Rejections
	Listens  []Listener
}

// Invariant is a statement about the whole state that every entry preserves.
type Invariant struct {
	Name  string
	Check func(r *store.View) error
}

// Hook is something a core domain starts and others must follow, such as the
// deletion of an account. Listeners run in module order, in the same batch.
type Hook[T any] struct{ name string }

// NewHook declares a hook.
func NewHook[T any](name string) Hook[T] { return Hook[T]{name: name} }

// Listener is one module's answer to a hook.
type Listener struct {
	hook string
	run  func(ctx *Context, event any) error
}

// Listen makes the listener a module registers.
func (h Hook[T]) Listen(run func(ctx *Context, event T) error) Listener {
	return Listener{hook: h.name, run: func(ctx *Context, event any) error { return run(ctx, event.(T)) }}
}

// Fire runs all listeners; the first error refuses the command.
func (h Hook[T]) Fire(ctx *Context, event T) error {
	for _, run := range ctx.machine.listeners[h.name] {
		if err := run(ctx, event); err != nil {
			return err
		}
	}
	return nil
}

// Schema collects the tables of all modules and of the machine itself.
func Schema(modules []Module) (*store.Schema, error) {
	var shapes []store.Shape
	for _, module := range WithSystem(modules) {
		shapes = append(shapes, module.Tables...)
	}
	return store.NewSchema(shapes...)
}
