package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"coffer/store"
)

// readAll reads a stream to its end.
func readAll(from io.Reader) (rows []store.Row, summary Summary, err error) {
	r, err := NewReader(from)
	if err != nil {
		return nil, summary, err
	}
	for {
		row, err := r.Next()
		if err == io.EOF {
			return rows, r.Summary(), nil
		}
		if err != nil {
			return rows, summary, err
		}
		rows = append(rows, store.Row{Bucket: row.Bucket, Key: bytes.Clone(row.Key), Sealed: bytes.Clone(row.Sealed)})
	}
}

func TestAStreamReadsAsItWasWritten(t *testing.T) {
	a, stream, written := sample(t, 600)
	rows, read, err := readAll(iotest.OneByteReader(bytes.NewReader(stream)))
	must(t, err)
	if read.SHA256 != written.SHA256 || read.Bytes != written.Bytes || !slices.Equal(read.Footer.Counts, written.Footer.Counts) ||
		!slices.Equal(read.Footer.Sums, written.Footer.Sums) || !bytes.Equal(store.Encode(&read.Header), store.Encode(&written.Header)) {
		t.Errorf("read %+v, written %+v", read, written)
	}
	e, err := a.db.Export()
	must(t, err)
	defer e.Close()
	at := 0
	must(t, e.Rows(func(r store.Row) error {
		if at >= len(rows) || rows[at].Bucket != r.Bucket || !bytes.Equal(rows[at].Key, r.Key) || !bytes.Equal(rows[at].Sealed, r.Sealed) {
			t.Fatalf("row %d differs", at)
		}
		at++
		return nil
	}))
	if h := read.Header; at != len(rows) || h.Index != 600 || h.Term != 2 || h.Epoch != 3 || h.Chain.Entries != 600 || h.Chain.LedgerID == "" {
		t.Errorf("%d rows of %d, header %+v", len(rows), at, h)
	}
	if kinds := split(t, stream); len(kinds) < 12 {
		t.Errorf("only %d frames", len(kinds))
	}
}

// TestTheStreamIsCanonical: neither the history of flushes, nor the node, nor a
// program that knows more tables shows in the bytes.
func TestTheStreamIsCanonical(t *testing.T) {
	for seed := range uint64(2) {
		random := rand.New(rand.NewPCG(seed, 3))
		one := newBank(t).appliance(t, t.TempDir(), "node-1")
		two := newBank(t).appliance(t, t.TempDir(), "node-2")
		newer := newBank(t)
		more, err := store.NewSchema(append(ledgerTables(newer), store.NewTable("bank.cards", func(a *account) store.ID { return store.ID(a.ID) }))...)
		must(t, err)
		newer.schema = more
		three := newer.appliance(t, t.TempDir(), "node-3")
		one.entries(t, 200, never)
		two.entries(t, 200, func() bool { return random.IntN(4) == 0 })
		three.entries(t, 200, func() bool { return random.IntN(40) == 0 })
		want, summary := one.stream(t)
		for _, other := range []*appliance{two, three} {
			if got, sum := other.stream(t); !bytes.Equal(got, want) || sum.SHA256 != summary.SHA256 {
				t.Errorf("seed %d: %s streams otherwise", seed, other.node)
			}
		}
		two.entries(t, 1, never)
		if _, sum := two.stream(t); sum.SHA256 == summary.SHA256 {
			t.Errorf("seed %d: another state has the same SHA-256", seed)
		}
	}
}

func TestEveryCutIsRefused(t *testing.T) {
	_, stream, _ := sample(t, 3)
	for length := range stream {
		_, _, err := readAll(bytes.NewReader(stream[:length]))
		var damage *DamageError
		if !errors.As(err, &damage) || !errors.Is(err, errCutOff) {
			t.Fatalf("cut at %d: %v", length, err)
		}
	}
}

func TestEveryFlippedByteIsRefused(t *testing.T) {
	_, stream, _ := sample(t, 3)
	random := rand.New(rand.NewPCG(7, 7))
	for at := range stream {
		damaged := bytes.Clone(stream)
		damaged[at] ^= byte(1 + random.IntN(255))
		_, _, err := readAll(bytes.NewReader(damaged))
		var damage *DamageError
		if !errors.As(err, &damage) {
			t.Fatalf("byte %d flipped: %v", at, err)
		}
		if damage.Offset > int64(at) {
			t.Fatalf("byte %d flipped, found at %d: %v", at, damage.Offset, err)
		}
	}
}

