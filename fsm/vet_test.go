package fsm_test

import (
	"bytes"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

// nested is so many lists in each other.
func nested(levels int) store.Raw {
	return append(bytes.Repeat([]byte{0x81}, levels), 0x01)
}

// TestWhatWouldStopANodeIsVetted: what another program has encoded may stop
// every node that applies it, and at every start again.
func TestWhatWouldStopANodeIsVetted(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	good := p.ask(1, "a", 1)
	if err := p.Machine.Machine().Vet(store.Encode(&good)); err != nil {
		t.Errorf("a good request is refused: %v", err)
	}
	unknown, later, wider, deep := p.ask(2, "a", 1), p.ask(3, "a", 1), p.ask(4, "a", 1), p.ask(5, "a", 1)
	unknown.Command, later.Command = "probe.later/1", "probe.add/2"
	wider.Payload = store.Encode(&struct {
		add
		More int `cbor:"3,keyasint"`
	}{add{"a", 1}, 1})
	deep.Payload = nested(store.MaxNesting - 1)
	request := struct {
		fsm.Request
		More int `cbor:"8,keyasint"`
	}{Request: p.ask(6, "a", 1), More: 1}
	for name, encoded := range map[string]store.Raw{
		"nothing":                    nil,
		"an unknown command":         store.Encode(&unknown),
		"a newer command":            store.Encode(&later),
		"a newer payload":            store.Encode(&wider),
		"a newer request":            store.Encode(&request),
		"a payload of another type":  p.encoded(store.Encode("text")),
		"a payload that is too deep": store.Encode(&deep),
	} {
		if err := p.Machine.Machine().Vet(encoded); err == nil {
			t.Errorf("%s is let into the log", name)
		}
	}
}

// TestAnEntryOfWellFormedRequestsOpens: an entry that is sealed and cannot be
// opened would stop every node.
func TestAnEntryOfWellFormedRequestsOpens(t *testing.T) {
	p, refused := newProbe(t, fsmtest.Options{}), 0
	for levels := range store.MaxNesting + 4 {
		request := nested(levels)
		if store.WellFormed(request) != nil {
			refused++
			continue
		}
		e := p.Entry()
		e.Requests = []store.Raw{request}
		if _, err := fsm.OpenEntry(fsm.Seal(e)); err != nil {
			t.Errorf("%d levels are well-formed alone but not in an entry: %v", levels, err)
		}
	}
	if refused == 0 || refused > 7 {
		t.Errorf("%d depths are refused", refused)
	}
}
