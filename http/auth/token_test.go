package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/fsm"
	"coffer/http/api"
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

// Every token of this matrix must be refused, the first time and every time.
func TestTokensRefuse(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&private.PublicKey)})
	good := hs256(goodHeader, payload())
	parts := strings.Split(good, ".")
	none := b64(`{"alg":"none","typ":"JWT"}`) + "." + b64(payload()) + "."

	cases := map[string]string{
		"empty":                      "",
		"one part":                   parts[0],
		"two parts":                  parts[0] + "." + parts[1],
		"four parts":                 good + ".x",
		"not base64":                 "!." + parts[1] + "." + parts[2],
		"padded base64":              parts[0] + "=." + parts[1] + "." + parts[2],
		"no JSON":                    hs256("x", payload()),
		"payload is no JSON":         hs256(goodHeader, "x"),
		"payload is an array":        hs256(goodHeader, "[]"),
		"empty signature":            parts[0] + "." + parts[1] + ".",
		"cut signature":              good[:len(good)-2],
		"longer signature":           good + "AA",
		"signature of other payload": parts[0] + "." + b64(payload("sub", `"usr_2"`)) + "." + parts[2],
		"space at the end":           good + " ",
		"alg none":                   none,
		"alg None":                   strings.Replace(none, b64(`{"alg":"none","typ":"JWT"}`), b64(`{"alg":"None","typ":"JWT"}`), 1),
		"alg NONE":                   strings.Replace(none, b64(`{"alg":"none","typ":"JWT"}`), b64(`{"alg":"NONE","typ":"JWT"}`), 1),
		"alg none with signature":    none + parts[2],
		"alg hs256":                  hs256(`{"alg":"hs256","typ":"JWT"}`, payload()),
		"alg missing":                hs256(`{"typ":"JWT"}`, payload()),
		"alg is a number":            hs256(`{"alg":256,"typ":"JWT"}`, payload()),
		"alg HS512":                  sign(sha512.New, testSecret, `{"alg":"HS512","typ":"JWT"}`, payload()),
		"alg HS512 signed HS256":     hs256(`{"alg":"HS512","typ":"JWT"}`, payload()),
		"alg RS256 signed HS256":     hs256(`{"alg":"RS256","typ":"JWT"}`, payload()),
		"HS256 with an RSA key":      sign(sha256.New, public, goodHeader, payload()),
		"another key":                sign(sha256.New, []byte("another key, also 32 bytes long!"), goodHeader, payload()),
		"empty key":                  sign(sha256.New, nil, goodHeader, payload()),
		"key with a newline":         sign(sha256.New, append(bytes.Clone(testSecret), '\n'), goodHeader, payload()),
		"typ missing":                hs256(`{"alg":"HS256"}`, payload()),
		"typ at+jwt":                 hs256(`{"alg":"HS256","typ":"at+jwt"}`, payload()),
		"kid":                        hs256(`{"alg":"HS256","typ":"JWT","kid":"1"}`, payload()),
		"kid path":                   hs256(`{"alg":"HS256","typ":"JWT","kid":"../../dev/null"}`, payload()),
		"kid SQL":                    hs256(`{"alg":"HS256","typ":"JWT","kid":"' or 1=1 --"}`, payload()),
		"kid URL":                    hs256(`{"alg":"HS256","typ":"JWT","kid":"https://evil.example/k"}`, payload()),
		"jku":                        hs256(`{"alg":"HS256","typ":"JWT","jku":"https://evil.example/k"}`, payload()),
		"x5u":                        hs256(`{"alg":"HS256","typ":"JWT","x5u":"https://evil.example/k"}`, payload()),
		"jwk":                        hs256(`{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":"AA"}}`, payload()),
		"crit":                       hs256(`{"alg":"HS256","typ":"JWT","crit":["exp"]}`, payload()),
		"b64":                        hs256(`{"alg":"HS256","typ":"JWT","b64":false}`, payload()),
		"nested":                     hs256(`{"alg":"HS256","typ":"JWT","cty":"JWT"}`, payload()),
		"expired":                    hs256(goodHeader, payload("iat", testNow.Unix()-100, "exp", testNow.Unix()-1)),
		"expires now":                hs256(goodHeader, payload("iat", testNow.Unix()-100, "exp", testNow.Unix())),
		"no exp":                     hs256(goodHeader, payload("exp", nil)),
		"exp null":                   hs256(goodHeader, payload("exp", "null")),
		"exp text":                   hs256(goodHeader, payload("exp", `"tomorrow"`)),
		"exp negative":               hs256(goodHeader, payload("exp", -1)),
		"exp overflows":              hs256(goodHeader, payload("exp", "1e300")),
		"lives too long":             hs256(goodHeader, payload("exp", testNow.Add(8*24*time.Hour).Unix())),
		"no iat":                     hs256(goodHeader, payload("iat", nil)),
		"iat in the future":          hs256(goodHeader, payload("iat", testNow.Add(time.Minute).Unix())),
		"iat 0":                      hs256(goodHeader, payload("iat", 0)),
		"nbf in the future":          hs256(goodHeader, payload("nbf", testNow.Add(time.Minute).Unix())),
		"another issuer":             hs256(goodHeader, payload("iss", `"mypayverse"`)),
		"an audience":                hs256(goodHeader, payload("aud", `"mypayverse"`)),
		"audiences":                  hs256(goodHeader, payload("aud", `["a","b"]`)),
		"no sub":                     hs256(goodHeader, payload("sub", nil)),
		"empty sub":                  hs256(goodHeader, payload("sub", `""`)),
		"sub is a number":            hs256(goodHeader, payload("sub", 1)),
		"no session":                 hs256(goodHeader, payload("sid", nil)),
		"too long":                   hs256(goodHeader, payload("email", `"`+strings.Repeat("x", maxToken)+`"`)),
	}
	tokens := newTokens(t)
	for name, token := range cases {
		for round := range 2 {
			if claims, err := tokens.Verify(token); err == nil {
				t.Errorf("%s, round %d: accepted as %+v", name, round, claims)
			}
		}
	}
	if got := tokens.cached(); got != 0 {
		t.Errorf("%d refused tokens are in the cache", got)
	}
	if _, err := tokens.Verify(good); err != nil {
		t.Errorf("the good token: %v", err)
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

func request(headers ...string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestBearer(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		want    string
		err     error
	}{
		{"none", nil, "", api.ErrNoCredential},
		{"bearer", []string{"Authorization", "Bearer abc"}, "abc", nil},
		{"scheme without case", []string{"Authorization", "bEARER abc"}, "abc", nil},
		{"more spaces", []string{"Authorization", "Bearer   abc"}, "abc", nil},
		{"another scheme", []string{"Authorization", "Basic abc"}, "", api.ErrNoCredential},
		{"no token", []string{"Authorization", "Bearer "}, "", errBearer},
		{"no space", []string{"Authorization", "Bearer"}, "", api.ErrNoCredential},
		{"twice", []string{"Authorization", "Bearer a", "Authorization", "Bearer b"}, "", errAuthorization},
		{"too long", []string{"Authorization", "Bearer " + strings.Repeat("x", maxToken+1)}, "", errBearer},
		{"cookie and query do not count", []string{"Cookie", "token=abc"}, "", api.ErrNoCredential},
	} {
		got, err := Bearer(request(c.headers...))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q %v, want %q %v", c.name, got, err, c.want, c.err)
		}
	}
}

