package ledgerchain

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestSealRefusesWithoutChangingTheState(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	state, _, _ := vectorChain(t)
	good := Draft{Kind: "transfer", Time: state.Head.Time + 1, Payload: []byte("{}")}
	for name, edit := range map[string]func(d *Draft){
		"same time":           func(d *Draft) { d.Time-- },
		"bad kind":            func(d *Draft) { d.Kind = "Transfer" },
		"no payload":          func(d *Draft) { d.Payload = nil },
		"payload too large":   func(d *Draft) { d.Payload = make([]byte, MaxPayload+1) },
		"too many links":      func(d *Draft) { d.Links = make([]Link, MaxLinks+1) },
		"rotation to nowhere": func(d *Draft) { d.Kind = KindSaltRotate },
		"rotation to garbage": func(d *Draft) { d.Kind, d.Payload = KindSaltRotate, []byte(`{"saltId":"B8291859"}`) },
	} {
		draft, after := good, state
		edit(&draft)
		if _, _, err := after.Seal(nil, salt, &draft); err == nil {
			t.Errorf("%s was accepted", name)
		}
		if !bytes.Equal(after.AppendBytes(nil), state.AppendBytes(nil)) {
			t.Errorf("%s changed the state", name)
		}
	}
	other := mustSalt(t, strings.Repeat("2", 32))
	if _, _, err := state.Seal(nil, other, &good); !errors.Is(err, ErrSalt) || !strings.Contains(err.Error(), "b8291859") || !strings.Contains(err.Error(), other.ID().String()) {
		t.Errorf("another salt: %v", err)
	}
	if _, _, err := state.Seal(nil, salt, &good); err != nil {
		t.Errorf("the good draft: %v", err)
	}
}

func TestCopiesOfAStateAreIndependent(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	state, _, _ := vectorChain(t)
	before := state.AppendBytes(nil)
	copied := state
	for i := range 40 {
		draft := Draft{Kind: "transfer", Time: state.Head.Time + 1 + int64(i), Payload: []byte("{}")}
		if _, _, err := copied.Seal(nil, salt, &draft); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(state.AppendBytes(nil), before) {
		t.Error("sealing with a copy changed the original")
	}
}

func TestSealDoesNotAllocate(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	state := NewState(vectorLedger)
	row := make([]byte, 0, 1024)
	payload := []byte(vectorPayloads[1])
	allocations := testing.AllocsPerRun(100, func() {
		draft := Draft{Kind: "transfer", Time: state.Head.Time + 1, Payload: payload}
		if _, _, err := state.Seal(row, salt, &draft); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 0 && !raceEnabled {
		t.Errorf("%v allocations", allocations)
	}
}

func TestParseState(t *testing.T) {
	empty := NewState(vectorLedger)
	state, _, _ := vectorChain(t)
	for _, s := range []*State{&empty, &state} {
		b := s.AppendBytes(nil)
		parsed, err := ParseState(b)
		if err != nil || parsed.Head != s.Head || parsed.Tree.Root() != s.Tree.Root() {
			t.Errorf("parsed %+v, %v", parsed, err)
		}
		for n := range b {
			if _, err := ParseState(b[:n]); err == nil {
				t.Errorf("a state cut after %d bytes was accepted", n)
			}
		}
	}
	other := state
	other.Head.Size++
	if _, err := ParseState(other.AppendBytes(nil)); err == nil {
		t.Error("head and tree of different size were accepted")
	}
}

func FuzzParseState(f *testing.F) {
	empty := NewState(vectorLedger)
	state, _, _ := vectorChain(f)
	f.Add(empty.AppendBytes(nil))
	f.Add(state.AppendBytes(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		state, err := ParseState(b)
		if err != nil {
			return
		}
		if again := state.AppendBytes(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
		state.Tree.Root()
	})
}
