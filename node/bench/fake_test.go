package bench

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// failureVariable says what goes wrong with a fake program.
const failureVariable = "BENCH_FAKE_FAILURE"

// TestMain makes the test binary behave as the program under test when its
// first argument is a verb, never a flag of the tests.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		if err := fakeProgram(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // of the programs we start
	os.Exit(m.Run())
}

// fakeProgram knows the verbs that the bench executes for one node.
func fakeProgram(arguments []string) error {
	value := func(flag string) string {
		for i, argument := range arguments[:len(arguments)-1] {
			if argument == flag {
				return arguments[i+1]
			}
		}
		return ""
	}
	switch dir := value("--data-dir"); {
	case arguments[0] == "trivial":
		return http.ListenAndServe(arguments[1], trivialHandler())
	case arguments[0] == "verify" && value("--only") == "chain":
		if os.Getenv(failureVariable) == "verify" {
			return fmt.Errorf("entry 7 is bad")
		}
		height, err := readHeight(dir)
		fmt.Printf(`{"checks":[{"name":"chain","rows":%d,"seconds":0.001,"ok":true}]}`, height)
		return err
	case arguments[0] == "backup" && arguments[1] == "create":
		if os.Getenv(failureVariable) == "backup" {
			return fmt.Errorf("no room for a copy")
		}
		return os.WriteFile(arguments[len(arguments)-1], []byte("a copy of "+dir), 0o600)
	case arguments[0] == "dev":
		return fakeDev(dir, value("--http-addr"))
	}
	return fmt.Errorf("unexpected arguments %q", arguments)
}

