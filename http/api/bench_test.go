package api

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// processor reports processor time, which other work on the machine disturbs
// less than the clock.
func processor(b *testing.B) (stop func()) {
	spent := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	start := spent()
	return func() { b.ReportMetric(float64(spent()-start)/float64(b.N), "cpu-ns/op") }
}

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

// rewind is a body that can be read again and again.
type rewind struct{ bytes.Reader }

func (*rewind) Close() error { return nil }

// forBenchmark takes a log that answers at once, a log of requests that is
// thrown away, and keeps the states of the keyed hash, as a node does.
func (b *bank) forBenchmark() *Mux {
	macs := sync.Pool{New: func() any { return hmac.New(sha256.New, []byte("0123456789abcdef0123456789abcdef")) }}
	b.options.BodyHash = func(message []byte) (sum [32]byte) {
		mac := macs.Get().(hash.Hash)
		defer macs.Put(mac)
		mac.Reset()
		mac.Write(message)
		mac.Sum(sum[:0])
		return sum
	}
	b.options.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
	b.options.Now = time.Now
	b.log.forget = true
	return b.mux()
}

func measure(b *testing.B, m *Mux, method, path, body string, edits ...edit) {
	b.Helper()
	r := httptest.NewRequest(method, path, http.NoBody)
	r.RequestURI, r.RemoteAddr = path, "203.0.113.7:1234"
	reader := &rewind{}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		r.ContentLength = int64(len(body))
		r.Body = reader
	}
	for _, change := range edits {
		change(r)
	}
	r.Header.Set("User-Agent", "bench/1")
	text := []byte(body)
	b.ReportAllocs()
	defer processor(b)()
	for b.Loop() {
		reader.Reset(text)
		w := &sink{header: make(http.Header, 16)}
		m.ServeHTTP(w, r)
		if w.status != 200 {
			b.Fatalf("status %d", w.status)
		}
	}
}

func BenchmarkTransfer(b *testing.B) {
	measure(b, newBank(b).forBenchmark(), "POST", "/api/money/transfer", goodTransfer, as("usr_1"),
		header(headerKey, "0123456789abcdef0123456789abcdef"))
}

func BenchmarkTransferWithoutKey(b *testing.B) {
	measure(b, newBank(b).forBenchmark(), "POST", "/api/money/transfer", goodTransfer, as("usr_1"))
}

func BenchmarkTransferWithRate(b *testing.B) {
	bank := newBank(b)
	bank.limit = Limit{Requests: 1 << 30}
	measure(b, bank.forBenchmark(), "POST", "/api/money/transfer", goodTransfer, as("usr_1"),
		header(headerKey, "0123456789abcdef0123456789abcdef"))
}

func BenchmarkWallet(b *testing.B) {
	measure(b, newBank(b).forBenchmark(), "GET", "/api/money/wallets/wal_0123456789abcdef0123456789abcdef", "", as("usr_1"))
}

func batchBody(rows int) string {
	var b strings.Builder
	b.WriteString(`{"transfers":[`)
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"fromWalletId":"wal_%032x","toWalletId":"wal_%032x","amountKzt":%d}`, i*7919, i*104729, 100+i%900)
	}
	b.WriteString(`]}`)
	return b.String()
}

// BenchmarkBatchDecode is what the design asks at most 12 ms for.
func BenchmarkBatchDecode(b *testing.B) {
	body := []byte(batchBody(8190))
	p, err := newCompiler().plan(reflect.TypeFor[batchRequest]())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	defer processor(b)()
	for b.Loop() {
		if err := checkJSON(body); err != nil {
			b.Fatal(err)
		}
		in := new(batchRequest)
		v := reflect.ValueOf(in).Elem()
		d := decoding{scanner: scanner{text: string(body)}}
		d.next()
		var f found
		p.read(&d, v, &f)
		if violation := p.check(v, &f); violation != nil {
			b.Fatal(violation)
		}
		if len(in.Transfers) != 8190 {
			b.Fatal(len(in.Transfers))
		}
	}
}

func BenchmarkBatchCheckJSON(b *testing.B) {
	body := []byte(batchBody(8190))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := checkJSON(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBatchWithKey(b *testing.B) {
	measure(b, newBank(b).forBenchmark(), "POST", "/api/money/transfers/batch", batchBody(8190), as("usr_1"),
		header(headerKey, "0123456789abcdef0123456789abcdef"))
}

func BenchmarkLimiter(b *testing.B) {
	l := newLimiter()
	now := time.Now()
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.add(3, "203.0.113.7", 1, now)
		}
	})
}

func BenchmarkRoute(b *testing.B) {
	m := newBank(b).forBenchmark()
	r := &http.Request{Method: "GET", URL: &url.URL{Path: "/api/money/wallets/wal_0123456789abcdef0123456789abcdef"}}
	c := &Call{request: r}
	b.ReportAllocs()
	for b.Loop() {
		if t, _ := m.tree.find(&c.slot, r.Method, r.URL.Path); t == nil {
			b.Fatal("no target")
		}
	}
}
