package ledger_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/fsm/outbox"
	"coffer/ledgerchain"
	"coffer/store"
)

func salt(t *testing.T) *ledgerchain.Salt {
	t.Helper()
	s, err := ledgerchain.NewSalt([]byte(fsmtest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnExternalEntryIsAFactWithoutMoney(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	ann := b.Register("ann@example.org")
	meta, err := ledger.Canonical([]byte(`{"z": 1, "actor": "somebody else", "a": {"c": true, "b": ["x"]}, "quote\"d": "y"}`))
	if err != nil {
		t.Fatal(err)
	}
	in := ledger.External{Kind: "settlement", From: " Shop-7 ", Amount: -5, Currency: "EUR", Meta: meta}
	got := fsmtest.Must(b.Machine, ledger.AppendExternal, in)
	actor := salt(t).Blind("user:" + ann.ID)
	b.Equal(string(got.Meta), `{"a":{"b":["x"],"c":true},"actor":"`+actor+`","quote\"d":"y","z":1}`)
	b.Equal([]any{got.Height, got.From, got.To}, []any{uint64(2), salt(t).Blind("shop-7"), ""})
	b.Read(func(v *store.View) {
		f, ok := ledger.FindEntry(v, got.ID)
		b.Equal(ok, true)
		b.Equal([]any{f.Module, f.Kind, f.Amount, f.Currency, len(f.Legs), f.Private == nil}, []any{"external", "settlement", int64(-5), "EUR", 0, true})
		b.Equal([]any{f.Entry.Chain.String(), f.Entry.Prev.String()}, []any{got.Hash, got.PrevHash})
		head, err := ledger.HeadOf(v)
		b.Equal(err, nil)
		b.Equal([]any{head.Height, head.Hash, head.ID, head.At}, []any{got.Height, got.Hash, got.ID, got.At})
		e := outbox.At(v, outbox.Length(v)-1)
		b.Equal([]any{e.Kind, e.First, e.Count, e.Users}, []any{"ledger.appended", uint64(2), uint64(1), []store.ID{store.ID(ann.ID)}})
	})
	plain := fsmtest.Must(b.Machine, ledger.AppendExternal, ledger.External{Kind: "mint", To: "x", Amount: 1, Currency: "USD"})
	b.Equal(string(plain.Meta), `{"actor":"`+actor+`"}`)
	b.Equal(plain.PrevHash, got.Hash)
}

// What the door must not let through fails and leaves the chain as it is.
func TestAnExternalEntryOutOfFormIsAFailedCommand(t *testing.T) {
	b := bank.New(t, fsmtest.Options{Lenient: true})
	b.Register("ann@example.org")
	for name, in := range map[string]ledger.External{
		"a kind in capitals":        {Kind: "MINT", Amount: 1, Currency: "USD"},
		"no kind":                   {Amount: 1, Currency: "USD"},
		"a kind that is too long":   {Kind: strings.Repeat("a", 65), Amount: 1, Currency: "USD"},
		"meta that is too long":     {Kind: "mint", Amount: 1, Currency: "USD", Meta: []byte(`{"a":"` + strings.Repeat("x", 17<<10) + `"}`)},
		"an identifier without end": {Kind: "mint", From: strings.Repeat("x", 100), Amount: 1, Currency: strings.Repeat("U", 17<<10)},
	} {
		t.Run(name, func(t *testing.T) { fsmtest.Rejects(b.Machine, ledger.AppendExternal, in, fsm.ErrInternal) })
	}
	for _, meta := range []string{`{"b":1,"a":1}`, `{"a":1,"a":2}`, `{"a":1.5}`, `{"a":null}`, `[1]`, `{"a":`, "\xff"} {
		err := bank.Submit(b, ledger.AppendExternal, ledger.External{Kind: "mint", Amount: 1, Currency: "USD", Meta: []byte(meta)})
		if refused, ok := fsm.AsRejection(err); err != nil && (!ok || !refused.Is(fsm.ErrInternal)) {
			t.Errorf("meta %s gives %v", meta, err)
		}
	}
	b.Read(func(v *store.View) {
		for i := range ledger.Size(v) {
			f := ledger.FactAt(v, i)
			if _, err := ledgerchain.Canonicalize(ledgerchain.RowAt(v, i).Payload()); err != nil {
				t.Errorf("entry %d, meta %s: %v", i, f.Meta, err)
			}
		}
	})
}

func TestEntriesAreCountedByHourAndModule(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	hour := int64(b.Clock) / store.Hour
	b.Register("ann@example.org")
	external := func(amount int64) {
		fsmtest.Must(b.Machine, ledger.AppendExternal, ledger.External{Kind: "mint", Amount: amount, Currency: "USD"})
	}
	external(-7)
	external(3)
	b.Clock = store.Time((hour + 2) * store.Hour)
	external(1 << 62)
	external(1 << 62)
	pay(b, leg{"a", "b", 1})
	b.Read(func(v *store.View) {
		b.Equal(ledger.CountsSince(v, 0+store.Time(hour*store.Hour), b.Clock), []ledger.Count{
			{Hour: hour, Kind: "mint", Entries: 2}, {Hour: hour, Kind: "transfer", Entries: 1},
			{Hour: hour + 2, Kind: "mint", Entries: 2}, {Hour: hour + 2, Kind: "transfer", Entries: 1}})
		b.Equal(len(ledger.CountsSince(v, b.Clock, b.Clock)), 2)
		b.Equal(ledger.ModuleSums(v), []ledger.ModuleSum{
			{Module: "external", Entries: 4, Volume: 1<<63 - 1}, {Module: "vault", Entries: 2, Volume: 2}})
	})
}

func TestAScanIsPutOnRecord(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	b.AsNode(func() {
		fsmtest.Must(b.Machine, fsm.RaiseAlarm, fsm.AlarmChange{Kind: fsm.NoSpace, Node: "n"}) // scans go on
		fsmtest.Must(b.Machine, ledger.RecordScan, ledger.Scan{To: 1, OK: true, Extends: true, Head: []byte("h")})
	})
	latest := func() (s ledger.Scan) {
		b.Read(func(v *store.View) {
			var ok bool
			s, ok = ledger.LatestScan(v)
			b.Equal(ok, true)
		})
		return s
	}
	first := latest()
	b.Equal([]any{first.At, first.Recorded}, []any{b.Clock, b.Clock}) // there was nothing to extend
	b.Advance(store.Hour)
	b.AsNode(func() { fsmtest.Must(b.Machine, ledger.RecordScan, ledger.Scan{To: 1, OK: true, Extends: true}) })
	b.Equal([]any{latest().At, latest().Recorded}, []any{first.At, b.Clock})
	b.AsNode(func() {
		fsmtest.Must(b.Machine, ledger.RecordScan, ledger.Scan{To: 1, BrokenAt: 1, Reason: "entry_hash_mismatch"})
	})
	b.Equal([]any{latest().At, latest().OK, latest().BrokenAt}, []any{b.Clock, false, uint64(1)})
	b.Read(func(v *store.View) {
		e := outbox.At(v, outbox.Length(v)-1)
		b.Equal(e.Facts, []fsm.Detail{fsm.Number("valid", 0), fsm.Number("height", 1), fsm.Number("brokenAt", 1)})
	})
}

func TestVerifyRecomputesTheChain(t *testing.T) {
	b := newVault(t, fsmtest.Options{Unchecked: true})
	for i := range 9 {
		pay(b, leg{"a", "b", ledger.Amount(i + 1)})
	}
	ring, err := ledgerchain.NewKeyRing(salt(t))
	if err != nil {
		t.Fatal(err)
	}
	verify := func(from, to uint64) (found ledger.Verified) {
		t.Helper()
		b.Read(func(v *store.View) {
			var err error
			found, err = ledger.Verify(v, ring, from, to)
			b.Equal(err, nil)
		})
		return found
	}
	var head ledger.Head
	b.Read(func(v *store.View) { head, _ = ledger.HeadOf(v) })
	for _, from := range []uint64{0, 1, 5, 10} {
		found := verify(from, 99)
		b.Equal([]any{found.Fault == nil, found.To, found.Head.String()}, []any{true, uint64(10), head.Hash})
	}
	// One letter of a payload is another, under a checksum that fits.
	b.Edit(func(tx *bbolt.Tx) error {
		const bucket = "ledgerchain.entries"
		key := binary.BigEndian.AppendUint64(nil, 6)
		row := string(tx.Bucket([]byte(bucket)).Get(key))
		changed := strings.Replace(row[:len(row)-4], `"module":"vault"`, `"module":"VAULT"`, 1)
		return tx.Bucket([]byte(bucket)).Put(key, fsmtest.SealRow(bucket, key, []byte(changed)))
	})
	for _, from := range []uint64{0, 3, 6} {
		found := verify(from, 99)
		if found.Fault == nil || found.Fault.Index != 6 {
			t.Errorf("from %d: %v", from, found.Fault)
		}
	}
	b.Equal(verify(0, 6).Fault == nil, true)
	b.Equal(verify(7, 99).Fault == nil, true) // taken at its word
}

func TestAnEmptyChainVerifies(t *testing.T) {
	b := bank.New(t, fsmtest.Options{})
	b.Read(func(v *store.View) {
		found, err := ledger.Verify(v, nil, 0, 5)
		b.Equal([]any{found.Fault == nil, found.To, err}, []any{true, uint64(0), nil})
		head, err := ledger.HeadOf(v)
		b.Equal([]any{head.Height, head.Hash, head.ID, err}, []any{uint64(0), found.Head.String(), "", nil})
	})
	unfounded := bank.New(t, fsmtest.Options{Unfounded: true})
	unfounded.Read(func(v *store.View) {
		found, err := ledger.Verify(v, nil, 0, 5)
		b.Equal([]any{found.Fault == nil, err}, []any{true, nil})
		if _, err := ledger.HeadOf(v); err == nil {
			t.Error("a ledger without a name has a head")
		}
	})
}
