package ledgerchain

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// benchPayload is a transfer's payload of about 500 bytes, with a number in it.
func benchPayload(e *Encoder, dst []byte, salt *Salt, i int) ([]byte, error) {
	from, to := benchWallets[i%len(benchWallets)], benchWallets[(i+7)%len(benchWallets)]
	e.Reset(dst)
	e.BeginObject()
	e.Key("amountCents").Int(int64(50000 + i))
	e.Key("blindedFrom").String(salt.Blind(from))
	e.Key("blindedTo").String(salt.Blind(to))
	e.Key("currency").String("KZT")
	e.Key("kind").String("transfer")
	e.Key("meta").BeginObject()
	e.Key("actor").String(salt.Blind("user:usr_0c52fe8b8f5c4f7fa1e5b7c2d3e4f5a6"))
	e.Key("fee").Int(50)
	e.Key("transactionId").String("tx_0000000000000100b1946ac92492d234")
	e.EndObject()
	e.Key("module").String("qpaynet")
	e.Key("postings").BeginArray()
	for leg, account := range [...]string{from, to, "fees:p2p"} {
		e.BeginArray()
		e.String(account)
		e.Int(int64(leg*50000 + i))
		e.EndArray()
	}
	e.EndArray()
	e.EndObject()
	return e.Bytes()
}

var benchWallets = func() (wallets []string) {
	for i := range 1000 {
		wallets = append(wallets, fmt.Sprintf("wal_%032x", i*7919))
	}
	return wallets
}()

// benchRows seals a chain of n rows with payloads of exactly 500 bytes.
func benchRows(tb testing.TB, n int) (state State, rows [][]byte) {
	salt := mustSalt(tb, vectorSecret)
	state = NewState(vectorLedger)
	payload := fmt.Appendf(nil, `{"memo":"%s"}`, strings.Repeat("x", 500-len(`{"memo":""}`)))
	draft := Draft{Kind: "transfer", Payload: payload, Links: []Link{{}, {}, {}}}
	for i := range n {
		draft.Time++
		draft.Blind = testBlind(i % 16)
		row, _, err := state.Seal(make([]byte, 0, 800), salt, &draft)
		if err != nil {
			tb.Fatal(err)
		}
		rows = append(rows, row)
	}
	return state, rows
}

func BenchmarkSeal(b *testing.B) {
	salt := mustSalt(b, vectorSecret)
	state := NewState(vectorLedger)
	links := []Link{{1, 1}, {1, 1}, {1, 1}}
	var encoder Encoder
	var payload, row []byte
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		encoded, err := benchPayload(&encoder, payload[:0], salt, i)
		if err != nil {
			b.Fatal(err)
		}
		payload = encoded
		draft := Draft{Kind: "transfer", Time: int64(i), Blind: Blind{byte(i)}, Payload: payload, Links: links}
		if row, _, err = state.Seal(row[:0], salt, &draft); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(payload)), "payload-bytes")
}

func BenchmarkSealOnly(b *testing.B) {
	salt := mustSalt(b, vectorSecret)
	state := NewState(vectorLedger)
	draft := Draft{Kind: "transfer", Payload: make([]byte, 500), Links: []Link{{1, 1}, {1, 1}, {1, 1}}}
	var row []byte
	b.ReportAllocs()
	for b.Loop() {
		draft.Time++
		var err error
		if row, _, err = state.Seal(row[:0], salt, &draft); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPayload(b *testing.B) {
	salt := mustSalt(b, vectorSecret)
	var encoder Encoder
	var payload []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if payload, err = benchPayload(&encoder, payload[:0], salt, 3); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(payload)), "payload-bytes")
}

func BenchmarkCheckCanonical(b *testing.B) {
	var encoder Encoder
	payload, err := benchPayload(&encoder, nil, mustSalt(b, vectorSecret), 3)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckCanonical(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBlind(b *testing.B) {
	salt := mustSalt(b, vectorSecret)
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			salt.Blind(benchWallets[1])
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		identifier := []byte("wal_00000000000000000000000000000000")
		for b.Loop() {
			i++
			for k, n := len(identifier)-1, i; n > 0; k, n = k-1, n>>4 {
				identifier[k] = hexDigits[n&15]
			}
			salt.Blind(string(identifier))
		}
	})
}

// BenchmarkRun verifies rows of 500 payload bytes; entries/s is the figure of one core.
func BenchmarkRun(b *testing.B) {
	for _, keyed := range []bool{true, false} {
		for _, strict := range []bool{false, true} {
			b.Run(fmt.Sprintf("keyed=%v,canonical=%v", keyed, strict), func(b *testing.B) { benchmarkRun(b, keyed, strict) })
		}
	}
}

func benchmarkRun(b *testing.B, keyed, strict bool) {
	const n = 1 << 14
	state, rows := benchRows(b, n)
	var ring *KeyRing
	if keyed {
		ring, _ = NewKeyRing(mustSalt(b, vectorSecret))
	}
	b.ReportAllocs()
	for b.Loop() {
		run := NewRun(GenesisHead(vectorLedger), ring)
		if strict {
			run.RequireCanonical()
		}
		for i, row := range rows {
			run.Add(uint64(i), row)
		}
		if err := run.CheckEnd(&state); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkJoinedRuns verifies two halves of a chain at the same time, as a node with two cores does.
func BenchmarkJoinedRuns(b *testing.B) {
	const n = 1 << 15
	state, rows := benchRows(b, n)
	ring := mustRing(b, mustSalt(b, vectorSecret))
	middle, err := HeadAfter(rows[n/2-1])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		first, second := NewRun(GenesisHead(vectorLedger), ring), NewRun(middle, ring)
		var group sync.WaitGroup
		for i, run := range []*Run{first, second} {
			group.Go(func() {
				for k := i * n / 2; k < (i+1)*n/2; k++ {
					run.Add(uint64(k), rows[k])
				}
			})
		}
		group.Wait()
		if err := first.Join(second); err != nil {
			b.Fatal(err)
		}
		if err := first.CheckEnd(&state); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkProof(b *testing.B) {
	leaves := make(leafTiles, 100000)
	for i := range leaves {
		leaves[i] = Hash{byte(i), byte(i >> 8), byte(i >> 16)}
	}
	tiles := cachedTiles{leaves, map[string][]Hash{}}
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i = (i + 7919) % uint64(len(leaves)) {
		if _, err := InclusionProof(tiles, uint64(len(leaves)), i); err != nil {
			b.Fatal(err)
		}
	}
}

// cachedTiles keeps tiles as a database would, so that a benchmark does not measure how they are made.
type cachedTiles struct {
	leaves leafTiles
	tiles  map[string][]Hash
}

func (c cachedTiles) ReadTile(level int, index uint64, width int) ([]Hash, error) {
	path := Tile{HashTile, level, index, width}.Path()
	if hashes, ok := c.tiles[path]; ok {
		return hashes, nil
	}
	hashes, err := c.leaves.ReadTile(level, index, width)
	c.tiles[path] = hashes
	return hashes, err
}