// TestForgedStreamsAreRefused changes frames and sets all checksums right.
func TestForgedStreamsAreRefused(t *testing.T) {
	_, stream, _ := sample(t, 600)
	sound := split(t, stream)
	last := len(sound) - 1
	twoOf := func(parts []part) (first int) { // two frames of one bucket
		for i := range parts[:last-2] {
			if parts[i].kind == rowsFrame && parts[i+1].kind == rowsFrame && bytes.Equal(nameOf(parts[i]), nameOf(parts[i+1])) {
				return i
			}
		}
		t.Fatal("no bucket has two frames")
		return 0
	}
	for name, c := range map[string]struct {
		forge func([]part) []part
		want  error
	}{
		"a frame twice":           {func(p []part) []part { return slices.Insert(p, last-2, p[last-2]) }, errBlock},
		"a long frame twice":      {func(p []part) []part { i := twoOf(p); return slices.Insert(p, i, p[i]) }, errRowOrder},
		"two frames swapped":      {func(p []part) []part { i := twoOf(p); p[i], p[i+1] = p[i+1], p[i]; return p }, errBlock},
		"buckets swapped":         {func(p []part) []part { p[1], p[last-2] = p[last-2], p[1]; return p }, errRowOrder},
		"a frame missing":         {func(p []part) []part { return slices.Delete(p, 2, 3) }, errCounts},
		"two frames joined":       {joined(twoOf), errBlock},
		"a row missing":           {func(p []part) []part { p[last-2].payload = withoutFirstRow(p[last-2].payload); return p }, errCounts},
		"a header twice":          {func(p []part) []part { return slices.Insert(p, 1, p[0]) }, errOrder},
		"no header":               {func(p []part) []part { return p[1:] }, errOrder},
		"no footer":               {func(p []part) []part { return slices.Delete(p, last-1, last) }, errOrder},
		"a footer twice":          {func(p []part) []part { return slices.Insert(p, last, p[last-1]) }, errOrder},
		"a hash too early":        {func(p []part) []part { return slices.Insert(p, 4, p[last]) }, errOrder},
		"a second hash":           {func(p []part) []part { return append(p, p[last]) }, errMore},
		"a frame of no kind":      {func(p []part) []part { return slices.Insert(p, 2, part{'x', []byte("x")}) }, nil},
		"rows without a bucket":   {func(p []part) []part { return slices.Insert(p, 1, part{rowsFrame, []byte{0, 1, 2}}) }, errRowForm},
		"a bucket without rows":   {func(p []part) []part { return slices.Insert(p, 1, part{rowsFrame, []byte{1, 'a'}}) }, errRowForm},
		"a row cut off":           {func(p []part) []part { p[1].payload = p[1].payload[:len(p[1].payload)-1]; return p }, errRowForm},
		"a changed value":         {func(p []part) []part { p[1].payload[len(p[1].payload)-9] ^= 1; return p }, nil},
		"a changed count":         {reseal(func(f *Footer) { f.Counts[0].Rows++ }), errCounts},
		"a count too many":        {reseal(func(f *Footer) { f.Counts = append(f.Counts, Count{"zzz", 1}) }), errCounts},
		"sums out of order":       {reseal(func(f *Footer) { slices.Reverse(f.Sums) }), nil},
		"a negative positive sum": {reseal(func(f *Footer) { f.Sums[0].Positive = -1 }), nil},
		"a footer with more":      {func(p []part) []part { p[last-1].payload = append(p[last-1].payload, 0); return p }, nil},
		"a header of no entry":    {rehead(func(h *Header) { h.Index = 0 }), nil},
		"a header of no cluster":  {rehead(func(h *Header) { h.ClusterID = "" }), nil},
		"a membership ahead":      {rehead(func(h *Header) { h.MembershipIndex = h.Index + 1 }), nil},
		"a broken membership":     {rehead(func(h *Header) { h.Membership = []byte{0xc1, 0xff} }), nil},
		"an empty stream":         {func([]part) []part { return nil }, errCutOff},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.forge(cloned(sound)), c.want)
		})
	}
	if _, _, err := readAll(bytes.NewReader(join(sound))); err != nil {
		t.Errorf("the frames as they were: %v", err)
	}
}

