package api

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"coffer/fsm"
)

func key(k string) edit { return header(headerKey, k) }

func TestIdempotency(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	first := do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann"), key("k1"))
	first.is(t, 200)
	reordered := ` { "amountKzt" : 1234, "toWalletId":"wal_0123456789abcdef0123456789abcdee",` + "\n" +
		`"from\u0057alletId":"wal_0123456789abcdef0123456789abcdef" } `
	again := do(t, m, "POST", "/api/money/transfer", reordered, as("usr_ann"), key("k1"))
	again.is(t, 200)
	if again.Header().Get("Idempotent-Replayed") != "true" || again.Header().Get("Coffer-Index") != "3:100" {
		t.Fatalf("headers of the replay: %v", again.Header())
	}
	if first.Body.String() != again.Body.String() {
		t.Fatalf("the replay differs:\n%s\n%s", first.Body, again.Body)
	}
	other := strings.Replace(goodTransfer, "1234", "1235", 1)
	do(t, m, "POST", "/api/money/transfer", other, as("usr_ann"), key("k1")).is(t, 409, "error", "idempotency_key_body_mismatch")
	// Another caller, route or key is another request; so is none.
	for name, send := range map[string]func() answer{
		"caller": func() answer { return do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_bob"), key("k1")) },
		"key":    func() answer { return do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann"), key("k2")) },
		"none":   func() answer { return do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann")) },
		"route": func() answer {
			return do(t, m, "POST", "/api/money/transfers/batch", `{"transfers":[`+goodTransfer+`]}`, as("usr_ann"), key("k1"))
		},
	} {
		a := send()
		a.is(t, 200)
		if a.Header().Get("Idempotent-Replayed") != "" {
			t.Errorf("another %s is a replay", name)
		}
	}
}

// A key that is used again for another object of the same route is found out by
// the path.
func TestFingerprintCoversThePath(t *testing.T) {
	var b *bank
	b = newBank(t, Post("/wallets/{id}/close", func(c *Call, _ walletRequest) (Empty, error) {
		_, err := move.Submit(c, b.log, moveCommand{})
		return Empty{}, err
	}, Spec{Summary: "Close", Auth: Bearer, Idempotent: true, Rejections: move.Rejects}))
	m := b.mux()
	do(t, m, "POST", "/api/money/wallets/wal_0123456789abcdef/close", "", as("usr_ann"), key("k")).is(t, 200)
	a := do(t, m, "POST", "/api/money/wallets/wal_0123456789abcdef/close", "{ }", as("usr_ann"), key("k"))
	a.is(t, 200)
	if a.Header().Get("Idempotent-Replayed") != "true" {
		t.Fatal("no body and an empty object differ")
	}
	do(t, m, "POST", "/api/money/wallets/wal_fedcba9876543210/close", "", as("usr_ann"), key("k")).is(t, 409)
}

// The log answers a known key without running the command, so the session of
// whoever repeats it is checked here. Nobody else is told of the key.
func TestAReplayNeedsALivingSession(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	send := func(body, session string) answer {
		return do(t, m, "POST", "/api/money/transfer", body, key("k"), header("Authorization", "Bearer usr_ann:"+session))
	}
	send(goodTransfer, "old").is(t, 200)
	other := strings.Replace(goodTransfer, "1234", "1235", 1)
	b.revoked["old"] = true
	for name, body := range map[string]string{"the same body": goodTransfer, "another body": other} {
		a := send(body, "old")
		a.is(t, 401, "error", CodeAuthRequired)
		if a.Header().Get("Idempotent-Replayed") != "" || strings.Contains(a.Body.String(), "tx_") {
			t.Errorf("%s: %v %s", name, a.Header(), a.Body)
		}
	}
	again := send(goodTransfer, "new")
	again.is(t, 200)
	if again.Header().Get("Idempotent-Replayed") != "true" {
		t.Error("a new session of the same user gets no replay")
	}
	send(other, "new").is(t, 409, "error", "idempotency_key_body_mismatch")

	// The log may have answered its own second question to a request that is new
	// to the client: what has happened must not be called unchanged.
	b.options.Reader.(*fakeReader).err = fmt.Errorf("%w: no leader", ErrNotApplied)
	send(goodTransfer, "new").is(t, 503, "error", CodeOutcomeUnknown)
	if len(b.log.results) != 1 {
		t.Errorf("%d executions", len(b.log.results))
	}
}

// Without a key a replay is the log's own retry, which is no client's concern.
func TestRetriesWithoutKeyAreNoReplays(t *testing.T) {
	b := newBank(t)
	b.log.replayed = true
	m := b.mux()
	for edits, want := range map[string]string{"": "", "k": "true"} {
		a := do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann"), func(r *http.Request) {
			if edits != "" {
				r.Header.Set(headerKey, edits)
			}
		})
		if got := a.Header().Get("Idempotent-Replayed"); got != want {
			t.Errorf("key %q: Idempotent-Replayed %q, want %q", edits, got, want)
		}
	}
}

func TestIdempotencyKeySyntax(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	for _, k := range []string{"", " ", "a b", "é", "\x7f", "a\tb", strings.Repeat("x", 256)} {
		a := do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann"), key(k))
		if a.Code != 400 || a.body["field"] != headerKey {
			t.Errorf("key %q: status %d %s", k, a.Code, a.Body)
		}
	}
	do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann"), key("a"), key("b")).is(t, 400, "field", headerKey)
	do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann"), key(strings.Repeat("~", 255))).is(t, 200)
	if len(b.log.requests) != 1 {
		t.Fatalf("%d requests reached the log", len(b.log.requests))
	}
}

// The parts of a request id have their lengths, so that none can borrow from
// its neighbour.
func TestRequestIDsAreDistinct(t *testing.T) {
	user := func(id string) fsm.Actor { return fsm.Actor{Kind: fsm.User, ID: id} }
	seen := map[fsm.RequestID]string{}
	for _, parts := range [][5]string{
		{"a", "u", "POST", "/x", "k"}, {"au", "", "POST", "/x", "k"}, {"a", "uP", "OST", "/x", "k"}, {"a", "u", "POST/", "x", "k"},
		{"a", "u", "POST", "/xk", ""}, {"a", "u", "POST", "/x", "kk"}, {"b", "u", "POST", "/x", "k"}, {"a", "v", "POST", "/x", "k"},
	} {
		id := requestID(parts[0], user(parts[1]), parts[2], parts[3], parts[4])
		if other, twice := seen[id]; twice {
			t.Errorf("%v and %s have one id", parts, other)
		}
		seen[id] = fmt.Sprint(parts)
	}
	service := requestID("a", fsm.Actor{Kind: fsm.Service, ID: "u"}, "POST", "/x", "k")
	if _, twice := seen[service]; twice {
		t.Error("a service and a user of one name have one id")
	}
	// The id is part of what clients rely on across versions.
	if got := requestID("qpaynet", user("usr_1"), "POST", "/api/qpaynet/transfer", "k1").String(); got != "ef122f8b940f4133407c79cc29156bbd" {
		t.Errorf("the derivation has changed: %s", got)
	}
}

func TestSameKeyFromManyClients(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	var clients sync.WaitGroup
	answers := make([]answer, 50)
	for i := range answers {
		clients.Go(func() {
			answers[i] = do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann"), key("k"))
		})
	}
	clients.Wait()
	replays := 0
	for _, a := range answers {
		if a.Code != 200 || a.Body.String() != answers[0].Body.String() {
			t.Fatalf("status %d %s", a.Code, a.Body)
		}
		if a.Header().Get("Idempotent-Replayed") == "true" {
			replays++
		}
	}
	if replays != 49 || len(b.log.results) != 1 {
		t.Fatalf("%d replays and %d executions of 50", replays, len(b.log.results))
	}
}

func TestKeyIsIgnoredWhereItIsNotHonoured(t *testing.T) {
	var b *bank
	b = newBank(t, Post("/plain", func(c *Call, in transferRequest) (transferResponse, error) { return b.transfer(c, in) },
		Spec{Summary: "No key", Auth: Bearer, Rejections: move.Rejects}))
	m := b.mux()
	for range 2 {
		a := do(t, m, "POST", "/api/money/plain", goodTransfer, as("usr_ann"), key("not even valid é"))
		a.is(t, 200)
		if a.Header().Get("Idempotent-Replayed") != "" {
			t.Fatal("the key is honoured")
		}
	}
	if len(b.log.results) != 2 || b.log.requests[0].BodyHash != [32]byte{} {
		t.Fatalf("%d executions, fingerprint %x", len(b.log.results), b.log.requests[0].BodyHash)
	}
}

func TestDryRun(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	a := do(t, m, "POST", "/api/money/transfer?dryRun=true", goodTransfer, as("usr_ann"), key("k1"))
	a.is(t, 200)
	if a.Header().Get("Coffer-Dry-Run") != "true" || b.log.tries != 1 || len(b.log.requests) != 0 {
		t.Fatalf("%d tries, %d requests, headers %v", b.log.tries, len(b.log.requests), a.Header())
	}
	for _, query := range []string{"?dryRun=1", "?dryRun=yes", "?dryRun=", "?dryRun", "?dryRun=TRUE", "?dryRun=true&dryRun=false", "?dryRun=true;x"} {
		do(t, m, "POST", "/api/money/transfer"+query, goodTransfer, as("usr_ann")).is(t, 400)
	}
	if len(b.log.requests) != 0 {
		t.Fatal("an unclear dry run has reached the log")
	}
	do(t, m, "POST", "/api/money/transfer?dryRun=false&x=1", goodTransfer, as("usr_ann")).is(t, 200)
	if len(b.log.requests) != 1 {
		t.Fatal("dryRun=false has not reached the log")
	}
}
