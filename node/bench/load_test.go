package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// newTestBank populates a fake server inside the test.
func newTestBank(t *testing.T, wrap func(http.Handler) http.Handler) (*bank, *fakeServer) {
	t.Helper()
	fake := &fakeServer{keys: map[string]bool{}}
	handler := fake.handler()
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	b := &bank{address: server.Listener.Addr().String(), run: 7, seed: 11, note: t.Logf}
	if err := b.populate(t.Context(), 3, 20, 4); err != nil {
		t.Fatal(err)
	}
	return b, fake
}

func TestLoadCountsWhatTheServerDid(t *testing.T) {
	b, fake := newTestBank(t, nil)
	if len(b.wallets) != 18 || len(b.tokens) != 3 || fake.height != 18 {
		t.Fatalf("%d wallets, %d users, %d deposits; want 18, 3, 18", len(b.wallets), len(b.tokens), fake.height)
	}
	before := fake.height
	m, err := b.loadTransfers(t.Context(), phase{name: "limited", clients: 3, limit: 500}, b.transfers)
	if err != nil {
		t.Fatal(err)
	}
	if m.Refused != 0 || m.Count < 500 || m.Count > 502 || fake.height-before != m.Acknowledged || m.Count != m.Acknowledged {
		t.Errorf("refused %d (%s), counted %d, acknowledged %d, server %d",
			m.Refused, m.FirstRefusal, m.Count, m.Acknowledged, fake.height-before)
	}
	m, err = b.loadTransfers(t.Context(), phase{
		name: "timed", clients: 2, warmUp: 50 * time.Millisecond, duration: 200 * time.Millisecond,
	}, b.batches(10))
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, n := range m.Series {
		sum += n
	}
	if m.Refused != 0 || m.Count != 10*m.Requests || sum != m.Count || m.Acknowledged <= m.Count || m.Seconds < 0.2 || m.Seconds > 20 {
		t.Errorf("%+v, series sums to %d", m, sum)
	}
	if b.moved != fake.height-before || m.Latency.P50Millis <= 0 || m.Latency.P50Millis > m.Latency.MaxMillis {
		t.Errorf("moved %d of %d, latency %+v", b.moved, fake.height-before, m.Latency)
	}
}

func TestReadsAreThoseOfTheOwner(t *testing.T) {
	b, _ := newTestBank(t, nil)
	made, err := b.makeTransactions(t.Context(), 30)
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.load(t.Context(), phase{name: "reads", clients: 2, limit: 300}, func() stream {
		return newReadStream(b, "/api/qpaynet/transactions", made)
	})
	if err != nil || m.Refused != 0 || m.Count < 300 {
		t.Errorf("%d read, %d refused: %s; %v", m.Count, m.Refused, m.FirstRefusal, err)
	}
}

