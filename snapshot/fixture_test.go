package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"coffer/ledgerchain"
	"coffer/store"
)

type account struct {
	ID       string `cbor:"1,keyasint"`
	Owner    string `cbor:"2,keyasint"`
	Currency string `cbor:"3,keyasint"`
	Balance  int64  `cbor:"4,keyasint"`
}

type request struct {
	ID      string `cbor:"1,keyasint"`
	Outcome []byte `cbor:"2,keyasint"`
}

// bank is a small schema with every shape and a ledger.
type bank struct {
	accounts *store.Table[store.ID, account]
	byOwner  *store.Index[store.ID, account, store.Text]
	journal  *store.Journal[request]
	requests *store.Partitioned[store.ID, request]
	empty    *store.Table[store.ID, account]
	schema   *store.Schema
}

func newBank(t testing.TB) *bank {
	t.Helper()
	b := &bank{
		accounts: store.NewTable("bank.accounts", func(a *account) store.ID { return store.ID(a.ID) }),
		journal:  store.NewJournal[request]("bank.journal"),
		requests: store.NewPartitioned("system.requests", func(r *request) store.ID { return store.ID(r.ID) }),
		empty:    store.NewTable("bank.empty", func(a *account) store.ID { return store.ID(a.ID) }),
	}
	b.byOwner = store.AddIndex(b.accounts, "owner", func(a *account) (store.Text, bool) { return store.Text(a.Owner), true })
	var err error
	b.schema, err = store.NewSchema(ledgerTables(b)...)
	must(t, err)
	return b
}

