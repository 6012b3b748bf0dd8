package fsm_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/ledgerchain"
	"coffer/store"
)

// chainModule only brings the tables that a founded ledger needs.
func chainModule() fsm.Module { return fsm.Module{Name: "chain", Tables: ledgerchain.Tables()} }

func open(t *testing.T, modules ...fsm.Module) *store.DB {
	t.Helper()
	schema, err := fsm.Schema(modules)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "state.db"), Schema: schema, Stamp: []byte("test")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func options(db *store.DB, modules ...fsm.Module) fsm.Options {
	return fsm.Options{DB: db, Modules: modules, Retention: func(store.Reader) int64 { return store.Day }}
}

func TestDuplicateNamesAreRefused(t *testing.T) {
	twice := fsm.Module{Name: "other", Commands: []fsm.Handler{fsm.Handle(addTo, addHandler)}}
	system := fsm.Module{Name: "other", Commands: []fsm.Handler{
		fsm.Handle(fsm.Command[add, added]{Name: fsm.BeginTerm.Name}, addHandler)}}
	db := open(t, module())
	for name, c := range map[string]struct {
		modules []fsm.Module
		want    string
	}{
		"a command twice":       {[]fsm.Module{module(), twice}, "command probe.add/1 is registered twice"},
		"a command of ours":     {[]fsm.Module{module(), system}, "command system.begin_term/1 is registered twice"},
		"a module twice":        {[]fsm.Module{module(), module()}, "module probe is listed twice"},
		"a module named system": {[]fsm.Module{{Name: "system"}}, "module system is listed twice"},
	} {
		if _, err := fsm.NewMachine(options(db, c.modules...)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	same := fsm.Module{Name: "other", Tables: []store.Shape{store.NewJournal[counter]("probe.counters")}}
	if _, err := fsm.Schema([]fsm.Module{module(), same}); err == nil {
		t.Error("two tables of one name are accepted")
	}
	if _, err := fsm.Schema([]fsm.Module{module(), {Name: "x", Tables: []store.Shape{counters}}}); err == nil {
		t.Error("one table in two modules is accepted")
	}
}

func TestAStateOfANewerProgramIsRefused(t *testing.T) {
	db := open(t, module())
	db.Commit(store.Applied{Index: 1, Term: 1, Version: fsm.NewestVersion + 1})
	if m, err := fsm.NewMachine(options(db, module())); err == nil || !contains(err.Error(), "the state has version") {
		t.Errorf("it gives %v, %v", m, err)
	}
}

func TestHandlersAreListed(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	handlers := p.Machine.Machine().Handlers()
	p.Equal(len(handlers), 12+4)
	h := handlers["probe.add/1"]
	p.Equal(h.Name(), "probe.add/1")
	p.Equal(len(h.Rejects()), 1)
	if _, ok := h.Input().(*add); !ok {
		t.Errorf("its input is a %T", h.Input())
	}
	for name, h := range handlers {
		p.Equal(h.Name(), name)
	}
}

// The version in force reaches handlers, in the log and in a dry run.
func TestHandlersKnowTheVersionInForce(t *testing.T) {
	var versions []uint32
	look := fsm.Command[add, added]{Name: "version.look/1"}
	p := newProbe(t, fsmtest.Options{Unchecked: true, Modules: []fsm.Module{module(), {Name: "version", Commands: []fsm.Handler{
		fsm.Handle(look, func(ctx *fsm.Context, _ add) (added, error) {
			versions = append(versions, ctx.Version)
			return added{}, nil
		})}}}})
	fsmtest.Must(p.Machine, look, add{})
	_, err := p.try(fsmtest.Request(p.Machine, look, add{}))
	p.Equal(err, nil)
	p.Equal(versions, []uint32{fsm.FirstVersion, fsm.FirstVersion})
	p.Read(func(v *store.View) { p.Equal(v.Applied().Version, uint32(fsm.FirstVersion)) })
}

func TestAMachineWithoutHaltPanics(t *testing.T) {
	salt, err := ledgerchain.NewSalt([]byte(fsmtest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	o := options(open(t, module()), module())
	o.Salt, o.Logger = salt, slog.New(slog.DiscardHandler)
	m, err := fsm.NewMachine(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a machine nobody listens to goes on")
		}
	}()
	p := &probe{Machine: fsmtest.New(t, fsmtest.Options{Modules: []fsm.Module{module()}, Unfounded: true})}
	bad := p.Sealed()
	bad.Data[0] ^= 1
	m.Apply(bad)
}
