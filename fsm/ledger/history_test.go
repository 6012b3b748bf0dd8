package ledger_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/ledgerchain"
	"coffer/store"
)

// place is a movement as the tests count: newest first by height, then by leg.
type place struct {
	Height uint64
	Leg    int
}

// histories are what a plain list says about each account and owner.
type histories map[string][]place

func (h histories) add(name string, p place) { h[name] = append([]place{p}, h[name]...) }

var owners = map[store.ID]string{"a": "ann", "b": "ann", "c": "bob"}

// someMoney makes random transactions and returns their histories.
func someMoney(b *bank.Bank, random *rand.Rand, transactions int) histories {
	want := histories{}
	want.add("a", place{1, 1})
	want.add("ann", place{1, 1})
	want.add("funding:KZT", place{1, 0})
	ids := []store.ID{"a", "b", "c", "d", "other"}
	for range transactions {
		legs := []leg{{ledger.System(ledger.Funding, "KZT"), ids[random.IntN(len(ids))], ledger.Amount(1 + random.IntN(9))}}
		for range random.IntN(3) {
			from, to := ids[random.IntN(len(ids))], ids[random.IntN(len(ids))]
			if from != to && account(b, from).Available() > 10 {
				legs = append(legs, leg{from, to, 1})
			}
		}
		made := pay(b, legs...)
		b.Read(func(v *store.View) {
			for i, l := range ledger.FactAt(v, made.Height-1).Legs {
				p := place{made.Height, i}
				want.add(string(l.Account), p)
				if owner := owners[l.Account]; owner != "" {
					want.add(owner, p)
				}
			}
		})
	}
	return want
}

// history is the one of an account or of an owner.
func history(v *store.View, name string) ledger.History {
	if name == "ann" || name == "bob" {
		return ledger.HistoryOfOwner(v, store.ID(name))
	}
	return ledger.HistoryOf(v, store.ID(name))
}

// read walks a history page by page to its end.
func read(t *testing.T, h ledger.History, after store.Cursor, limit int, keep func(*ledger.Movement) bool) (all []place) {
	t.Helper()
	for range 10_000 {
		page, next, err := h.Page(after, limit, keep)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > limit {
			t.Fatalf("a page of %d has %d movements", limit, len(page))
		}
		for _, m := range page {
			all = append(all, place{m.Height, m.Leg})
		}
		if next == nil {
			return all
		}
		after = next
	}
	t.Fatal("the history does not end")
	return nil
}

func every(*ledger.Movement) bool { return true }

func cursor(p place) store.Cursor {
	return append(binary.BigEndian.AppendUint64(nil, p.Height), byte(p.Leg))
}

func TestHistoriesComeInPages(t *testing.T) {
	seed := fsmtest.RandomSeed()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := newVault(t, fsmtest.Options{FlushBytes: 8 << 10})
	want := someMoney(b, random, 60)
	b.Read(func(v *store.View) {
		for name, places := range want {
			for _, limit := range []int{1, 2, 3, 7, 500} {
				b.Equal(read(t, history(v, name), nil, limit, every), places)
			}
			even := func(m *ledger.Movement) bool { return m.Height%2 == 0 }
			odd := slices.DeleteFunc(slices.Clone(places), func(p place) bool { return p.Height%2 != 0 })
			b.Equal(read(t, history(v, name), nil, 2, even), odd)
			if page, next, err := history(v, name).Page(nil, len(places), every); err != nil || next != nil || len(page) != len(places) {
				t.Errorf("%s: a page of the whole history gives %d of %d, a next %v, %v", name, len(page), len(places), next, err)
			}
		}
		for _, name := range []string{"nobody", "z"} {
			page, next, err := history(v, name).Page(nil, 10, every)
			b.Equal([]any{len(page), next == nil, err}, []any{0, true, nil})
		}
	})
}

// Every place of the chain is tried as a cursor on every history: it leads to
// what is behind it there, or is refused where the place is somebody else's.
func TestACursorOfSomebodyElseIsRefused(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	want := someMoney(b, rand.New(rand.NewPCG(1, 2)), 15)
	b.Read(func(v *store.View) {
		for name, places := range want {
			for height := range ledgerchain.Size(v) + 2 {
				for leg := range 18 {
					p := place{height, leg}
					page, _, err := history(v, name).Page(cursor(p), 500, every)
					at := slices.Index(places, p)
					if at < 0 {
						if !errors.Is(err, store.ErrCursor) {
							t.Fatalf("%s: a cursor at %v, which is not its own, gives %d movements, %v", name, p, len(page), err)
						}
						continue
					}
					if err != nil || len(page) != len(places)-at-1 {
						t.Fatalf("%s: behind %v are %d movements, %v, want %d", name, p, len(page), err, len(places)-at-1)
					}
				}
			}
			for _, damaged := range []store.Cursor{{1}, make([]byte, 8), make([]byte, 10), slices.Repeat([]byte{0xff}, 9)} {
				if _, _, err := history(v, name).Page(damaged, 5, every); !errors.Is(err, store.ErrCursor) {
					t.Fatalf("%s: the cursor %x gives %v", name, damaged, err)
				}
			}
		}
	})
}