// refusing answers 400 to transfers when it is asked to.
func refusing(refuse func(n int) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		n := 0
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/qpaynet/transfer" {
				n++
				if refuse(n) {
					http.Error(w, `{"error":"insufficient_balance"}`, http.StatusBadRequest)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestRefusalsAreCountedAndShown(t *testing.T) {
	b, _ := newTestBank(t, refusing(func(n int) bool { return n%10 == 0 }))
	m, err := b.loadTransfers(t.Context(), phase{name: "some", clients: 1, limit: 90}, b.transfers)
	if err != nil {
		t.Fatal(err)
	}
	if m.Refused != 9 || m.Count != 90 || m.Requests != 99 || !strings.Contains(m.FirstRefusal, "400: {\"error\":\"insufficient_balance\"}") {
		t.Errorf("%+v", m)
	}
	if row := rateRow("some", m, 1); row.Verdict != Failed || len(row.Notes) == 0 {
		t.Errorf("a rate with refusals is %s: %q", row.Verdict, row.Notes)
	}
}

func TestLoadGivesUp(t *testing.T) {
	b, _ := newTestBank(t, refusing(func(int) bool { return true }))
	_, err := b.loadTransfers(t.Context(), phase{name: "hopeless", clients: 1, duration: time.Hour}, b.transfers)
	if err == nil || !strings.Contains(err.Error(), "insufficient_balance") {
		t.Errorf("every answer refused: %v", err)
	}
}

func TestLoadNoticesLostTransfers(t *testing.T) {
	b, fake := newTestBank(t, nil)
	fake.lose = true
	_, err := b.loadTransfers(t.Context(), phase{name: "lossy", clients: 1, limit: 10}, b.transfers)
	if err == nil || !strings.Contains(err.Error(), "10 transfers acknowledged, the chain grew by 0") {
		t.Errorf("lost transfers: %v", err)
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	reached, release := make(chan struct{}, 8), make(chan struct{})
	b, _ := newTestBank(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/qpaynet/transfer" {
				reached <- struct{}{}
				<-release // no answer before the test ends
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-reached
		<-reached
		cancel()
	}()
	_, err := b.load(ctx, phase{name: "silent", clients: 2, duration: time.Hour}, b.transfers)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
}

func TestConnectionOpensAgain(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		if n%2 == 0 {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprint(w, n)
	}))
	defer server.Close()
	c := newConnection(server.Listener.Addr().String())
	for i := 1; i <= 5; i++ {
		answer, err := c.exchange(newRequest(c.address, call{method: "GET", path: "/"}, nil))
		if err != nil || string(answer.body) != fmt.Sprint(i) {
			t.Fatalf("exchange %d: %q, %v", i, answer.body, err)
		}
	}
	c.close()
	if _, err := c.exchange(nil); err == nil {
		t.Error("a closed connection still works")
	}
}

func TestAnswersAreInspected(t *testing.T) {
	b, _ := newTestBank(t, nil)
	single := newTransferStream(b)
	batch := newBatchStream(b, 2)
	read := newReadStream(b, "/api/qpaynet/wallets", []object{{0, b.wallets[0]}})
	cases := []struct {
		name   string
		stream stream
		body   string
		good   bool
	}{
		{"transfer that is not JSON", single, "ok", false},
		{"transfer without id", single, `{"amountKzt":%d,"feeKzt":1}`, false},
		{"transfer of another amount", single, `{"transactionId":"tx_1","amountKzt":7,"feeKzt":1}`, false},
		{"transfer without fee", single, `{"transactionId":"tx_1","amountKzt":%d,"feeKzt":0}`, false},
		{"transfer as sent", single, `{"transactionId":"tx_1","amountKzt":%d,"feeKzt":1}`, true},
		{"batch without count", batch, `{}`, false},
		{"batch with a refused row", batch,
			`{"requested":2,"succeededCount":1,"failedCount":1,"results":[{"transactionId":"a"},{"error":"wallet_inactive"}]}`, false},
		{"batch with a missing row", batch, `{"requested":2,"succeededCount":2,"failedCount":0,"results":[{"transactionId":"a"}]}`, false},
		{"batch with an empty row", batch, `{"requested":2,"succeededCount":2,"failedCount":0,"results":[{"transactionId":"a"},{}]}`, false},
		{"batch as sent", batch,
			`{ "requested": 2, "succeededCount": 2, "failedCount": 0, "results": [{"transactionId":"a"},{"transactionId":"b"}] }`, true},
		{"read of another object", read, `{"id":"wal_0"}`, false},
		{"read as asked", read, fmt.Sprintf(`{"id":%q}`, b.wallets[0]), true},
	}
	for _, c := range cases {
		c.stream.next()
		body := c.body
		switch s := c.stream.(type) {
		case *transferStream:
			s.answers = 0
			body = strings.ReplaceAll(body, "%d", fmt.Sprint(s.last.amount))
		case *batchStream:
			s.answers = 0
		case *readStream:
			s.answers = 0
		}
		if _, err := c.stream.accept([]byte(body)); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestRequestsKeepTheirLength(t *testing.T) {
	b, _ := newTestBank(t, nil)
	for _, s := range []stream{newTransferStream(b), newBatchStream(b, 3)} {
		seen := map[string]bool{}
		for range 200 {
			request := s.next()
			header, body, _ := bytes.Cut(request, []byte("\r\n\r\n"))
			if !bytes.Contains(header, fmt.Appendf(nil, "Content-Length: %d", len(body))) {
				t.Fatalf("length of the body is %d: %s", len(body), header)
			}
			key := string(request[keyOffset(request):][:keyWidth])
			if seen[key] {
				t.Fatalf("key %s twice", key)
			}
			seen[key] = true
		}
	}
}

func TestThirds(t *testing.T) {
	first, last := thirds([]int64{10, 20, 5, 5, 5, 5, 4, 2, 1}, 8.5)
	if first != 15 || last != 3 {
		t.Errorf("got %v and %v, want 15 and 3", first, last)
	}
	if first, last = thirds([]int64{10, 20}, 2); first != 0 || last != 0 {
		t.Errorf("two seconds have thirds %v and %v", first, last)
	}
}

func TestAddressOf(t *testing.T) {
	for base, want := range map[string]string{
		"http://127.0.0.1:4001": "127.0.0.1:4001", "http://bank.example/": "bank.example:80",
		"http://[::1]:4001": "[::1]:4001", "https://127.0.0.1": "", "127.0.0.1:4001": "", "http://x/api": "", "http://:1": "",
	} {
		got, err := addressOf(base)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", base, got, err, want)
		}
	}
}
