package api

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/fsm"
)

func from(remote string) edit { return func(r *http.Request) { r.RemoteAddr = remote } }

func TestRateLimit(t *testing.T) {
	b := newBank(t)
	b.limit = Limit{Requests: 3}
	m := b.mux()
	get := func(edits ...edit) answer { return do(t, m, "GET", "/api/money/stats", "", edits...) }
	for i := range 3 {
		a := get()
		a.is(t, 200)
		if left := a.Header().Get("RateLimit-Remaining"); left != strconv.Itoa(2-i) {
			t.Fatalf("request %d leaves %s", i, left)
		}
	}
	a := get()
	a.is(t, 429, "error", CodeRateLimit)
	end := time.Date(2026, 3, 4, 5, 7, 0, 0, time.UTC)
	for name, want := range map[string]string{
		"RateLimit-Limit": "3", "RateLimit-Remaining": "0", "RateLimit-Reset": "53", "RateLimit-Policy": "3;w=60", "Retry-After": "53",
		"X-RateLimit-Limit": "3", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(end.Unix()),
	} {
		if got := a.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	get(from("203.0.113.8:1")).is(t, 200)
	b.now = end.Add(-time.Millisecond)
	if a := get(); a.Code != 429 || a.Header().Get("Retry-After") != "1" {
		t.Fatalf("in the last millisecond: %d %v", a.Code, a.Header())
	}
	b.now = end
	get().is(t, 200)
}

// Every answer tells the numbers, whatever it is.
func TestRateHeadersAreOnEveryAnswer(t *testing.T) {
	b := newBank(t)
	b.limit = Limit{Requests: 1000}
	m := b.mux()
	const wallet = "/api/money/wallets/wal_0123456789abcdef"
	for name, a := range map[string]answer{
		"success":            do(t, m, "GET", wallet, "", as("usr_ann")),
		"unauthorized":       do(t, m, "GET", wallet, ""),
		"invalid":            do(t, m, "POST", "/api/money/transfer", `{}`, as("usr_ann")),
		"malformed":          do(t, m, "POST", "/api/money/transfer", `{`, as("usr_ann")),
		"too large":          do(t, m, "POST", "/api/money/transfer", strings.Repeat("x", BodyLimit+1), as("usr_ann")),
		"unsupported":        do(t, m, "POST", "/api/money/transfer", `{}`, as("usr_ann"), header("Content-Encoding", "gzip")),
		"not found":          do(t, m, "GET", "/api/money/none", ""),
		"method not allowed": do(t, m, "PUT", wallet, ""),
		"bad path":           do(t, m, "GET", "/api/money/wallets/%2e%2e", ""),
		"long URL":           do(t, m, "GET", "/api/money/stats?"+strings.Repeat("x", maxURL), ""),
		"preflight":          do(t, m, "OPTIONS", wallet, ""),
	} {
		for _, header := range []string{"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
			if a.Header().Get(header) == "" {
				t.Errorf("%s (%d) has no %s", name, a.Code, header)
			}
		}
	}
}

func TestRateClassesAndClients(t *testing.T) {
	b := newBank(t)
	var asked []Rate
	b.options.Surfaces[0].Limits = func(class Rate, actor *fsm.Actor) Limit {
		asked = append(asked, class)
		if actor.ID == "usr_vip" {
			return Limit{Requests: 5, ByUser: true}
		}
		return Limit{Requests: 2}
	}
	m := b.mux()
	use := func(method, path string, edits ...edit) int {
		return do(t, m, method, path, "", edits...).Code
	}
	const wallet = "/api/money/wallets/wal_0123456789abcdef"
	for range 2 {
		use("GET", wallet, as("usr_ann"))
	}
	if use("GET", wallet, as("usr_bob")) != 429 {
		t.Error("another user of the same address is not counted with it")
	}
	if use("GET", "/api/money/stats") != 200 {
		t.Error("another class is counted with it")
	}
	if use("GET", wallet, as("usr_vip")) != 200 || use("GET", wallet, as("usr_vip"), from("198.51.100.1:1")) != 200 {
		t.Error("a limit by user is not by user")
	}
	// One client has all of a /64.
	for i := range 2 {
		use("GET", "/api/money/stats", from(fmt.Sprintf("[2001:db8:1:2::%x]:1", i)))
	}
	if use("GET", "/api/money/stats", from("[2001:db8:1:2:ffff::1]:1")) != 429 || use("GET", "/api/money/stats", from("[2001:db8:1:3::1]:1")) != 200 {
		t.Error("IPv6 is not counted by /64")
	}
	// Naming other addresses helps nobody.
	if use("GET", wallet, as("usr_ann"), header("X-Forwarded-For", "9.9.9.9"), header("X-Real-Ip", "9.9.9.9"), header("Forwarded", "for=9.9.9.9")) != 429 {
		t.Error("a header has changed the client")
	}
	asked = nil
	use("POST", "/api/money/transfer", as("usr_ann"))
	use("GET", wallet)
	use("GET", "/api/money/stats")
	use("DELETE", "/api/money/none")
	use("GET", "/api/money/none")
	if got := fmt.Sprint(asked); got != "[money read public write read]" {
		t.Errorf("classes %s", got)
	}
}

func TestRateOffAndPreflight(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	for range 100 {
		a := do(t, m, "GET", "/api/money/stats", "")
		if a.Code != 200 || a.Header().Get("RateLimit-Limit") != "" {
			t.Fatalf("switched off: %d %v", a.Code, a.Header())
		}
	}
	b.limit = Limit{Requests: 2}
	for range 10 {
		do(t, m, "OPTIONS", "/api/money/stats", "").is(t, 204)
	}
	do(t, m, "GET", "/api/money/wallets/wal_0123456789abcdef", "", as("usr_ann")).is(t, 200)
}

func TestLimiterCountsExactlyUnderConcurrency(t *testing.T) {
	l := newLimiter()
	now := time.Unix(1_000_000, 0)
	var clients sync.WaitGroup
	for range 64 {
		clients.Go(func() {
			for i := range 1000 {
				l.add(1, strconv.Itoa(i%7), 1, now)
			}
		})
	}
	clients.Wait()
	total := uint32(0)
	for i := range 7 {
		total += l.add(1, strconv.Itoa(i), 0, now)
	}
	if total != 64_000 {
		t.Fatalf("%d of 64000 were counted", total)
	}
	if got := l.add(1, "3", 1, now.Add(window)); got != 1 {
		t.Fatalf("the next window begins with %d", got)
	}
}

// A flood of clients cannot take more memory, nor free the counter of any.
func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter()
	now := time.Unix(1_000_000, 0)
	const clients = limiterShards * shardClients * 2
	for i := range 100 {
		for range i {
			l.add(1, "early"+strconv.Itoa(i), 1, now)
		}
	}
	for i := range clients {
		if l.add(1, strconv.Itoa(i), 1, now) == 0 {
			t.Fatal("a request is not counted")
		}
	}
	exact := 0
	for i := range l.shards {
		exact += len(l.shards[i].exact)
		if len(l.shards[i].exact) > shardClients || len(l.shards[i].overflow) > shardOverflow {
			t.Fatalf("shard %d has %d exact and %d shared counters", i, len(l.shards[i].exact), len(l.shards[i].overflow))
		}
	}
	if exact > limiterShards*shardClients {
		t.Fatalf("%d clients are counted exactly", exact)
	}
	for i := 1; i < 100; i++ {
		if got := l.add(1, "early"+strconv.Itoa(i), 0, now); got != uint32(i) {
			t.Fatalf("the flood has changed a counter from %d to %d", i, got)
		}
	}
	for range 5 {
		l.add(1, "late", 1, now)
	}
	if got := l.add(1, "late", 0, now); got < 5 {
		t.Fatalf("a late client is counted too little: %d", got)
	}
}

func TestLimiterDoesNotWrap(t *testing.T) {
	if grow(math.MaxUint32, 1) != math.MaxUint32 || grow(math.MaxUint32-1, 1) != math.MaxUint32 || grow(1, 1) != 2 {
		t.Fatal("a counter wraps around")
	}
}
