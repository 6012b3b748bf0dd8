package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"coffer/fsm"
	"coffer/store"
)

func TestProblemsOfTheLog(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	for _, c := range []struct {
		name   string
		err    error
		reject *fsm.Rejection
		status int
		code   string
		retry  string
	}{
		{"rejection", nil, errShort.With(fsm.Number("balanceKzt", 12)), 400, "insufficient_balance", ""},
		{"key reused", nil, fsm.ErrKeyReused, 409, "idempotency_key_body_mismatch", ""},
		{"frozen", nil, fsm.ErrWriteFrozen, 503, CodeWritesFrozen, ""},
		{"disk full", nil, fsm.ErrNoSpace, 507, CodeNoSpace, ""},
		{"handler failed", nil, fsm.ErrInternal, 500, CodeInternal, ""},
		{"limited", nil, fsm.Reject(fsm.Limited, "session_revoked").With(fsm.Number(RetryAfterDetail, 7)), 429, CodeAuthRequired, "7"},
		{"undeclared", nil, errUndeclare, 500, CodeInternal, ""},
		{"not applied", fmt.Errorf("x: %w", ErrNotApplied), nil, 503, CodeUnavailable, "1"},
		{"unknown", fmt.Errorf("x: %w", ErrOutcomeUnknown), nil, 503, CodeOutcomeUnknown, "1"},
		{"too large", fmt.Errorf("x: %w", ErrTooLarge), nil, 413, CodePayloadTooLarge, ""},
		{"deadline", context.DeadlineExceeded, nil, 503, CodeOutcomeUnknown, "1"},
		{"gone", context.Canceled, nil, 503, CodeOutcomeUnknown, "1"},
		{"anything", errors.New("disk on fire at /var/lib"), nil, 500, CodeInternal, ""},
	} {
		b.log.err, b.log.reject = c.err, c.reject
		a := do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann"))
		if a.Code != c.status || a.body["error"] != c.code || a.Header().Get("Retry-After") != c.retry {
			t.Errorf("%s: %d %s, Retry-After %q", c.name, a.Code, a.Body, a.Header().Get("Retry-After"))
		}
		if strings.Contains(a.Body.String(), "/var/lib") {
			t.Errorf("%s: the cause has left the process", c.name)
		}
	}
	b.log.err, b.log.reject = nil, errShort.With(fsm.Number("balanceKzt", 12), fsm.Text("hint", "x"))
	do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann")).is(t, 400, "balanceKzt", 12.0, "hint", "x", "message", "Too little.")
	if !strings.Contains(b.records.String(), "disk on fire") {
		t.Error("the cause is not in the log")
	}
}

func TestProblemsOfReads(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	reader := b.options.Reader.(*fakeReader)
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{ErrNotApplied, 503, CodeUnavailable}, {context.DeadlineExceeded, 503, CodeUnavailable}, {errors.New("x"), 500, CodeInternal},
		{errNoWallet, 404, "wallet_not_found"},
	} {
		reader.err = fmt.Errorf("read: %w", c.err)
		do(t, m, "GET", "/api/money/wallets/wal_0123456789abcdef", "", as("usr_ann")).is(t, c.status, "error", c.code)
	}
	do(t, m, "GET", "/api/money/wallets/nonsense", "", as("usr_ann")).is(t, 404, "error", "wallet_not_found", "message", "No such wallet.")
}

func TestPanics(t *testing.T) {
	var b *bank
	fails := func(reason any) func(*Call, Empty) (Empty, error) {
		return func(*Call, Empty) (Empty, error) { panic(reason) }
	}
	late := func(*Call, Empty) (lateAnswer, error) { return lateAnswer{}, nil }
	spec := Spec{Summary: "x", Auth: Public}
	b = newBank(t,
		Get("/panic", fails("secret detail"), spec), Get("/damage", fails(store.Corruption{Bucket: "wallets", Err: errors.New("checksum")}), spec),
		Get("/returned", func(*Call, Empty) (Empty, error) {
			return Empty{}, fmt.Errorf("read: %w", store.Corruption{Bucket: "wallets", Err: errors.New("checksum")})
		}, spec),
		Get("/late", late, spec), Get("/abort", fails(http.ErrAbortHandler), spec))
	m := b.mux()
	a := do(t, m, "GET", "/api/money/panic", "")
	a.is(t, 500, "error", CodeInternal)
	if strings.Contains(a.Body.String(), "secret") || strings.Contains(a.Body.String(), ".go") {
		t.Fatalf("the panic has left the process: %s", a.Body)
	}
	if !strings.Contains(b.records.String(), "secret detail") || !strings.Contains(b.records.String(), "problem_test.go") {
		t.Fatalf("the log has no stack: %s", b.records)
	}
	if b.fatal != nil {
		t.Fatal("an ordinary panic is fatal")
	}
	do(t, m, "GET", "/api/money/damage", "").is(t, 500, "error", CodeInternal)
	if b.fatal == nil || !strings.Contains(b.fatal.Error(), "wallets") {
		t.Fatalf("damage is not fatal: %v", b.fatal)
	}
	b.fatal = nil
	do(t, m, "GET", "/api/money/returned", "").is(t, 500, "error", CodeInternal)
	if b.fatal == nil {
		t.Fatal("damage that is returned is not fatal")
	}
	for _, path := range []string{"late", "abort"} {
		reason := func() (reason any) {
			defer func() { reason = recover() }()
			do(t, m, "GET", "/api/money/"+path, "")
			return nil
		}()
		if reason != http.ErrAbortHandler {
			t.Errorf("%s: the connection is not ended but %v", path, reason)
		}
	}
}

// lateAnswer panics after its first byte.
type lateAnswer struct{}

func (lateAnswer) Respond(_ *Call, w http.ResponseWriter) error {
	_, _ = w.Write([]byte("half"))
	panic("too late")
}

// failing writes itself and fails, before or after its first byte.
type failing struct{ first bool }

func (f failing) Respond(c *Call, w http.ResponseWriter) error {
	if !f.first {
		return errNoWallet
	}
	w.Header().Set("Content-Type", "text/plain")
	c.SetHeader("Cache-Control", "public, max-age=300")
	_, err := w.Write([]byte("some"))
	return errors.Join(err, errors.New("the rest is missing"))
}

func TestUnknownPathsSpeakTheirArea(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	do(t, m, "GET", "/api/money/nothing", "").is(t, 404, "error", CodeNotFound)
	a := do(t, m, "GET", "/nothing", "")
	a.is(t, 404, "code", CodeNotFound, "type", "about:blank", "status", 404.0)
	if a.Header().Get("Content-Type") != ProblemDetailsMedia {
		t.Errorf("Content-Type %s", a.Header().Get("Content-Type"))
	}
	do(t, m, "GET", "/api/moneyx", "").is(t, 404, "code", CodeNotFound)
}
