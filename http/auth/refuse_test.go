package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

// The parts of a good token, and what an unsigned one looks like.
var (
	good  = hs256(goodHeader, payload())
	parts = strings.Split(good, ".")
	none  = b64(`{"alg":"none","typ":"JWT"}`) + "." + b64(payload()) + "."
)

// trailing is the next base64 digit of the same first four bits, which a lenient
// decoder reads as the same bytes.
func trailing(digit byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := strings.IndexByte(digits, digit)
	return string(digits[at&^3|(at+1)&3])
}

// badTokens must be refused, the first time and every time.
var badTokens = map[string]string{
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
	"other trailing bits":        good[:len(good)-1] + trailing(good[len(good)-1]),
	"line break in signature":    good[:len(good)-5] + "\n" + good[len(good)-5:],
	"line break in payload":      good[:60] + "\r\n" + good[60:],
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

func TestTokensRefuse(t *testing.T) {
	tokens := newTokens(t)
	for name, token := range badTokens {
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

// A verifier that takes any algorithm would use a public key as HMAC secret.
func TestTokensRefusePublicKeysAsSecrets(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&private.PublicKey)})
	for _, header := range []string{goodHeader, `{"alg":"RS256","typ":"JWT"}`} {
		if claims, err := newTokens(t).Verify(sign(sha256.New, public, header, payload())); err == nil {
			t.Errorf("%s: accepted as %+v", header, claims)
		}
	}
}
