package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/fsm"
	"coffer/store"
)

// bank is a small surface with one area, over a log that lives in memory.
type bank struct {
	t        testing.TB
	log      *fakeLog
	options  Options
	revoked  map[string]bool // sessions
	records  *strings.Builder
	fatal    error
	requests []Limit
	limit    Limit
	now      time.Time
}

// amounts are the three names of one amount; exactly one may be there.
type amounts struct {
	AmountKzt   Integer `json:"amountKzt" validate:"min=1" doc:"Minor units"`
	AmountCents Integer `json:"amountCents" validate:"min=1"`
	Amount      Integer `json:"amount" validate:"min=1"`
}

func (a *amounts) Check() *Violation {
	given := 0
	for _, amount := range []Integer{a.AmountKzt, a.AmountCents, a.Amount} {
		if amount.Set {
			given++
		}
	}
	switch given {
	case 1:
		return nil
	case 0:
		return &Violation{Field: "amount", Reason: "is required"}
	}
	return &Violation{Field: "amount", Reason: "conflicting amount fields"}
}

func (a *amounts) minor() int64 { return a.AmountKzt.Value + a.AmountCents.Value + a.Amount.Value }

type transferRequest struct {
	From  string `json:"fromWalletId" validate:"required,id"`
	To    string `json:"toWalletId" validate:"required_without=Email,omitempty,id"`
	Email string `json:"toEmail" validate:"omitempty,mail" mod:"trim,lower"`
	amounts
	Memo        string `json:"memo" validate:"max=200"`
	Description string `json:"description" validate:"max=200"`
	Ref         string `json:"paymentRef" validate:"max=100"`
}

type transferResponse struct {
	ID        string `json:"transactionId"`
	Amount    int64  `json:"amountKzt"`
	Fee       int64  `json:"feeKzt"`
	From      int64  `json:"fromBalanceKzt"`
	To        int64  `json:"toBalanceKzt"`
	Entry     string `json:"ledgerEntryId"`
	Receipt   string `json:"receiptUrl"`
	CreatedAt Time   `json:"createdAt"`
}

type batchRequest struct {
	Transfers []transferRequest `json:"transfers" validate:"required,min=1,max=8190" code:"required=items_required,min=items_required,max=too_many_items"`
	Atomic    bool              `json:"atomic"`
}

type batchResponse struct {
	Requested int64 `json:"requested"`
	Total     int64 `json:"total"`
}

type walletRequest struct {
	ID string `path:"id" validate:"id"`
}

type walletResponse struct {
	ID      string `json:"id"`
	Balance int64  `json:"balanceKzt"`
}

type moveCommand struct {
	From   string `cbor:"1,keyasint"`
	To     string `cbor:"2,keyasint"`
	Amount int64  `cbor:"3,keyasint"`
}

type moved struct {
	ID  string `cbor:"1,keyasint"`
	Fee int64  `cbor:"2,keyasint"`
}

var (
	errShort     = fsm.Reject(fsm.Conflict, "insufficient_balance")
	errNoWallet  = fsm.Reject(fsm.NotFound, "wallet_not_found")
	errRevoked   = fsm.Reject(fsm.Unauthenticated, "session_revoked")
	errUndeclare = fsm.Reject(fsm.Conflict, "never_declared")
	move         = fsm.Command[moveCommand, moved]{Name: "bank.move/1", Rejects: fsm.Rejections{errShort}}
	bankCodes    = Codes{
		"insufficient_balance": {Status: 400, Code: "insufficient_balance", Message: "Too little."},
		"wallet_not_found":     {Message: "No such wallet."},
		"session_revoked":      {Code: CodeAuthRequired, Message: "Sign in."},
		"items_required":       {Status: 400},
		"too_many_items":       {Status: 400},
		CodeKeyReused:          {Status: 409, Code: "idempotency_key_body_mismatch", Message: "Another body."},
	}
)

// flat is an envelope like those of the contracts: bare results, and problems
// with their code as "error".
type flat struct{}

func (flat) Result(dst []byte, _ *Call, out any) ([]byte, error) { return AppendJSON(dst, out) }

func (flat) Problem(dst []byte, answer Answer, p *Problem) []byte {
	dst = append(dst, `{"error":`...)
	dst = appendText(dst, answer.Code)
	dst = append(dst, `,"message":`...)
	dst = appendText(dst, answer.Message)
	return append(p.AppendFields(dst), '}')
}

func (flat) ResultSchema(out reflect.Type) reflect.Type { return out }
func (flat) ProblemSchema() reflect.Type                { return reflect.TypeFor[problemDetails]() }

// fakeLog remembers results by request id, as the machine does.
type fakeLog struct {
	mu       sync.Mutex
	results  map[fsm.RequestID]remembered
	requests []fsm.Request
	tries    int
	err      error
	reject   *fsm.Rejection
	replayed bool // every outcome is a replay
	forget   bool // for benchmarks
}

type remembered struct {
	hash    [32]byte
	outcome fsm.Outcome
}

var fixedResult = store.Encode(&moved{ID: "tx_0123456789abcdef0123456789abcdef", Fee: 3})

func (l *fakeLog) Propose(_ context.Context, r fsm.Request) (fsm.Outcome, error) {
	if l.forget {
		return fsm.Outcome{Index: 7, Result: fixedResult}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, r)
	if l.err != nil {
		return fsm.Outcome{}, l.err
	}
	if l.reject != nil {
		return fsm.Outcome{Index: 9, Rejection: l.reject}, nil
	}
	if old, known := l.results[r.RequestID]; known {
		if old.hash != r.BodyHash {
			return fsm.Outcome{Index: old.outcome.Index, Rejection: fsm.ErrKeyReused}, nil
		}
		old.outcome.Replayed = true
		return old.outcome, nil
	}
	outcome := fsm.Outcome{Index: uint64(100 + len(l.results)), Result: fixedResult, Replayed: l.replayed}
	l.results[r.RequestID] = remembered{r.BodyHash, outcome}
	return outcome, nil
}