func cloned(parts []part) []part {
	copies := make([]part, len(parts))
	for i, p := range parts {
		copies[i] = part{p.kind, bytes.Clone(p.payload)}
	}
	return copies
}

// refused expects a stream of frames to be damaged.
func refused(t *testing.T, parts []part, want error) {
	t.Helper()
	_, _, err := readAll(bytes.NewReader(join(parts)))
	var damage *DamageError
	if !errors.As(err, &damage) || want != nil && !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}

func nameOf(p part) []byte { return p.payload[1 : 1+int(p.payload[0])] }

func joined(twoOf func([]part) int) func([]part) []part {
	return func(p []part) []part {
		i := twoOf(p)
		p[i].payload = append(p[i].payload, p[i+1].payload[1+len(nameOf(p[i+1])):]...)
		return slices.Delete(p, i+1, i+2)
	}
}

func withoutFirstRow(payload []byte) []byte {
	start := 1 + int(payload[0])
	row := payload[start:]
	length := 6 + int(binary.BigEndian.Uint16(row)) + int(binary.BigEndian.Uint32(row[2:]))
	return append(payload[:start:start], row[length:]...)
}

func reseal(edit func(*Footer)) func([]part) []part {
	return func(p []part) []part {
		footer := &p[len(p)-2]
		f, err := decodeFooter(footer.payload)
		if err != nil {
			panic(err)
		}
		edit(&f)
		footer.payload = store.Encode(&f)
		return p
	}
}

func rehead(edit func(*Header)) func([]part) []part {
	return func(p []part) []part {
		h, err := decodeHeader(p[0].payload)
		if err != nil {
			panic(err)
		}
		edit(&h)
		p[0].payload = store.Encode(&h)
		return p
	}
}

func TestBytesBehindTheEndAreRefused(t *testing.T) {
	_, stream, _ := sample(t, 20)
	if _, _, err := readAll(bytes.NewReader(append(stream, 0))); !errors.Is(err, errMore) {
		t.Errorf("%v", err)
	}
}

func TestAnotherFormatIsNamed(t *testing.T) {
	_, stream, _ := sample(t, 20)
	newer := append([]byte("coffer snapshot 2\n"), stream[len(firstLine):]...)
	if _, _, err := readAll(bytes.NewReader(newer)); err == nil || !strings.Contains(err.Error(), `format is "2\n"`) {
		t.Errorf("%v", err)
	}
	if _, _, err := readAll(strings.NewReader("PK\x03\x04 something else entirely")); !errors.Is(err, errForm) {
		t.Errorf("%v", err)
	}
}

func TestAReadErrorIsNotDamageToTheFile(t *testing.T) {
	_, stream, _ := sample(t, 20)
	broken := errors.New("the line is dead")
	from := io.MultiReader(bytes.NewReader(stream[:len(stream)/2]), iotest.ErrReader(broken))
	_, _, err := readAll(from)
	var damage *DamageError
	if !errors.Is(err, broken) || errors.As(err, &damage) {
		t.Errorf("%v", err)
	}
}

