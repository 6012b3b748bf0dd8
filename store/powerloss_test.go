package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// outage is one flush of a small file, seen from the disk: the file before and
// after, and what can be read from each.
type outage struct {
	*archive
	seed          uint64 // of the entry that was flushed
	before, after []byte
	changed       []int // sectors of pages other than the meta pages
}

// newOutage builds a file of a few flushes and adds one more.
func newOutage(t testing.TB, seed uint64) *outage {
	random := rand.New(rand.NewPCG(seed, 5))
	o := &outage{seed: seed}
	o.archive = &archive{atlas: newAtlas(t), notesCount: 60 + random.IntN(60), states: map[uint64]string{}}
	path := filepath.Join(t.TempDir(), "state.db")
	db := o.open(t, path, 1<<30)
	o.fill(db, random)
	o.note(t, db)
	for range random.IntN(4) {
		o.churn(db, random, 1+random.IntN(50))
		o.note(t, db)
	}
	o.before = trimmed(t, mustRead(t, path))
	o.replay(db)
	o.note(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	o.after = trimmed(t, mustRead(t, path))
	o.diff()
	return o
}

// replay applies the entry of the flush.
func (o *outage) replay(db *DB) {
	random := rand.New(rand.NewPCG(o.seed, 6))
	o.churn(db, random, 1+random.IntN(200))
}

// diff finds the sectors a crash may have written or not.
func (o *outage) diff() {
	for at := 2 * os.Getpagesize(); at < len(o.after); at += sector {
		if at >= len(o.before) || !bytes.Equal(o.before[at:at+sector], o.after[at:at+sector]) {
			o.changed = append(o.changed, at)
		}
	}
}

// image is a file as a crash may leave it: grown or not yet, data sectors as
// far as kept says, and so many bytes of the meta page, which comes last.
func (o *outage) image(random *rand.Rand, kept float64, meta int) []byte {
	file := bytes.Clone(o.before)
	if grown := len(o.after) - len(o.before); grown > 0 && (meta > 0 || random.IntN(4) > 0) {
		file = append(file, make([]byte, grown)...)
	}
	for _, at := range o.changed {
		if at < len(file) && random.Float64() < kept {
			copy(file[at:at+sector], o.after[at:])
		}
	}
	if page := os.Getpagesize(); !bytes.Equal(o.before[:page], o.after[:page]) {
		copy(file[:meta], o.after)
	} else {
		copy(file[page:page+meta], o.after[page:])
	}
	return file
}

// check opens an image: it must be at the state before or after, in every row,
// and the log must lead on from there to the live state.
func (o *outage) check(path string) (index uint64, err error) {
	db, err := Open(Options{
		Path: path, Schema: o.schema, Stamp: []byte("atlas"), FlushBytes: 1 << 30, FlushInterval: time.Hour,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Abandon()) }()
	defer onCorruption(func(damage Corruption) { err = damage })
	index = db.Durable()
	live := uint64(len(o.states))
	if index != live && index != live-1 {
		return index, fmt.Errorf("the file is at %d, not at %d or before", index, live)
	}
	if got := o.read(db); got != o.states[index] {
		return index, fmt.Errorf("wrong rows at %d", index)
	}
	if index < live {
		o.replay(db)
	}
	if got := o.read(db); got != o.states[live] {
		return index, fmt.Errorf("wrong rows at %d after a replay", live)
	}
	return index, nil
}

func (o *outage) read(db *DB) string {
	v := db.Latest()
	defer v.Close()
	return o.dump(v)
}

const imagesPerOutage = 25

// TestT5PowerLoss cuts the power within a flush, 1,000 times: bbolt has written
// any of the data and the meta page not, or torn; or all of it.
func TestT5PowerLoss(t *testing.T) {
	t.Parallel()
	images := soakCount(1000)
	reached := map[string]int{}
	for seed := range uint64((images + imagesPerOutage - 1) / imagesPerOutage) {
		o := newOutage(t, seed)
		path := filepath.Join(t.TempDir(), "state.db")
		for i := range imagesPerOutage {
			random := rand.New(rand.NewPCG(seed, uint64(i)+1000))
			what, file := o.crash(random, i)
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			index, err := o.check(path)
			if err != nil {
				t.Fatalf("seed %d, image %d, %s: %v", seed, i, what, err)
			}
			reached[fmt.Sprintf("%s: %d back", what, uint64(len(o.states))-index)]++
		}
	}
	t.Log(reached)
	for _, outcome := range []string{"some data: 1 back", "a torn meta page: 1 back", "a torn meta page: 0 back"} {
		if reached[outcome] == 0 {
			t.Errorf("no image was at %q", outcome)
		}
	}
}

// crash is what the disk may hold while bbolt keeps its order.
func (o *outage) crash(random *rand.Rand, i int) (what string, file []byte) {
	if i%5 < 3 {
		return "some data", o.image(random, random.Float64(), 0)
	}
	return "a torn meta page", o.image(random, 1, random.IntN(pageHeader+headSize+40))
}

// TestT5PowerLossWithoutSync writes the meta page before the data, as a disk may
// when nothing orders the two. It proves that the images can show damage.
func TestT5PowerLossWithoutSync(t *testing.T) {
	broken, total := 0, 0
	for seed := range uint64(max(2, soakCount(100)/imagesPerOutage)) {
		o := newOutage(t, seed)
		path := filepath.Join(t.TempDir(), "state.db")
		for i := range imagesPerOutage {
			random := rand.New(rand.NewPCG(seed, uint64(i)+2000))
			if err := os.WriteFile(path, o.image(random, 0.9, sector), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := o.check(path); err != nil {
				broken++
			}
			total++
		}
	}
	t.Logf("%d of %d images were broken", broken, total)
	if broken < total/2 {
		t.Fatalf("%d of %d images were broken", broken, total)
	}
}