func TestAHistoryMayEndAtATime(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	var times []store.Time
	for range 5 {
		b.Advance(store.Hour)
		pay(b, leg{"a", "b", 1})
		b.Read(func(v *store.View) { times = append(times, v.Applied().Time) })
	}
	b.Read(func(v *store.View) {
		for i, at := range times {
			b.Equal(len(read(t, history(v, "a").Since(at), nil, 2, every)), len(times)-i)
			b.Equal(len(read(t, history(v, "ann").Since(at+1), nil, 2, every)), 2*(len(times)-i-1))
		}
		b.Equal(len(read(t, history(v, "a").Since(0), nil, 2, every)), len(times)+1)
	})
}

// A page looks at so many rows and no more, whatever it keeps.
func TestAPageExaminesABoundedNumberOfRows(t *testing.T) {
	b := bank.New(t, fsmtest.Options{Unchecked: true})
	b.Register("ann@example.org")
	from, to := b.Open("KZT", "", 100_000), b.Open("KZT", "to", 0)
	rows := make([]wallet.Transfer, ledger.MaxExamined+300)
	for i := range rows {
		rows[i] = wallet.Transfer{From: from, To: to, Amount: 1}
	}
	fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{Rows: rows})
	total := len(rows) + 1 // the deposit
	b.Read(func(v *store.View) {
		for name, h := range map[string]ledger.History{"account": ledger.HistoryOf(v, from), "owner": ledger.HistoryOfOwner(v, store.ID(b.Actor.ID))} {
			looked := map[uint64]bool{}
			deposits := func(m *ledger.Movement) bool {
				looked[m.Height] = true
				return m.Kind == "deposit"
			}
			page, next, err := h.Page(nil, 10, deposits)
			b.Equal([]any{len(page), next != nil, err, len(looked)}, []any{0, true, nil, ledger.MaxExamined})
			page, next, err = h.Page(next, 10, deposits)
			b.Equal([]any{len(page), next == nil, err, len(looked)}, []any{1, true, nil, total})
			if page, _, _ := h.Page(nil, total*2, every); len(page) < ledger.MaxExamined || len(page) > 2*ledger.MaxExamined {
				t.Errorf("%s: a page holds %d movements", name, len(page))
			}
		}
	})
}

// An erased row keeps its entry and its links but not whose they are: a history
// ends there.
func TestAnErasedRowEndsAHistory(t *testing.T) {
	b := newVault(t, fsmtest.Options{Unchecked: true})
	for i := range 6 {
		pay(b, leg{"a", "b", ledger.Amount(i + 1)})
	}
	b.Edit(func(tx *bbolt.Tx) error { return erase(tx, 3) })
	b.Read(func(v *store.View) {
		f := ledger.FactAt(v, 3)
		b.Equal([]any{f.Erased, f.Kind, len(f.Legs)}, []any{true, "transfer", 0})
		b.Equal(read(t, history(v, "a"), nil, 2, every), []place{{7, 0}, {6, 0}, {5, 0}})
		b.Equal(read(t, history(v, "ann"), nil, 3, every), []place{{7, 1}, {7, 0}, {6, 1}, {6, 0}, {5, 1}, {5, 0}})
		_, _, err := history(v, "a").Page(cursor(place{4, 0}), 5, every)
		b.Equal(errors.Is(err, store.ErrCursor), true)
		b.Equal(read(t, history(v, "a"), cursor(place{3, 0}), 5, every), []place{{2, 0}, {1, 1}}) // what was given before still leads on
	})
}

// erase takes blind and payload of a row away, as erasure will.
func erase(tx *bbolt.Tx, index uint64) error {
	const bucket = "ledgerchain.entries"
	key := binary.BigEndian.AppendUint64(nil, index)
	stored := tx.Bucket([]byte(bucket)).Get(key)
	row, err := ledgerchain.ParseRow(stored[:len(stored)-4])
	if err != nil {
		return fmt.Errorf("row %d: %w", index, err)
	}
	links := make([]ledgerchain.Link, row.Links())
	for i := range links {
		links[i] = row.Link(i)
	}
	erased, err := ledgerchain.AppendRow(nil, row.Entry, ledgerchain.Blind{}, nil, links)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(bucket)).Put(key, fsmtest.SealRow(bucket, key, erased))
}
