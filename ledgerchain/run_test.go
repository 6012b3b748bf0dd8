package ledgerchain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// testChain seals n entries with payloads and links of various sizes.
func testChain(t testing.TB, salt *Salt, n int) (state State, rows [][]byte) {
	t.Helper()
	state = NewState(vectorLedger)
	for i := range n {
		payload := fmt.Appendf(nil, `{"i":%d,"memo":"%s"}`, i, strings.Repeat("x", i%50))
		draft := Draft{Kind: "transfer", Time: state.Head.Time + 1 + int64(i%3), Blind: testBlind(i), Payload: payload}
		for leg := range i % 4 {
			draft.Links = append(draft.Links, Link{uint64(i), uint64(leg)})
		}
		rows = append(rows, mustSeal(t, &state, salt, draft))
	}
	return state, rows
}

func mustSeal(t testing.TB, state *State, salt *Salt, draft Draft) []byte {
	t.Helper()
	row, _, err := state.Seal(nil, salt, &draft)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func mustRing(t testing.TB, salts ...*Salt) *KeyRing {
	t.Helper()
	ring, err := NewKeyRing(salts...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// verify runs over all rows and compares the end with the state.
func verify(state State, ring *KeyRing, rows [][]byte) (*Run, *Fault) {
	run := NewRun(GenesisHead(vectorLedger), ring)
	run.RequireCanonical()
	for i, row := range rows {
		if !run.Add(uint64(i), row) {
			break
		}
	}
	var fault *Fault
	errors.As(run.CheckEnd(&state), &fault)
	return run, fault
}

func TestRunAcceptsAGoodChain(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	for n := range 40 {
		state, rows := testChain(t, salt, n)
		run, fault := verify(state, mustRing(t, salt), rows)
		if fault != nil || run.Unkeyed() != 0 || run.Erased() != 0 || run.End() != state.Head || run.Leaves().End() != uint64(n) {
			t.Errorf("%d rows: %v, %+v", n, fault, run)
		}
		run, fault = verify(state, nil, rows)
		if fault != nil || run.Unkeyed() != uint64(n) {
			t.Errorf("%d rows without salt: %v, %d unkeyed", n, fault, run.Unkeyed())
		}
	}
}

// TestEveryFlippedByteIsFound changes each byte of each row, with and without the salt, and expects the row to be named.
// The values of links are not hashed: a changed one is found here only if it points beyond its row.
func TestEveryFlippedByteIsFound(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	state, rows := testChain(t, salt, 7)
	for _, ring := range []*KeyRing{mustRing(t, salt), nil} {
		for i, row := range rows {
			parsed, err := ParseRow(row)
			if err != nil {
				t.Fatal(err)
			}
			linksAt := len(row) - parsed.Links()*linkSize
			for at := range row {
				for bit := range 8 {
					changed := slices.Clone(rows)
					changed[i] = bytes.Clone(row)
					changed[i][at] ^= 1 << bit
					_, fault := verify(state, ring, changed)
					if at >= linksAt {
						again, _ := ParseRow(changed[i])
						link := again.Link((at - linksAt) / linkSize)
						if link.Account <= uint64(i) && link.Owner <= uint64(i) {
							continue
						}
					}
					if fault == nil {
						t.Fatalf("row %d byte %d bit %d went unnoticed", i, at, bit)
					}
					// Without the salt a later entry or the root may be the first to tell. So it is with the salt id of
					// the first entry, which nothing before it fixes.
					firstSaltID := i == 0 && at >= 22 && at < 26
					if ring != nil && !firstSaltID && fault.Index != uint64(i) {
						t.Fatalf("row %d byte %d bit %d: %v", i, at, bit, fault)
					}
				}
			}
		}
	}
}

// edit returns a copy of the rows with one entry written anew, keyed hash included.
func edit(t *testing.T, rows [][]byte, i int, salt *Salt, change func(e *Entry, payload *[]byte)) [][]byte {
	t.Helper()
	parsed, err := ParseRow(rows[i])
	if err != nil {
		t.Fatal(err)
	}
	entry, err := ParseEntry(parsed.Entry)
	if err != nil {
		t.Fatal(err)
	}
	payload := bytes.Clone(parsed.Payload())
	change(&entry, &payload)
	if salt != nil {
		entry.Chain = salt.ChainHash(entry.AppendBody(nil))
	}
	row, err := AppendRow(nil, entry.Append(nil), parsed.Blind(), payload, nil)
	if err != nil {
		t.Fatal(err)
	}
	edited := slices.Clone(rows)
	edited[i] = row
	return edited
}

func TestRunNamesReasonIndexExpectedAndFound(t *testing.T) {
	salt, other := mustSalt(t, vectorSecret), mustSalt(t, strings.Repeat("2", 32))
	state, rows := testChain(t, salt, 10)
	chains := make([]string, len(rows))
	for i, row := range rows {
		head, err := HeadAfter(row)
		if err != nil {
			t.Fatal(err)
		}
		chains[i] = head.Chain.String()
	}
	swapped := slices.Clone(rows)
	swapped[3], swapped[4] = rows[4], rows[3]
	for _, c := range []struct {
		name     string
		rows     [][]byte
		index    uint64
		reason   Reason
		expected string
		found    string
	}{
		{"a dropped row", slices.Delete(slices.Clone(rows), 4, 5), 4, SequenceGap, "4", "5"},
		{"the first row dropped", rows[1:], 0, SequenceGap, "0", "1"},
		{"the last row dropped", rows[:9], 9, SequenceGap, "an end at 10", "9"},
		{"a row twice", slices.Insert(slices.Clone(rows), 4, rows[3]), 4, SequenceGap, "4", "3"},
		{"two rows swapped", swapped, 3, SequenceGap, "3", "4"},
		{"an empty row", slices.Insert(slices.Clone(rows), 4, nil), 4, DamagedRow, "a journal row", ""},
		{"another history", edit(t, rows, 4, salt, func(e *Entry, _ *[]byte) { e.Prev = Hash{} }), 4, PrevHashMismatch, chains[3], Hash{}.String()},
		{"a rewritten entry", edit(t, rows, 4, salt, func(e *Entry, _ *[]byte) { e.Kind = "deposit" }), 5, PrevHashMismatch, "", chains[4]},
		{"a rewritten last entry", edit(t, rows, 9, salt, func(e *Entry, _ *[]byte) { e.Kind = "deposit" }), 10, HeadMismatch, "", ""},
		{"a rewritten entry without salt", edit(t, rows, 4, nil, func(e *Entry, _ *[]byte) { e.Kind = "deposit" }), 4, EntryHashMismatch, "", chains[4]},
		{"a changed payload", edit(t, rows, 4, nil, func(_ *Entry, p *[]byte) { *p = []byte(`{"i":5}`) }), 4, CommitmentMismatch, "", ""},
		{"time standing still", edit(t, rows, 4, salt, func(e *Entry, _ *[]byte) { e.Time -= 2 }), 4, TimeNotRising, "", ""},
		{"another salt", edit(t, rows, 4, other, func(e *Entry, _ *[]byte) { e.SaltID = other.ID() }), 4, SaltMismatch, "b8291859", other.ID().String()},
		{"an uncanonical payload", edit(t, rows, 4, salt, func(e *Entry, p *[]byte) { *p = []byte(`{"i": 4}`); e.Commit = Commitment(testBlind(4), *p) }), 4, PayloadNotCanonical, "canonical JSON", ""},
	} {
		_, fault := verify(state, mustRing(t, salt, other), c.rows)
		if fault == nil {
			t.Errorf("%s went unnoticed", c.name)
			continue
		}
		if fault.Index != c.index || fault.Reason != c.reason ||
			c.expected != "" && fault.Expected != c.expected || c.found != "" && fault.Found != c.found {
			t.Errorf("%s: %v; want entry %d, %s, %s, %s", c.name, fault, c.index, c.reason, c.expected, c.found)
		}
	}
}

func TestRunRefusesRowsUnderAnotherKey(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	_, rows := testChain(t, salt, 2)
	run := NewRun(GenesisHead(vectorLedger), nil)
	if run.Add(1, rows[0]) || run.Fault().Reason != SequenceGap {
		t.Errorf("row 0 under key 1: %v", run.Fault())
	}
	if run.Add(0, rows[0]) || run.End() != GenesisHead(vectorLedger) {
		t.Error("the run goes on after a fault")
	}
}

func TestRunReportsDamageFromTheStore(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	_, rows := testChain(t, salt, 2)
	run := NewRun(GenesisHead(vectorLedger), nil)
	run.Add(0, rows[0])
	if run.Damaged(errors.New("wrong checksum")) {
		t.Error("the run goes on after damage")
	}
	equal(t, "fault", run.Fault(), "entry 1: damaged_row: expected a journal row, found wrong checksum")
}

func TestRunCountsErasedOpenings(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	state, rows := testChain(t, salt, 10)
	for _, i := range []int{2, 3, 7} {
		rows = edit(t, rows, i, nil, func(_ *Entry, payload *[]byte) { *payload = nil })
	}
	run, fault := verify(state, mustRing(t, salt), rows)
	if fault != nil || run.Erased() != 3 {
		t.Errorf("%v, %d erased", fault, run.Erased())
	}
}

func TestRunFollowsSaltRotations(t *testing.T) {
	first, second, third := mustSalt(t, vectorSecret), mustSalt(t, strings.Repeat("2", 32)), mustSalt(t, strings.Repeat("3", 32))
	state := NewState(vectorLedger)
	time := int64(0)
	seal := func(salt *Salt, kind string, payload []byte) []byte {
		time++
		return mustSeal(t, &state, salt, Draft{Kind: kind, Time: time, Payload: payload})
	}
	rotation := SetMember(nil, []byte(`{"kind":"salt-rotate"}`), "saltId", AppendString(nil, second.ID().String()))
	rows := [][]byte{
		seal(first, "deposit", []byte("{}")),
		seal(first, KindSaltRotate, rotation),
		seal(second, "deposit", []byte("{}")),
		seal(second, KindSaltRotate, AppendSaltRotation(nil, third.ID())),
		seal(third, "deposit", []byte("{}")),
	}
	if _, _, err := state.Seal(nil, second, &Draft{Kind: "deposit", Time: time + 1, Payload: []byte("{}")}); !errors.Is(err, ErrSalt) {
		t.Errorf("the old salt still seals: %v", err)
	}
	run, fault := verify(state, mustRing(t, first, second, third), rows)
	if fault != nil || run.Unkeyed() != 0 {
		t.Errorf("all salts: %v, %d unkeyed", fault, run.Unkeyed())
	}
	run, fault = verify(state, mustRing(t, third), rows)
	if fault != nil || run.Unkeyed() != 4 {
		t.Errorf("last salt only: %v, %d unkeyed", fault, run.Unkeyed())
	}
	unnamed := edit(t, rows, 2, third, func(e *Entry, _ *[]byte) { e.SaltID = third.ID() })
	if _, fault = verify(state, mustRing(t, first, second, third), unnamed); fault == nil || fault.Index != 2 || fault.Reason != SaltMismatch {
		t.Errorf("a salt that was not named: %v", fault)
	}
	erased := edit(t, rows, 1, nil, func(_ *Entry, payload *[]byte) { *payload = nil })
	if run, fault = verify(state, mustRing(t, first, second, third), erased); fault != nil || run.Erased() != 1 {
		t.Errorf("erased rotation: %v", fault)
	}
	nowhere := []byte(`{"saltId":1}`)
	lost := edit(t, rows, 1, first, func(e *Entry, payload *[]byte) { *payload, e.Commit = nowhere, Commitment(Blind{}, nowhere) })
	if _, fault = verify(state, mustRing(t, first, second), lost); fault == nil || fault.Index != 1 || fault.Reason != SaltMismatch {
		t.Errorf("a rotation that names nothing: %v", fault)
	}
}

// TestRunsJoin verifies parts of a chain at the same time, also parts with a fault in them.
func TestRunsJoin(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	salt := mustSalt(t, vectorSecret)
	state, good := testChain(t, salt, 300)
	ring := mustRing(t, salt)
	for round := range 60 {
		rows, bad := good, -1
		if round%2 == 1 {
			bad = random.IntN(len(good))
			rows = slices.Clone(good)
			rows[bad] = bytes.Clone(good[bad])
			rows[bad][40+random.IntN(80)] ^= 1
		}
		cuts := []int{0, len(rows)}
		for range random.IntN(5) {
			cuts = append(cuts, random.IntN(len(rows)))
		}
		slices.Sort(cuts)
		joined := joinRuns(t, ring, rows, cuts)
		if joined == nil {
			if bad < 0 {
				t.Fatalf("cuts %v: a good row has no head", cuts)
			}
			continue
		}
		err := joined.CheckEnd(&state)
		if bad < 0 && err != nil {
			t.Fatalf("cuts %v: %v", cuts, err)
		}
		// A row whose chain hash was changed may be taken at its word by the next run, so that the join notices.
		if fault := joined.Fault(); bad >= 0 && (fault == nil || fault.Index != uint64(bad)) {
			t.Fatalf("cuts %v, row %d changed: %v", cuts, bad, fault)
		}
	}
}

// joinRuns returns nil if the row before a cut is so damaged that no run can start behind it.
func joinRuns(t *testing.T, ring *KeyRing, rows [][]byte, cuts []int) *Run {
	t.Helper()
	runs := make([]*Run, len(cuts)-1)
	var group sync.WaitGroup
	for i := range runs {
		start := GenesisHead(vectorLedger)
		if cuts[i] > 0 {
			var err error
			if start, err = HeadAfter(rows[cuts[i]-1]); err != nil {
				return nil
			}
		}
		runs[i] = NewRun(start, ring)
		group.Go(func() {
			for k := cuts[i]; k < cuts[i+1] && runs[i].Add(uint64(k), rows[k]); k++ {
			}
		})
	}
	group.Wait()
	for _, next := range runs[1:] {
		if err := runs[0].Join(next); err != nil {
			t.Fatal(err)
		}
	}
	return runs[0]
}

func TestJoinNoticesDifferentRowsBetweenRuns(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	_, rows := testChain(t, salt, 4)
	first := NewRun(GenesisHead(vectorLedger), nil)
	first.Add(0, rows[0])
	first.Add(1, rows[1])
	start, err := HeadAfter(rows[1])
	if err != nil {
		t.Fatal(err)
	}
	start.Chain[0] ^= 1
	if err := first.Join(NewRun(start, nil)); err != nil || first.Fault() == nil || first.Fault().Reason != HeadMismatch {
		t.Errorf("joined: %v, %v", first.Fault(), err)
	}
	apart := NewRun(GenesisHead(vectorLedger), nil)
	if err := apart.Join(NewRun(Head{Size: 1}, nil)); err == nil {
		t.Error("runs that do not touch were joined")
	}
	if err := NewRun(Head{Size: 1, AnySalt: true}, nil).CheckEnd(&State{Head: Head{Size: 1, AnySalt: true}}); err == nil {
		t.Error("a run from the middle was compared with a whole tree")
	}
}

func TestCheckEndComparesTheRoot(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	state, rows := testChain(t, salt, 5)
	state.Tree.hashes[0][0] ^= 1
	if _, fault := verify(state, mustRing(t, salt), rows); fault == nil || fault.Reason != RootMismatch {
		t.Errorf("another root: %v", fault)
	}
}

// FuzzRun feeds rows of any content behind a good one; nothing may panic and no change may be accepted.
func FuzzRun(f *testing.F) {
	salt := mustSalt(f, vectorSecret)
	_, rows := testChain(f, salt, 2)
	ring := mustRing(f, salt)
	f.Add(rows[1])
	f.Add(binary.BigEndian.AppendUint16(nil, 129))
	stored, err := ParseRow(rows[1])
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		run := NewRun(GenesisHead(vectorLedger), ring)
		run.RequireCanonical()
		if !run.Add(0, rows[0]) {
			t.Fatal(run.Fault())
		}
		if !run.Add(1, row) {
			if run.Fault() == nil || run.Fault().Error() == "" {
				t.Fatal("refused without a fault")
			}
			return
		}
		parsed, err := ParseRow(row)
		if err != nil || !bytes.Equal(parsed.Entry, stored.Entry) || !parsed.Erased() && !bytes.Equal(parsed.Opening, stored.Opening) {
			t.Fatalf("accepted %x", row)
		}
	})
}
