package fsm_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/fsm"
	"coffer/ledgerchain"
	"coffer/store"
)

func exampleEntry() fsm.Entry {
	request := fsm.Request{Command: "probe.add/1", Actor: fsm.Actor{Kind: fsm.User, ID: "usr_1", Session: "ses_1"},
		RequestID: fsm.RequestID{1}, BodyHash: [32]byte{2}, KeepRejection: true, Payload: store.Encode(&add{Name: "a", By: -1})}
	return fsm.Entry{SaltID: ledgerchain.SaltID{1, 2, 3, 4}, Time: 77, Seed: [16]byte{9},
		Requests: []store.Raw{store.Encode(&request), store.Encode(&request)}}
}

// checked puts a right checksum behind any bytes.
func checked(encoded []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(encoded), crc32.Checksum(encoded, crc32.MakeTable(crc32.Castagnoli)))
}

func TestAnEntryOpensAsItWasSealed(t *testing.T) {
	want := exampleEntry()
	sealed := fsm.Seal(want)
	if err := fsm.CheckSeal(sealed); err != nil {
		t.Fatal(err)
	}
	got, err := fsm.OpenEntry(sealed)
	if err != nil {
		t.Fatal(err)
	}
	want.Format = 1
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := fsm.Seal(got); !bytes.Equal(again, sealed) {
		t.Errorf("sealed again: %x, want %x", again, sealed)
	}
}

func TestEveryFlippedBitOfAnEntryIsFound(t *testing.T) {
	sealed := fsm.Seal(exampleEntry())
	for i := range len(sealed) * 8 {
		damaged := bytes.Clone(sealed)
		damaged[i/8] ^= 1 << (i % 8)
		if _, err := fsm.OpenEntry(damaged); err == nil {
			t.Fatalf("bit %d may be flipped", i)
		}
		if fsm.CheckSeal(damaged) == nil {
			t.Fatalf("bit %d may be flipped: the checksum still fits", i)
		}
	}
	for cut := range len(sealed) {
		if _, err := fsm.OpenEntry(sealed[:cut]); err == nil {
			t.Fatalf("an entry cut at %d opens", cut)
		}
	}
}

// These have a right checksum: what is refused is their form.
func TestEntriesOfAnotherFormAreRefused(t *testing.T) {
	body := func(change func(*fsm.Entry)) []byte {
		e := exampleEntry()
		e.Format = 1
		change(&e)
		return store.Encode(&e)
	}
	type wider struct {
		fsm.Entry
		More int `cbor:"6,keyasint"`
	}
	whole := body(func(*fsm.Entry) {})
	for name, encoded := range map[string][]byte{
		"nothing":             {},
		"format 0":            body(func(e *fsm.Entry) { e.Format = 0 }),
		"format 2":            body(func(e *fsm.Entry) { e.Format = 2 }),
		"an unknown field":    store.Encode(&wider{Entry: fsm.Entry{Format: 1}, More: 1}),
		"bytes behind it":     append(bytes.Clone(whole), 0),
		"a tag before it":     append([]byte{0xc1}, whole...),
		"an array":            {0x80},
		"a number":            {0x01},
		"a map without end":   {0xbf, 0xff},
		"a field twice":       {0xa2, 0x01, 0x01, 0x01, 0x01},
		"a negative format":   {0xa1, 0x01, 0x20},
		"text that is no one": {0xa1, 0x61, 0xff, 0x01},
	} {
		if e, err := fsm.OpenEntry(checked(encoded)); err == nil {
			t.Errorf("%s opens as %+v", name, e)
		}
	}
}

func FuzzOpenEntry(f *testing.F) {
	sealed := fsm.Seal(exampleEntry())
	f.Add(sealed[:len(sealed)-4])
	f.Add([]byte{})
	f.Add([]byte{0xa1, 0x01, 0x01})
	f.Add(bytes.Repeat([]byte{0x81}, 64))
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		_, _ = fsm.OpenEntry(encoded)
		e, err := fsm.OpenEntry(checked(encoded))
		if err != nil {
			return
		}
		again, err := fsm.OpenEntry(fsm.Seal(e))
		if err != nil {
			t.Fatalf("an opened entry does not open again: %v", err)
		}
		if !cmp.Equal(store.Encode(&e), store.Encode(&again)) {
			t.Fatalf("%+v became %+v", e, again)
		}
		for _, encoded := range e.Requests {
			var r fsm.Request
			_ = store.Decode(encoded, &r)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	for _, encoded := range exampleEntry().Requests {
		f.Add([]byte(encoded))
	}
	f.Add([]byte{0xf6})
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var r fsm.Request
		if store.Decode(encoded, &r) != nil || len(r.Payload) == 0 {
			return
		}
		var again fsm.Request
		if err := store.Decode(store.Encode(&r), &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzDecodeOutcome(f *testing.F) {
	f.Add(fsm.EncodeOutcome(fsm.Outcome{Index: 7, Result: store.Encode(&added{Value: 1}), Replayed: true}))
	f.Add(fsm.EncodeOutcome(fsm.Outcome{Index: 7, Rejection: errLow.With(fsm.Text("a", "b"), fsm.Number("c", -1))}))
	f.Add([]byte{0xa1, 0x03, 0xf6})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		o, err := fsm.DecodeOutcome(encoded)
		if err != nil {
			return
		}
		if o.Rejection != nil {
			_ = o.Rejection.Error()
		}
		again, err := fsm.DecodeOutcome(fsm.EncodeOutcome(o))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(fsm.EncodeOutcome(o), fsm.EncodeOutcome(again)) {
			t.Fatalf("%+v became %+v", o, again)
		}
	})
}