func TestALengthBeyondTheStreamCostsNoMemory(t *testing.T) {
	_, stream, _ := sample(t, 20)
	parts := split(t, stream)
	forged := appendFrame([]byte(firstLine), parts[0])
	forged = binary.BigEndian.AppendUint32(append(forged, rowsFrame), maxRows)
	r, err := NewReader(bytes.NewReader(forged))
	must(t, err)
	if _, err := r.Next(); !errors.Is(err, errCutOff) || cap(r.frames.buffer) > 2<<20 {
		t.Errorf("%v after a buffer of %d bytes", err, cap(r.frames.buffer))
	}
	forged = binary.BigEndian.AppendUint32(append(forged[:len(forged)-5], rowsFrame), math.MaxUint32)
	r, err = NewReader(bytes.NewReader(forged))
	must(t, err)
	if _, err := r.Next(); !errors.Is(err, errLength) {
		t.Errorf("%v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	a := newBank(t).appliance(t, t.TempDir(), "node-1")
	write := func(ctx context.Context, to io.Writer, source Source) error {
		e, err := a.db.Export()
		must(t, err)
		defer e.Close()
		_, err = Write(ctx, to, e, source)
		return err
	}
	if err := write(t.Context(), io.Discard, a.source()); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty state: %v", err)
	}
	a.entries(t, 20, never)
	if err := write(t.Context(), io.Discard, Source{Sums: a.sums}); err == nil {
		t.Error("a stream without a cluster id was written")
	}
	broken := errors.New("cannot add")
	if err := write(t.Context(), io.Discard, Source{ClusterID: "c", Sums: func(*store.View) ([]Sum, error) { return nil, broken }}); !errors.Is(err, broken) {
		t.Errorf("sums that fail: %v", err)
	}
	twice := func(*store.View) ([]Sum, error) { return []Sum{{Currency: "EUR"}, {Currency: "EUR"}}, nil }
	if err := write(t.Context(), io.Discard, Source{ClusterID: "c", Sums: twice}); err == nil {
		t.Error("a currency stands twice")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := write(ctx, io.Discard, a.source()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	full := errors.New("disk is full")
	if err := write(t.Context(), failingWriter{full}, a.source()); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func FuzzReader(f *testing.F) {
	_, stream, _ := sample(f, 15)
	f.Add(stream)
	parts := split(f, stream)
	for i := range parts {
		f.Add(join(slices.Delete(slices.Clone(parts), i, i+1)))
	}
	f.Add([]byte(firstLine))
	f.Fuzz(func(t *testing.T, stream []byte) {
		_, summary, err := readAll(bytes.NewReader(stream))
		var damage *DamageError
		if err != nil && !errors.As(err, &damage) {
			t.Fatalf("an error of another kind: %v", err)
		}
		if err == nil && summary.Bytes != int64(len(stream)) {
			t.Fatalf("%d bytes of %d were read", summary.Bytes, len(stream))
		}
	})
}

// FuzzFrames gives the fuzzer frames with right checksums, so that it gets
// behind them.
func FuzzFrames(f *testing.F) {
	_, stream, _ := sample(f, 15)
	for i, p := range split(f, stream) {
		f.Add(uint8(i), p.kind, p.payload)
	}
	sound := split(f, stream)
	f.Fuzz(func(t *testing.T, at uint8, kind byte, payload []byte) {
		parts := slices.Clone(sound)
		i := int(at) % len(parts)
		changed := kind != parts[i].kind || kind != hashFrame && !bytes.Equal(payload, parts[i].payload)
		parts[i] = part{kind, payload}
		forged := join(parts)
		rows, _, err := readAll(bytes.NewReader(forged))
		var damage *DamageError
		if err != nil && !errors.As(err, &damage) {
			t.Fatalf("an error of another kind: %v", err)
		}
		if err == nil && changed && i != 0 && i != len(parts)-2 {
			t.Fatalf("other rows were read: %d of them", len(rows))
		}
	})
}

func FuzzHeader(f *testing.F) {
	_, stream, _ := sample(f, 5)
	f.Add(split(f, stream)[0].payload)
	f.Fuzz(func(t *testing.T, payload []byte) {
		h, err := decodeHeader(payload)
		if err == nil && !bytes.Equal(store.Encode(&h), payload) {
			t.Fatal("two forms of one header")
		}
	})
}

func FuzzFooter(f *testing.F) {
	_, stream, _ := sample(f, 5)
	parts := split(f, stream)
	f.Add(parts[len(parts)-2].payload)
	f.Fuzz(func(t *testing.T, payload []byte) {
		footer, err := decodeFooter(payload)
		if err == nil && !bytes.Equal(store.Encode(&footer), payload) {
			t.Fatal("two forms of one footer")
		}
	})
}

func FuzzMembership(f *testing.F) {
	f.Add(soleVoter("node-1", "127.0.0.1:1"))
	f.Add([]byte{0xc1, 0xff})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		members, err := decodeMembership(encoded)
		if err == nil && len(members.Servers) > len(encoded) {
			t.Fatalf("%d members from %d bytes", len(members.Servers), len(encoded))
		}
	})
}