func (l *fakeLog) Try(context.Context, fsm.Request) (fsm.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries++
	return fsm.Outcome{Index: 50, Result: fixedResult}, nil
}

// fakeReader gives views of an empty database.
type fakeReader struct {
	db  *store.DB
	err error

	mu    sync.Mutex
	level fsm.Level // of the last read
}

func (r *fakeReader) Read(_ context.Context, level fsm.Level, read func(*store.View) error) error {
	r.mu.Lock()
	r.level = level
	r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	v := r.db.Latest()
	defer v.Close()
	return read(v)
}

func emptyDB(t testing.TB) *store.DB {
	table := store.NewTable("bank.rows", func(w *walletRequest) store.ID { return store.ID(w.ID) })
	schema, err := store.NewSchema(table)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(store.Options{
		Path: filepath.Join(t.TempDir(), "state.db"), Schema: schema, Stamp: []byte("bank"), FlushInterval: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// tokens of the test scheme are "user:session".
func testScheme() Scheme {
	return Scheme{Name: "bearerAuth", BearerFormat: "JWT", Identify: func(r *http.Request) (fsm.Actor, error) {
		header := r.Header["Authorization"]
		if len(header) == 0 {
			return fsm.Actor{}, ErrNoCredential
		}
		token, ok := strings.CutPrefix(header[0], "Bearer ")
		user, session, split := strings.Cut(token, ":")
		if !ok || !split {
			return fsm.Actor{}, errors.New("not a token")
		}
		return fsm.Actor{Kind: fsm.User, ID: user, Session: session, Email: user + "@example.org"}, nil
	}}
}

func newBank(t testing.TB, extra ...Route) *bank {
	b := &bank{
		t: t, log: &fakeLog{results: map[fsm.RequestID]remembered{}}, revoked: map[string]bool{},
		records: &strings.Builder{}, now: time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC),
	}
	b.options = Options{
		Reader: &fakeReader{db: emptyDB(t)},
		Authorise: func(_ *store.View, actor fsm.Actor, role string) error {
			if b.revoked[actor.Session] {
				return errRevoked
			}
			if role != "" && actor.ID != "usr_admin" {
				return &Problem{Kind: fsm.Forbidden, Code: CodeForbidden}
			}
			return nil
		},
		BodyHash: func(message []byte) [32]byte {
			mac := hmac.New(sha256.New, []byte("a test key"))
			mac.Write(message)
			return [32]byte(mac.Sum(nil))
		},
		Epoch:  func() uint32 { return 3 },
		Logger: slog.New(slog.NewJSONHandler(b.records, nil)),
		Fatal:  func(err error) { b.fatal = err },
		Strict: true,
		Now:    func() time.Time { return b.now },
		Surfaces: []Surface{{
			Name:    "bank",
			Schemes: []Scheme{testScheme()},
			Limits:  func(Rate, *fsm.Actor) Limit { return b.limit },
			Areas: []Area{{
				Name: "money", Prefix: "/api/money", Tag: "Money", Envelope: flat{}, Codes: bankCodes,
				Rejections: fsm.Rejections{errRevoked},
				Routes:     append(b.routes(), extra...),
			}},
		}},
	}
	return b
}

func (b *bank) routes() []Route {
	return []Route{
		Post("/transfer", b.transfer, Spec{
			Summary: "Move money", Auth: Bearer, Rate: RateMoney, Idempotent: true, Rejections: move.Rejects,
		}),
		Post("/transfers/batch", b.batch, Spec{
			Summary: "Move much money", Auth: Bearer, Rate: RateMoney, Idempotent: true, BodyLimit: 2 << 20, Rejections: move.Rejects,
		}),
		Get("/wallets/{id}", b.wallet, Spec{
			Summary: "One wallet", Auth: Bearer, NotFound: errNoWallet, Rejections: fsm.Rejections{errNoWallet},
		}),
		Get("/stats", func(*Call, Empty) (walletResponse, error) {
			return walletResponse{ID: "all"}, nil
		}, Spec{Summary: "Public numbers", Auth: Public, Rate: RatePublic, Read: fsm.Stale, Head: true}),
	}
}

func (b *bank) transfer(c *Call, in transferRequest) (transferResponse, error) {
	done, err := move.Submit(c, b.log, moveCommand{From: in.From, To: in.To, Amount: in.minor()})
	if err != nil {
		return transferResponse{}, err
	}
	return transferResponse{
		ID: done.ID, Amount: in.minor(), Fee: done.Fee, From: 1, To: 2, Entry: "vnx_0123456789abcdef0123456789abcdef",
		Receipt: "https://aevion.app/qpaynet/receipts/" + done.ID, CreatedAt: Time(1772600767089000),
	}, nil
}

func (b *bank) batch(c *Call, in batchRequest) (batchResponse, error) {
	out := batchResponse{Requested: int64(len(in.Transfers))}
	for i := range in.Transfers {
		out.Total += in.Transfers[i].minor()
	}
	_, err := move.Submit(c, b.log, moveCommand{Amount: out.Total})
	return out, err
}

func (b *bank) wallet(c *Call, in walletRequest) (walletResponse, error) {
	out := walletResponse{ID: in.ID}
	err := c.Read(func(*store.View) error {
		out.Balance = 12345
		return nil
	})
	return out, err
}

func (b *bank) mux() *Mux {
	b.t.Helper()
	m, err := NewMux(b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func rejectThing() *fsm.Rejection { return fsm.Reject(fsm.NotFound, "thing_not_found") }
