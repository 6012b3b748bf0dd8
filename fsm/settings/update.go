package settings

import (
	"coffer/fsm"
	"coffer/store"
)

// value is a setting somebody has set.
type value struct {
	Name string     `cbor:"1,keyasint"`
	Text string     `cbor:"2,keyasint"`
	By   string     `cbor:"3,keyasint"`
	At   store.Time `cbor:"4,keyasint"`
}

// Changed is one line of the history of settings.
type Changed struct {
	Name   string     `cbor:"1,keyasint"`
	Before string     `cbor:"2,keyasint,omitempty"`
	After  string     `cbor:"3,keyasint,omitempty"`
	Reset  bool       `cbor:"4,keyasint,omitempty"` // back to the default
	By     string     `cbor:"5,keyasint"`
	At     store.Time `cbor:"6,keyasint"`
}

var (
	values  = store.NewTable("settings.values", func(v *value) store.ID { return store.ID(v.Name) })
	history = store.NewJournal[Changed]("settings.history")
)

// Change is one value to set, or to take back.
type Change struct {
	Name  string `cbor:"1,keyasint"`
	Text  string `cbor:"2,keyasint,omitempty"`
	Reset bool   `cbor:"3,keyasint,omitempty"` // back to the default
}

// Update is the input of UpdateSettings: all of it or nothing.
type Update struct {
	By      string   `cbor:"1,keyasint"` // "environment", or who the operator says to be
	Changes []Change `cbor:"2,keyasint"`
}

// Updated says how many values differ from before.
type Updated struct {
	Count int64 `cbor:"1,keyasint"`
}

// Rejections of UpdateSettings.
var (
	ErrUnknown = fsm.Reject(fsm.NotFound, "unknown_setting")
	ErrInvalid = fsm.Reject(fsm.Invalid, "invalid_setting")
)

// UpdateSettings changes business values for all nodes at once. Only operators
// and the leader, for its environment, may.
var UpdateSettings = fsm.Command[Update, Updated]{
	Name:    "settings.update/1",
	Rejects: fsm.Rejections{ErrUnknown, ErrInvalid, fsm.ErrNotPermitted},
	System:  true,
}

func update(ctx *fsm.Context, c Update) (Updated, error) {
	if ctx.Actor.Kind != fsm.Node && ctx.Actor.Kind != fsm.Operator {
		return Updated{}, fsm.ErrNotPermitted
	}
	var updated Updated
	for _, change := range c.Changes {
		setting, known := Find(change.Name)
		if !known {
			return Updated{}, ErrUnknown.With(fsm.Text("name", change.Name))
		}
		if err := setting.Check(change.Text); err != nil && !change.Reset {
			return Updated{}, ErrInvalid.With(fsm.Text("name", change.Name), fsm.Text("reason", err.Error()))
		}
		if apply(ctx, setting, change, c.By) {
			updated.Count++
		}
	}
	return updated, nil
}

// apply changes one value and tells whether it was another before.
func apply(ctx *fsm.Context, setting *Setting, change Change, by string) bool {
	before, set := values.Get(ctx, store.ID(change.Name))
	if change.Reset && !set || set && !change.Reset && before.Text == change.Text {
		return false
	}
	if change.Reset {
		change.Text = ""
		values.Delete(ctx, store.ID(change.Name))
	} else {
		values.Put(ctx, value{Name: change.Name, Text: change.Text, By: by, At: ctx.Now})
	}
	history.Add(ctx, Changed{Name: change.Name, Before: before.Text, After: change.Text, Reset: change.Reset, By: by, At: ctx.Now})
	return true
}

// Revision rises with every change; equal revisions mean equal settings.
func Revision(r store.Reader) uint64 { return history.Length(r) }

// Current is one setting as it stands.
type Current struct {
	Setting *Setting
	Text    string
	Origin  string // "default", or who set it
	At      store.Time
}

// List returns every setting with its value and origin.
func List(r store.Reader) []Current {
	list := make([]Current, 0, len(declared))
	for _, s := range declared {
		current := Current{Setting: s, Text: s.Text(r), Origin: "default"}
		if row, ok := values.Get(r, store.ID(s.Name)); ok {
			current.Origin, current.At = row.By, row.At
		}
		list = append(list, current)
	}
	return list
}

// History returns the latest changes, newest first.
func History(r store.Reader, limit int) []Changed {
	var changes []Changed
	for i := history.Length(r); i > 0 && len(changes) < limit; i-- {
		changes = append(changes, history.At(r, i-1))
	}
	return changes
}

// Module is the domain for the list of all domains.
func Module() fsm.Module {
	return fsm.Module{
		Name:     "settings",
		Tables:   []store.Shape{values, history},
		Commands: []fsm.Handler{fsm.Handle(UpdateSettings, update)},
	}
}