func fakeDev(dir, address string) error {
	if os.Getenv("AEVION_RATE_MONEY") != "0" || os.Getenv("QPAYNET_MAX_TRANSFER") == "" {
		return fmt.Errorf("limits are not lifted")
	}
	if os.Getenv(failureVariable) == "start" {
		return fmt.Errorf("no luck today")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	server, err := newFakeServer(dir)
	if err != nil {
		return err
	}
	if os.Getenv(failureVariable) == "forget" {
		server.file = nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(listener, server.handler()) }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	return nil
}

// fakeServer implements what the bench calls and refuses what a real server
// would: foreign wallets, keys used twice, wrong headers, odd amounts.
type fakeServer struct {
	mutex   sync.Mutex
	users   int
	wallets int
	height  int64
	keys    map[string]bool
	file    *os.File // keeps the height over a kill
	lose    bool     // acknowledge without keeping
}

func newFakeServer(dir string) (*fakeServer, error) {
	file, err := os.OpenFile(filepath.Join(dir, "height"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	height, err := readHeight(dir)
	return &fakeServer{file: file, height: height, keys: map[string]bool{}}, err
}

func readHeight(dir string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(dir, "height"))
	if err != nil || len(text) < 8 {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(text)), nil
}

type fakeProblem struct {
	status int
	code   string
}

func (f *fakeServer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	f.route(mux, "GET /api/veilnetx-ledger/chain/head", func(*http.Request, int) any {
		return map[string]any{"height": f.height}
	})
	f.route(mux, "POST /api/auth/register", f.register)
	f.route(mux, "POST /api/qpaynet/wallets", f.openWallet)
	f.route(mux, "POST /api/qpaynet/deposit", f.deposit)
	f.route(mux, "POST /api/qpaynet/transfer", f.transfer)
	f.route(mux, "POST /api/qpaynet/transfers/batch", f.batch)
	read := func(r *http.Request, user int) any {
		id := r.PathValue("id")
		if ownerOf(id) != user {
			return fakeProblem{404, "not_found"}
		}
		return map[string]any{"id": id, "balanceKzt": depositAmount}
	}
	f.route(mux, "GET /api/qpaynet/wallets/{id}", read)
	f.route(mux, "GET /api/qpaynet/transactions/{id}", read)
	return mux
}

// route runs a handler under the lock and encodes what it returns.
func (f *fakeServer) route(mux *http.ServeMux, pattern string, handle func(r *http.Request, user int) any) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		user := -1
		_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "Bearer token-%d", &user)
		f.mutex.Lock()
		defer f.mutex.Unlock()
		answer := handle(r, user)
		w.Header().Set("Content-Type", "application/json")
		if problem, refused := answer.(fakeProblem); refused {
			w.WriteHeader(problem.status)
			answer = map[string]string{"error": problem.code}
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func (f *fakeServer) register(r *http.Request, _ int) any {
	var in struct{ Email, Password string }
	if !decode(r, &in) || !strings.Contains(in.Email, "@") || len(in.Password) < 6 {
		return fakeProblem{400, "validation_failed"}
	}
	f.users++
	// Tokens of different lengths: every user has requests of its own.
	return map[string]any{"token": fmt.Sprintf("token-%d%s", f.users-1, strings.Repeat(".", f.users)), "user": map[string]any{}}
}

func (f *fakeServer) openWallet(r *http.Request, user int) any {
	var in struct{ Currency, Name string }
	if !decode(r, &in) || user < 0 || in.Currency != "KZT" || in.Name == "" {
		return fakeProblem{400, "validation_failed"}
	}
	f.wallets++
	return map[string]any{"id": fmt.Sprintf("wal_%08x%024x", user, f.wallets)}
}

func (f *fakeServer) deposit(r *http.Request, user int) any {
	var in struct {
		WalletID  string
		AmountKzt int64
	}
	if !decode(r, &in) || ownerOf(in.WalletID) != user || in.AmountKzt <= 0 || !f.fresh(r, user) {
		return fakeProblem{400, "validation_failed"}
	}
	return map[string]any{"transactionId": f.append(user)}
}

type fakeTransfer struct {
	FromWalletID, ToWalletID string
	AmountKzt                int64
}

func (t fakeTransfer) valid(user int) bool {
	return ownerOf(t.FromWalletID) == user && ownerOf(t.ToWalletID) >= 0 && ownerOf(t.ToWalletID) != user &&
		t.AmountKzt >= minAmount && t.AmountKzt <= maxAmount
}

func (f *fakeServer) transfer(r *http.Request, user int) any {
	var in fakeTransfer
	if !decode(r, &in) || !in.valid(user) || !f.fresh(r, user) {
		return fakeProblem{400, "validation_failed"}
	}
	return map[string]any{"transactionId": f.append(user), "amountKzt": in.AmountKzt, "feeKzt": 1}
}

func (f *fakeServer) batch(r *http.Request, user int) any {
	var in struct{ Transfers []fakeTransfer }
	if !decode(r, &in) || len(in.Transfers) == 0 || !f.fresh(r, user) {
		return fakeProblem{400, "validation_failed"}
	}
	var results []map[string]any
	for _, row := range in.Transfers {
		if !row.valid(user) {
			return fakeProblem{400, "validation_failed"}
		}
		results = append(results, map[string]any{"transactionId": f.append(user), "feeKzt": 1})
	}
	return map[string]any{"requested": len(results), "succeededCount": len(results), "failedCount": 0, "results": results}
}

func decode(r *http.Request, in any) bool {
	return r.Header.Get("Content-Type") == "application/json" && json.NewDecoder(r.Body).Decode(in) == nil
}

// fresh refuses a missing key and one that was used before.
func (f *fakeServer) fresh(r *http.Request, user int) bool {
	key := fmt.Sprint(user, r.Header.Get("Idempotency-Key"))
	if f.keys[key] || len(r.Header.Get("Idempotency-Key")) != keyWidth {
		return false
	}
	f.keys[key] = true
	return true
}

func (f *fakeServer) append(user int) string {
	if !f.lose {
		f.height++
	}
	if f.file != nil {
		_, _ = f.file.WriteAt(binary.BigEndian.AppendUint64(nil, uint64(f.height)), 0)
	}
	return fmt.Sprintf("tx_%08x%024x", user, f.height)
}

// ownerOf reads the user out of an id of ours, -1 if it is none.
func ownerOf(id string) int {
	user := -1
	_, hexadecimal, _ := strings.Cut(id, "_")
	if len(hexadecimal) == 32 {
		_, _ = fmt.Sscanf(hexadecimal[:8], "%x", &user)
	}
	return user
}

// trivialHandler answers a transfer-sized body and does nothing.
func trivialHandler() http.Handler {
	body := []byte(`{"transactionId":"tx_0123456789abcdef0123456789abcdef","amountKzt":100,"feeKzt":1}`)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
}

// waitFor polls a condition; it is the only clock of these tests.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited 10 s for %s", what)
		}
	}
}
