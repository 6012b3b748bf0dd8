package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"coffer/fsm"
	"coffer/http/api"
)

// MinSecret is the shortest signing secret, in bytes.
const MinSecret = 32

// Claims are what a token says. Times are whole seconds.
type Claims struct {
	Subject string // user id
	Email   string
	Role    string
	Session string
	Issued  time.Time
	Expires time.Time
}

// Options are what Tokens are made of.
type Options struct {
	Secret []byte // at least MinSecret bytes, equal on all nodes
	// Lifetime is the longest life of a token that is issued or accepted.
	Lifetime func() time.Duration
	// Issuer is the claim iss, which a token then must have. Without an issuer
	// a token must have none, so that those of other services are refused.
	Issuer string
	Now    func() time.Time // time.Now when nil
	Cached int              // verified tokens kept, 32768 when zero
}

// Tokens issues and verifies JSON Web Tokens with HS256 and nothing else. It is
// safe for concurrent use.
type Tokens struct {
	options Options
	secret  func() []byte // hidden from fmt and encoders
	parser  *jwt.Parser
	cache   *cache
}

// leeway is how far ahead the clock of another node may be.
const leeway = 30 * time.Second

const defaultCached = 32768

// NewTokens checks the options and copies the secret.
func NewTokens(o Options) (*Tokens, error) {
	if len(o.Secret) < MinSecret {
		return nil, fmt.Errorf("token secret has %d bytes, at least %d are needed", len(o.Secret), MinSecret)
	}
	if o.Lifetime == nil {
		return nil, errors.New("tokens have no lifetime")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Cached == 0 {
		o.Cached = defaultCached
	}
	secret := append([]byte(nil), o.Secret...)
	o.Secret = nil
	t := &Tokens{options: o, secret: func() []byte { return secret }, cache: newCache(o.Cached)}
	t.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithStrictDecoding(),
		jwt.WithoutClaimsValidation()) // check does it, on every use
	return t, nil
}

// wire is the payload of a token.
type wire struct {
	Email   string `json:"email"`
	Role    string `json:"role"`
	Session string `json:"sid"`
	jwt.RegisteredClaims
}

var (
	errHeader   = errors.New("token header has more than alg and typ")
	errIssuer   = errors.New("token is of another issuer or for another audience")
	errMissing  = errors.New("token lacks sub, sid, iat or exp")
	errExpired  = errors.New("token has expired")
	errFuture   = errors.New("token is not valid yet")
	errLifetime = errors.New("token lives longer than tokens may")
)

// Issue signs a token. Its life must not exceed the lifetime of the options.
func (t *Tokens) Issue(c Claims) (string, error) {
	c.Issued, c.Expires = c.Issued.Truncate(time.Second), c.Expires.Truncate(time.Second)
	switch {
	case c.Subject == "" || c.Session == "":
		return "", errMissing
	case !c.Expires.After(c.Issued):
		return "", errExpired
	case c.Expires.Sub(c.Issued) > t.options.Lifetime():
		return "", errLifetime
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, wire{
		Email: c.Email, Role: c.Role, Session: c.Session,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    t.options.Issuer,
			Subject:   c.Subject,
			IssuedAt:  jwt.NewNumericDate(c.Issued),
			ExpiresAt: jwt.NewNumericDate(c.Expires),
		},
	})
	signed, err := token.SignedString(t.secret())
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}

// Verify returns what a token says, if it is ours and holds now. Signatures are
// checked once per token and remembered; times are checked on every use.
func (t *Tokens) Verify(token string) (Claims, error) {
	v, known := t.cache.get(token)
	if !known {
		var err error
		if v, err = t.parse(token); err != nil {
			return Claims{}, err
		}
	}
	if err := t.check(&v); err != nil {
		return Claims{}, err
	}
	if !known {
		t.cache.put(token, v)
	}
	return v.Claims, nil
}

// verified is a token whose signature is right.
type verified struct {
	Claims
	notBefore time.Time
}

// parse checks form, header and signature.
func (t *Tokens) parse(token string) (verified, error) {
	// Decoders skip line breaks even when they are strict, so one token would
	// have many spellings.
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") {
		return verified{}, errBearer
	}
	var claims wire
	_, err := t.parser.ParseWithClaims(token, &claims, func(parsed *jwt.Token) (any, error) {
		// No header names a key, a place to fetch one or an extension: jku,
		// x5u, jwk, kid and crit are refused alike.
		if len(parsed.Header) != 2 || parsed.Header["typ"] != "JWT" {
			return nil, errHeader
		}
		return t.secret(), nil
	})
	if err != nil {
		return verified{}, fmt.Errorf("verify a token: %w", err)
	}
	if claims.Issuer != t.options.Issuer || len(claims.Audience) > 0 {
		return verified{}, errIssuer
	}
	if claims.Subject == "" || claims.Session == "" || claims.IssuedAt == nil || claims.ExpiresAt == nil {
		return verified{}, errMissing
	}
	v := verified{Claims: Claims{
		Subject: claims.Subject, Email: claims.Email, Role: claims.Role, Session: claims.Session,
		Issued: claims.IssuedAt.Time, Expires: claims.ExpiresAt.Time,
	}}
	if claims.NotBefore != nil {
		v.notBefore = claims.NotBefore.Time
	}
	return v, nil
}

// check looks at the times of a token.
func (t *Tokens) check(v *verified) error {
	now := t.options.Now()
	switch {
	case !now.Before(v.Expires):
		return errExpired
	case v.Issued.After(now.Add(leeway)), v.notBefore.After(now.Add(leeway)):
		return errFuture
	case v.Expires.Sub(v.Issued) > t.options.Lifetime():
		return errLifetime
	}
	return nil
}

// Identify is the actor of the bearer token of a request (api.Scheme).
func (t *Tokens) Identify(r *http.Request) (fsm.Actor, error) {
	token, err := Bearer(r)
	if err != nil {
		return fsm.Actor{}, err
	}
	claims, err := t.Verify(token)
	if err != nil {
		return fsm.Actor{}, err
	}
	return fsm.Actor{Kind: fsm.User, ID: claims.Subject, Session: claims.Session, Email: claims.Email}, nil
}

// Scheme is the scheme "bearerAuth", which api.Bearer requires.
func (t *Tokens) Scheme() api.Scheme {
	return api.Scheme{
		Name: "bearerAuth", Identify: t.Identify, BearerFormat: "JWT",
		Description: "Token from register or login. It ends with its session.",
	}
}
