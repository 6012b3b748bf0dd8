package api

import (
	"strings"
	"testing"
)

func TestCORS(t *testing.T) {
	b := newBank(t, Get("/open", func(*Call, Empty) (Empty, error) { return Empty{}, nil }, Spec{Summary: "x", Auth: Public, AnyOrigin: true}))
	m := b.mux()
	const wallet = "/api/money/wallets/wal_0123456789abcdef"
	a := do(t, m, "OPTIONS", wallet, "", header("Origin", "https://a.example"), header("Access-Control-Request-Method", "GET"))
	a.is(t, 204)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, OPTIONS", "Allow": "GET, OPTIONS", "Access-Control-Allow-Credentials": "",
	} {
		if got := a.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(a.Header().Get("Access-Control-Allow-Headers"), "Idempotency-Key") {
		t.Errorf("allowed headers %q", a.Header().Get("Access-Control-Allow-Headers"))
	}
	do(t, m, "OPTIONS", "/api/money/none", "").is(t, 404)

	b.options.Surfaces[0].Areas[0].Origins = func(origin string) string {
		if origin == "https://a.example" || origin == "null" {
			return origin
		}
		return ""
	}
	m = b.mux()
	for _, c := range []struct{ path, origin, allowed, vary string }{
		{wallet, "https://a.example", "https://a.example", "Origin"},
		{wallet, "https://b.example", "", "Origin"},
		{wallet, "null", "", "Origin"},
		{wallet, "", "", "Origin"},
		{"/api/money/none", "https://b.example", "", "Origin"},
		{"/api/money/open", "https://b.example", "*", ""},
	} {
		a := do(t, m, "GET", c.path, "", as("usr_ann"), header("Origin", c.origin))
		if got := a.Header().Get("Access-Control-Allow-Origin"); got != c.allowed || a.Header().Get("Vary") != c.vary {
			t.Errorf("%s from %q: allowed %q, Vary %q", c.path, c.origin, got, a.Header().Get("Vary"))
		}
		if a.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials are allowed")
		}
	}
}

// An origin that the list names for another one is nobody's permission.
func TestCORSNeverNamesAnotherOrigin(t *testing.T) {
	b := newBank(t)
	b.options.Surfaces[0].Areas[0].Origins = func(string) string { return "https://a.example" }
	a := do(t, b.mux(), "GET", "/api/money/stats", "", header("Origin", "https://b.example"))
	if got := a.Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Fatalf("allowed %q", got)
	}
}