func TestIdentify(t *testing.T) {
	tokens := newTokens(t)
	token, _ := tokens.Issue(testClaims())
	got, err := tokens.Identify(request("Authorization", "Bearer "+token))
	want := fsm.Actor{Kind: fsm.User, ID: "usr_1", Session: "ses_1", Email: "ann@example.org"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("%v\n%s", err, diff)
	}
	if _, err := tokens.Identify(request()); !errors.Is(err, api.ErrNoCredential) {
		t.Fatalf("without token: %v", err)
	}
	if _, err := tokens.Identify(request("Authorization", "Bearer x")); err == nil || errors.Is(err, api.ErrNoCredential) {
		t.Fatalf("with a bad token: %v", err)
	}
}

func TestServiceKey(t *testing.T) {
	wrong := errors.New("wrong key")
	key, err := NewServiceKey("ztide", "X-Ztide-Service-Key", []string{"first", "", "second"}, wrong)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		headers []string
		err     error
	}{
		{"none", nil, api.ErrNoCredential},
		{"first", []string{"X-Ztide-Service-Key", "first"}, nil},
		{"second", []string{"X-Ztide-Service-Key", "second"}, nil},
		{"other", []string{"X-Ztide-Service-Key", "third"}, wrong},
		{"prefix", []string{"X-Ztide-Service-Key", "firs"}, wrong},
		{"empty", []string{"X-Ztide-Service-Key", ""}, wrong},
		{"twice", []string{"X-Ztide-Service-Key", "first", "X-Ztide-Service-Key", "first"}, wrong},
	} {
		actor, err := key.Identify(request(c.headers...))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if c.err == nil && (actor.Kind != fsm.Service || actor.ID != "ztide") {
			t.Errorf("%s: actor %+v", c.name, actor)
		}
	}
	unset, _ := NewServiceKey("ztide", "X-Ztide-Service-Key", []string{""}, wrong)
	if _, err := unset.Identify(request("X-Ztide-Service-Key", "")); !errors.Is(err, wrong) {
		t.Errorf("an unset key matches: %v", err)
	}
	if _, err := NewServiceKey("ztide", "X-ZTide-Service-Key", nil, wrong); err == nil {
		t.Error("a header that net/http writes otherwise is accepted")
	}
	if text := fmt.Sprintf("%+v %#v", key, key); strings.Contains(text, "second") {
		t.Error("printing shows the key")
	}
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
