package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	testSecret = []byte("0123456789abcdef0123456789abcdef")
	testNow    = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
)

func newTokens(t testing.TB, change ...func(*Options)) *Tokens {
	t.Helper()
	o := Options{
		Secret: testSecret, Lifetime: func() time.Duration { return 7 * 24 * time.Hour },
		Now: func() time.Time { return testNow },
	}
	for _, c := range change {
		c(&o)
	}
	tokens, err := NewTokens(o)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func testClaims() Claims {
	return Claims{
		Subject: "usr_1", Email: "ann@example.org", Role: "USER", Session: "ses_1",
		Issued: testNow, Expires: testNow.Add(time.Hour),
	}
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// sign makes a token of any header and payload with any key.
func sign(newHash func() hash.Hash, key []byte, header, payload string) string {
	message := b64(header) + "." + b64(payload)
	mac := hmac.New(newHash, key)
	mac.Write([]byte(message))
	return message + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func hs256(header, payload string) string { return sign(sha256.New, testSecret, header, payload) }

const goodHeader = `{"alg":"HS256","typ":"JWT"}`

// payload is the good payload with members changed; a nil value drops one.
func payload(changes ...any) string {
	members := map[string]any{
		"sub": `"usr_1"`, "email": `"ann@example.org"`, "role": `"USER"`, "sid": `"ses_1"`,
		"iat": testNow.Unix(), "exp": testNow.Add(time.Hour).Unix(),
	}
	for i := 0; i < len(changes); i += 2 {
		members[changes[i].(string)] = changes[i+1]
	}
	var parts []string
	for name, value := range members {
		if value != nil {
			parts = append(parts, fmt.Sprintf("%q:%v", name, value))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestIssuedTokensVerify(t *testing.T) {
	tokens := newTokens(t)
	token, err := tokens.Issue(testClaims())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from the cache
		got, err := tokens.Verify(token)
		if err != nil {
			t.Fatal(err)
		}
		want := testClaims()
		got.Issued, got.Expires = got.Issued.UTC(), got.Expires.UTC()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
	if _, err := newTokens(t).Verify(hs256(goodHeader, payload())); err != nil {
		t.Fatalf("a token made by hand: %v", err)
	}
}

func (t *Tokens) cached() (count int) {
	for i := range t.cache.shards {
		count += len(t.cache.shards[i].young) + len(t.cache.shards[i].old)
	}
	return count
}

func TestIssuerIsRequiredWhenNamed(t *testing.T) {
	ours := newTokens(t, func(o *Options) { o.Issuer = "qash" })
	token, err := ours.Issue(testClaims())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Verify(token); err != nil {
		t.Fatal(err)
	}
	if _, err := newTokens(t).Verify(token); !errors.Is(err, errIssuer) {
		t.Fatalf("without issuer: %v", err)
	}
	if _, err := ours.Verify(hs256(goodHeader, payload())); !errors.Is(err, errIssuer) {
		t.Fatalf("a token without issuer: %v", err)
	}
}

func TestTimesAreCheckedOnEveryUse(t *testing.T) {
	now, lifetime := testNow, 7*24*time.Hour
	tokens := newTokens(t, func(o *Options) {
		o.Now = func() time.Time { return now }
		o.Lifetime = func() time.Duration { return lifetime }
	})
	token, err := tokens.Issue(testClaims())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Verify(token); err != nil {
		t.Fatal(err)
	}
	now = testNow.Add(time.Hour - time.Second)
	if _, err := tokens.Verify(token); err != nil {
		t.Fatalf("in its last second: %v", err)
	}
	now = testNow.Add(time.Hour)
	if _, err := tokens.Verify(token); !errors.Is(err, errExpired) {
		t.Fatalf("from the cache after its end: %v", err)
	}
	now, lifetime = testNow, time.Minute
	if _, err := tokens.Verify(token); !errors.Is(err, errLifetime) {
		t.Fatalf("after the lifetime was cut: %v", err)
	}
	now = testNow.Add(-leeway)
	lifetime = time.Hour
	if _, err := tokens.Verify(token); err != nil {
		t.Fatalf("within the leeway of another node's clock: %v", err)
	}
}

func TestIssueRefuses(t *testing.T) {
	tokens := newTokens(t)
	for name, change := range map[string]func(*Claims){
		"no subject": func(c *Claims) { c.Subject = "" },
		"no session": func(c *Claims) { c.Session = "" },
		"no life":    func(c *Claims) { c.Expires = c.Issued },
		"long life":  func(c *Claims) { c.Expires = c.Issued.Add(8 * 24 * time.Hour) },
	} {
		c := testClaims()
		change(&c)
		if token, err := tokens.Issue(c); err == nil {
			t.Errorf("%s: issued %s", name, token)
		}
	}
	if _, err := NewTokens(Options{Secret: testSecret[:31], Lifetime: func() time.Duration { return 1 }}); err == nil {
		t.Error("a short secret is accepted")
	}
	if _, err := NewTokens(Options{Secret: testSecret}); err == nil {
		t.Error("tokens without lifetime are accepted")
	}
	if text := fmt.Sprintf("%+v %#v", tokens, tokens); strings.Contains(text, string(testSecret)) {
		t.Error("printing shows the secret")
	}
}

func TestCacheIsBounded(t *testing.T) {
	tokens := newTokens(t, func(o *Options) { o.Cached = 64 })
	var issued []string
	for i := range 2000 {
		c := testClaims()
		c.Session = fmt.Sprintf("ses_%d", i)
		token, err := tokens.Issue(c)
		if err != nil {
			t.Fatal(err)
		}
		issued = append(issued, token)
		if got, err := tokens.Verify(token); err != nil || got.Session != c.Session {
			t.Fatalf("%+v %v", got, err)
		}
	}
	if got := tokens.cached(); got > 64+2*cacheShards {
		t.Fatalf("the cache of 64 holds %d", got)
	}
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for i, token := range issued {
				got, err := tokens.Verify(token)
				if err != nil || got.Session != fmt.Sprintf("ses_%d", i) {
					t.Errorf("token %d is %+v %v", i, got, err)
				}
			}
		})
	}
	clients.Wait()
}

// Whatever is accepted must carry a signature under our key.
func FuzzVerify(f *testing.F) {
	f.Add(hs256(goodHeader, payload()))
	f.Add(hs256(`{"alg":"none","typ":"JWT"}`, payload()))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		tokens := newTokens(t)
		if _, err := tokens.Verify(token); err != nil {
			return
		}
		split := strings.LastIndexByte(token, '.')
		mac := hmac.New(sha256.New, testSecret)
		mac.Write([]byte(token[:split]))
		if token[split+1:] != base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) {
			t.Fatalf("accepted %q", token)
		}
		header, err := base64.RawURLEncoding.DecodeString(token[:strings.IndexByte(token, '.')])
		if err != nil || !bytes.Contains(header, []byte("HS256")) {
			t.Fatalf("accepted header %q", header)
		}
	})
}

func BenchmarkVerifyFirst(b *testing.B) {
	tokens := newTokens(b)
	token, _ := tokens.Issue(testClaims())
	b.ReportAllocs()
	for b.Loop() {
		v, err := tokens.parse(token)
		if err != nil || tokens.check(&v) != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyCached(b *testing.B) {
	tokens := newTokens(b, func(o *Options) { o.Now = time.Now })
	claims := testClaims()
	claims.Issued = time.Now()
	claims.Expires = claims.Issued.Add(time.Hour)
	token, _ := tokens.Issue(claims)
	r := request("Authorization", "Bearer "+token)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tokens.Identify(r); err != nil {
			b.Fatal(err)
		}
	}
}