// ledgerTables are all tables of the schema.
func ledgerTables(b *bank) []store.Shape {
	return append(ledgerchain.Tables(), b.accounts, b.journal, b.requests, b.empty)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const testCluster = "cluster-1"

// sums adds up the accounts.
func (b *bank) sums(v *store.View) ([]Sum, error) {
	byCurrency := map[string]*Sum{}
	order := []string{"EUR", "KZT"}
	for _, currency := range order {
		byCurrency[currency] = &Sum{Currency: currency}
	}
	for _, a := range b.accounts.Scan(v, store.All{}, nil) {
		if a.Balance > 0 {
			byCurrency[a.Currency].Positive += a.Balance
		} else {
			byCurrency[a.Currency].Negative += a.Balance
		}
	}
	var sums []Sum
	for _, currency := range order {
		sums = append(sums, *byCurrency[currency])
	}
	return sums, nil
}

func (b *bank) source() Source { return Source{ClusterID: testCluster, Sums: b.sums} }

func (b *bank) options(path, node string) store.Options {
	return store.Options{
		Path: path, Schema: b.schema, Stamp: []byte(testCluster + "/" + node), FlushBytes: 1 << 30, FlushInterval: time.Hour,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// appliance is a database with a seeded history.
type appliance struct {
	*bank
	db     *store.DB
	dir    string
	node   string
	random *rand.Rand
	salt   *ledgerchain.Salt
}

func (b *bank) appliance(t testing.TB, dir, node string) *appliance {
	t.Helper()
	o := b.options(filepath.Join(dir, "state.db"), node)
	o.Fatal = func(err error) { t.Error(err) }
	db, err := store.Open(o)
	must(t, err)
	t.Cleanup(func() { _ = db.Abandon() })
	salt, err := ledgerchain.NewSalt([]byte("example-salt-not-for-production!"))
	must(t, err)
	return &appliance{bank: b, db: db, dir: dir, node: node, random: newSeeded(1), salt: salt}
}

// entry is the log entry after the last one.
func (a *appliance) entry(t testing.TB) {
	t.Helper()
	index := a.db.Published() + 1
	a.entryAt(t, a.random, store.Applied{
		Index: index, Term: 2, Membership: soleVoter("node-1", "127.0.0.1:1"), MembershipIndex: 1, Epoch: 3,
	})
}

// entryAt is one log entry: a transfer, a link of the chain, a request, and at
// times a drop of old requests.
func (a *appliance) entryAt(t testing.TB, random *rand.Rand, applied store.Applied) {
	t.Helper()
	index := applied.Index
	b := a.db.Begin()
	if _, err := ledgerchain.LedgerID(b); err != nil {
		ledgerchain.Found(b, "coffer.local/"+testCluster)
	}
	a.move(b, random)
	a.append(t, b, index)
	outcome := make([]byte, random.IntN(300))
	for i := range outcome {
		outcome[i] = byte(random.Uint32())
	}
	id := fmt.Sprintf("req-%06d", index)
	a.requests.Put(b, store.Time(int64(index/10)*store.Hour), request{ID: id, Outcome: outcome})
	a.journal.Add(b, request{ID: id, Outcome: outcome})
	if index%25 == 0 {
		a.requests.Drop(b, store.Time(int64(index/10-1)*store.Hour))
	}
	applied.Time, applied.Digest, applied.Version = store.Time(index)*1000, sha256.Sum256([]byte(id)), 1
	commit(a.db, b, applied)
}

// commit ends one entry.
func commit(db *store.DB, b *store.Batch, applied store.Applied) {
	b.Merge()
	db.Commit(applied)
}

func (a *appliance) move(b *store.Batch, random *rand.Rand) {
	currency, amount := []string{"EUR", "KZT"}[random.IntN(2)], random.Int64N(1000)
	for _, change := range []int64{-amount, amount} {
		id := store.ID(fmt.Sprintf("acc-%s-%03d", currency, random.IntN(200)))
		row, _ := a.accounts.Get(b, id)
		row.ID, row.Currency, row.Owner = string(id), currency, fmt.Sprint("owner-", random.IntN(50))
		row.Balance += change
		a.accounts.Put(b, row)
	}
}

func (a *appliance) append(t testing.TB, b *store.Batch, index uint64) {
	t.Helper()
	blind := sha256.Sum256([]byte(fmt.Sprint(index)))
	var appender ledgerchain.Appender
	must(t, appender.Open(b, a.salt))
	defer appender.Close()
	_, err := appender.Append(&ledgerchain.Draft{
		Kind: "transfer", Time: int64(index) * 1000, Payload: []byte(fmt.Sprintf(`{"id":"tx_%d"}`, index)),
		Blind: ledgerchain.Blind(blind[:16]),
	})
	must(t, err)
}

// entries applies n entries and flushes where flush says so, and at the end.
func (a *appliance) entries(t testing.TB, n int, flush func() bool) {
	t.Helper()
	for range n {
		a.entry(t)
		if flush() {
			must(t, a.db.Flush())
		}
	}
	must(t, a.db.Flush())
}

func newSeeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func never() bool { return false }

// stream writes the flushed state in its canonical form.
func (a *appliance) stream(t testing.TB) ([]byte, Summary) {
	t.Helper()
	e, err := a.db.Export()
	must(t, err)
	defer e.Close()
	var stream bytes.Buffer
	summary, err := Write(context.Background(), &stream, e, a.source())
	must(t, err)
	if summary.Bytes != int64(stream.Len()) {
		t.Fatalf("%d bytes, the summary says %d", stream.Len(), summary.Bytes)
	}
	return stream.Bytes(), summary
}

// sample is a stream of n entries.
func sample(t testing.TB, n int) (*appliance, []byte, Summary) {
	t.Helper()
	a := newBank(t).appliance(t, t.TempDir(), "node-1")
	a.entries(t, n, never)
	stream, summary := a.stream(t)
	return a, stream, summary
}

// part is one frame of a stream.
type part struct {
	kind    byte
	payload []byte
}

// split cuts a sound stream into its frames.
func split(t testing.TB, stream []byte) (parts []part) {
	t.Helper()
	for rest := stream[len(firstLine):]; len(rest) > 0; {
		length := int(binary.BigEndian.Uint32(rest[1:]))
		parts = append(parts, part{rest[0], bytes.Clone(rest[5 : 5+length])})
		rest = rest[9+length:]
	}
	return parts
}

// join makes a stream of frames with right checksums and the right SHA-256.
func join(parts []part) []byte {
	stream := []byte(firstLine)
	for _, p := range parts {
		if p.kind == hashFrame {
			sum := sha256.Sum256(stream)
			p.payload = sum[:]
		}
		stream = appendFrame(stream, p)
	}
	return stream
}

func appendFrame(stream []byte, p part) []byte {
	start := len(stream)
	stream = binary.BigEndian.AppendUint32(append(stream, p.kind), uint32(len(p.payload)))
	stream = append(stream, p.payload...)
	return binary.BigEndian.AppendUint32(stream, crc32.Checksum(stream[start:], castagnoli))
}

func members(servers ...string) raft.Configuration {
	var c raft.Configuration
	for _, id := range servers {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id + ":1")})
	}
	return c
}

// files lists everything below a directory.
func files(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
