package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/fsm"
	"coffer/store"
)

func TestTransfer(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	a := do(t, m, "POST", "/api/money/transfer", goodTransfer, as("usr_ann"), header("User-Agent", "tester/1"))
	a.is(t, 200, "transactionId", "tx_0123456789abcdef0123456789abcdef", "feeKzt", 3.0, "createdAt", "2026-03-04T05:06:07.089Z")
	for name, want := range map[string]string{
		"Content-Type": "application/json; charset=utf-8", "Coffer-Index": "3:100", "X-Content-Type-Options": "nosniff",
		"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*", "Idempotent-Replayed": "", "Coffer-Dry-Run": "",
		"Content-Length": fmt.Sprint(a.Body.Len()), "Access-Control-Allow-Credentials": "",
	} {
		if got := a.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	want := fsm.Actor{Kind: fsm.User, ID: "usr_ann", Session: "ses_usr_ann", Email: "usr_ann@example.org", IP: "203.0.113.7", Agent: "tester/1"}
	if diff := cmp.Diff(want, b.log.requests[0].Actor); diff != "" {
		t.Error(diff)
	}
	if r := b.log.requests[0]; r.BodyHash != [32]byte{} || r.KeepRejection || r.Command != "bank.move/1" {
		t.Errorf("request %+v", r)
	}
}

func TestAuth(t *testing.T) {
	b := newBank(t)
	b.revoked["ses_usr_gone"] = true
	m := b.mux()
	for _, c := range []struct {
		name string
		edit edit
	}{
		{"none", func(*http.Request) {}},
		{"malformed", header("Authorization", "Bearer x")},
		{"another scheme", header("Authorization", "Basic eDp5")},
		{"revoked", as("usr_gone")},
	} {
		a := do(t, m, "GET", "/api/money/wallets/wal_0123456789abcdef", "", c.edit)
		a.is(t, 401, "error", CodeAuthRequired)
		if strings.Contains(a.Body.String(), "12345") {
			t.Errorf("%s: the answer has the balance", c.name)
		}
	}
	do(t, m, "GET", "/api/money/wallets/wal_0123456789abcdef", "", as("usr_ann")).is(t, 200, "balanceKzt", 12345.0)
	// A bad token does not close a public route.
	do(t, m, "GET", "/api/money/stats", "", header("Authorization", "Bearer x")).is(t, 200)
}

func TestPublicRoutesSeeNobody(t *testing.T) {
	var seen fsm.Actor
	b := newBank(t, Get("/who", func(c *Call, _ Empty) (Empty, error) {
		seen = c.Actor()
		return Empty{}, nil
	}, Spec{Summary: "Who", Auth: Public}))
	do(t, b.mux(), "GET", "/api/money/who", "", as("usr_ann")).is(t, 200)
	if seen.ID != "" || seen.Kind != fsm.Anonymous || seen.IP != "203.0.113.7" {
		t.Fatalf("the handler sees %+v", seen)
	}
}

func TestRoles(t *testing.T) {
	b := newBank(t, Get("/admin", func(c *Call, _ Empty) (Empty, error) {
		return Empty{}, c.Read(func(*store.View) error { return nil })
	}, Spec{Summary: "Admin", Auth: Bearer, Role: "admin"}))
	m := b.mux()
	do(t, m, "GET", "/api/money/admin", "", as("usr_ann")).is(t, 403, "error", CodeForbidden)
	do(t, m, "GET", "/api/money/admin", "", as("usr_admin")).is(t, 200)
}

// teapot has a status of its own.
type teapot struct {
	Status string `json:"status"`
}

func (teapot) StatusCode() int { return http.StatusServiceUnavailable }

func TestResults(t *testing.T) {
	spec := Spec{Summary: "x", Auth: Public, Rejections: fsm.Rejections{errNoWallet}}
	none, created := spec, spec
	none.Status, created.Status = 204, 201
	b := newBank(t,
		Get("/content", func(*Call, Empty) (Content, error) { return Content{"text/csv; charset=utf-8", []byte("a,b\r\n")}, nil }, spec),
		Get("/early", func(*Call, Empty) (failing, error) { return failing{}, nil }, spec),
		Get("/half", func(*Call, Empty) (failing, error) { return failing{true}, nil }, spec),
		Get("/teapot", func(*Call, Empty) (teapot, error) { return teapot{"down"}, nil }, spec),
		Get("/none", func(*Call, Empty) (Empty, error) { return Empty{}, nil }, none),
		Get("/created", func(*Call, Empty) (Empty, error) { return Empty{}, nil }, created),
	)
	m := b.mux()
	a := do(t, m, "GET", "/api/money/content", "")
	if a.Code != 200 || a.Body.String() != "a,b\r\n" || a.Header().Get("Content-Type") != "text/csv; charset=utf-8" || a.Header().Get("Content-Length") != "5" {
		t.Errorf("content: %d %q %v", a.Code, a.Body, a.Header())
	}
	do(t, m, "GET", "/api/money/early", "").is(t, 404, "error", "wallet_not_found")
	a = do(t, m, "GET", "/api/money/half", "")
	if a.Code != 200 || a.Body.String() != "some" || a.Header().Get("Cache-Control") != "public, max-age=300" || !strings.Contains(b.records.String(), "the rest is missing") {
		t.Errorf("half: %d %q, log %s", a.Code, a.Body, b.records)
	}
	do(t, m, "GET", "/api/money/teapot", "").is(t, 503, "status", "down")
	a = do(t, m, "GET", "/api/money/none", "")
	if a.Code != 204 || a.Body.Len() > 0 || a.Header().Get("Content-Type") != "" {
		t.Errorf("none: %d %q %v", a.Code, a.Body, a.Header())
	}
	do(t, m, "GET", "/api/money/created", "").is(t, 201)
	a = do(t, m, "HEAD", "/api/money/stats", "")
	if a.Code != 200 || a.Body.Len() > 0 || a.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d %q %v", a.Code, a.Body, a.Header())
	}
	do(t, m, "HEAD", "/api/money/content", "").is(t, 405)
}

func TestURLAndHost(t *testing.T) {
	b := newBank(t)
	b.options.Hosts = []string{"api.example.org", "[::1]"}
	m := b.mux()
	host := func(name string) edit { return func(r *http.Request) { r.Host = name } }
	do(t, m, "GET", "/api/money/stats", "", host("API.example.org:4001")).is(t, 200)
	do(t, m, "GET", "/api/money/stats", "", host("[::1]:4001")).is(t, 200)
	for _, name := range []string{"evil.example", "", "api.example.org.evil.example", "[::2]:1"} {
		do(t, m, "GET", "/api/money/stats", "", host(name)).is(t, 421, "error", CodeMisdirected)
	}
	long := "/api/money/stats?x=" + strings.Repeat("y", maxURL-len("/api/money/stats?x="))
	do(t, m, "GET", long, "", host("api.example.org")).is(t, 200)
	do(t, m, "GET", long+"y", "", host("api.example.org")).is(t, 414, "error", CodeURITooLong)
}
