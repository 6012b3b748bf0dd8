package node

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// badCredentials are headers that open no door. The claims are those of a user
// who is signed in.
var badCredentials = map[string]func(t *testing.T, n *Node, who apiUser) string{
	"none":      func(*testing.T, *Node, apiUser) string { return "" },
	"malformed": func(*testing.T, *Node, apiUser) string { return "Bearer not.a.token" },
	"no scheme": func(_ *testing.T, _ *Node, who apiUser) string { return who.token },
	"basic":     func(*testing.T, *Node, apiUser) string { return "Basic YW5uOmFubg==" },
	"cut":       func(_ *testing.T, _ *Node, who apiUser) string { return "Bearer " + who.token[:len(who.token)-1] },
	"of another user": func(_ *testing.T, _ *Node, who apiUser) string {
		parts := strings.Split(who.token, ".")
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), `"sub":"usr_`, `"sub":"usr_0`, 1)))
		return "Bearer " + strings.Join(parts, ".")
	},
	"expired": func(t *testing.T, n *Node, who apiUser) string {
		return forge(t, jwt.SigningMethodHS256, []byte(n.config.Secrets.JWT), who, -time.Minute)
	},
	"alg none": func(t *testing.T, _ *Node, who apiUser) string {
		return forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, who, time.Hour)
	},
	"another algorithm": func(t *testing.T, n *Node, who apiUser) string {
		return forge(t, jwt.SigningMethodHS512, []byte(n.config.Secrets.JWT), who, time.Hour)
	},
	"wrong key": func(t *testing.T, _ *Node, who apiUser) string {
		return forge(t, jwt.SigningMethodHS256, []byte(strings.Repeat("k", 64)), who, time.Hour)
	},
}

// forge signs the claims of a user in a way of its own.
func forge(t *testing.T, method jwt.SigningMethod, key any, who apiUser, life time.Duration) string {
	t.Helper()
	now := time.Now()
	signed, err := jwt.NewWithClaims(method, jwt.MapClaims{
		"sub": who.id, "email": who.email, "role": "USER", "sid": who.session,
		"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(life).Unix(),
	}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + signed
}

// walkCredentials tries every protected route without a good token. None of it
// reaches the log, but for a revoked session, of which only the state knows.
func walkCredentials(t *testing.T, c *apiContract) {
	r := newRoad(t, c, startAPI(t, nil))
	ann, gone := r.user("ann@example.org"), r.user("gone@example.org")
	try := func(operation, authorization string) {
		if _, o := c.operation(strings.Fields(operation)[0], strings.Fields(operation)[1]); o.Security == nil || len(*o.Security) == 0 {
			return
		}
		request, body := r.request(operation)
		request.Header.Del("X-Ztide-Service-Key")
		request.Header.Set("Authorization", authorization)
		if authorization == "" {
			request.Header.Del("Authorization")
		}
		r.refused(request, body, http.StatusUnauthorized, "auth_required")
	}
	r.unchanged(func() {
		for name, spoil := range badCredentials {
			authorization := spoil(t, r.node, ann)
			for _, operation := range c.operations() {
				try(operation, authorization)
			}
			if t.Failed() {
				t.Fatalf("with a token that is %s", name)
			}
		}
	})
	logout, _ := http.NewRequest(http.MethodPost, r.node.URL()+"/api/auth/logout", nil)
	logout.Header.Set("Authorization", "Bearer "+gone.token)
	if response, answer := r.send(logout, ""); response == nil || response.StatusCode != http.StatusOK {
		t.Fatalf("logout answers %s", answer)
	}
	for _, operation := range c.operations() {
		try(operation, "Bearer "+gone.token)
	}
	checkHealth(t, r.node)
}

// walkBodies sends every write with a body of another type, a body that is too
// large and an unclear switch, and every read with an unknown level.
func walkBodies(t *testing.T, c *apiContract) {
	r := newRoad(t, c, startAPI(t, nil))
	r.unchanged(func() {
		for _, operation := range c.operations() {
			if !isWrite(operation) {
				for _, header := range [][2]string{{"Coffer-Consistency", "whenever"}, {"Coffer-Min-Index", "soon"}} {
					request, body := r.request(operation)
					request.Header.Set(header[0], header[1])
					r.refused(request, body, http.StatusBadRequest, "validation_failed")
				}
				continue
			}
			for _, media := range []string{"text/plain", "application/xml", "application/json; charset=latin1", "application/x-www-form-urlencoded", ""} {
				request, _ := r.request(operation)
				request.Header.Set("Content-Type", media)
				r.refused(request, `{}`, http.StatusUnsupportedMediaType, "unsupported_media_type")
			}
			request, _ := r.request(operation)
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Expect", "100-continue") // or the answer may be lost: nobody reads the body
			r.refused(request, `{"a":"`+strings.Repeat("a", 2<<20)+`"}`, http.StatusRequestEntityTooLarge, "payload_too_large")

			request, body := r.request(operation)
			request.URL.RawQuery = "dryRun=perhaps"
			r.refused(request, body, http.StatusBadRequest, "validation_failed")
		}
	})
}

// walkLimits lets every route be called once a minute.
func walkLimits(t *testing.T, c *apiContract) {
	environment := map[string]string{}
	for name := range apiEnvironment {
		if strings.HasPrefix(name, "AEVION_RATE_") {
			environment[name] = "1"
		}
	}
	r := newRoad(t, c, startAPI(t, environment))
	const attempts = 3 // two are enough, unless a new minute begins between them
	for _, operation := range c.operations() {
		for range attempts {
			request, body := r.request(operation)
			response, answer := r.send(request, body)
			if response == nil {
				return
			}
			checkLimitHeaders(t, operation, response)
			if response.StatusCode == http.StatusTooManyRequests {
				if !strings.Contains(answer, `"rate_limit_exceeded"`) {
					t.Errorf("%s answers %s", operation, answer)
				}
				break
			}
		}
	}
}

// checkLimitHeaders wants the numbers of a limit of 1 on every answer.
func checkLimitHeaders(t *testing.T, operation string, response *http.Response) {
	t.Helper()
	number := func(name string) int64 {
		value, err := strconv.ParseInt(response.Header.Get(name), 10, 64)
		if err != nil {
			t.Errorf("%s answers %d with %s: %q", operation, response.StatusCode, name, response.Header.Get(name))
		}
		return value
	}
	reset, until := number("RateLimit-Reset"), number("X-RateLimit-Reset")
	right := number("RateLimit-Limit") == 1 && number("X-RateLimit-Limit") == 1 &&
		number("RateLimit-Remaining") == 0 && number("X-RateLimit-Remaining") == 0 &&
		response.Header.Get("RateLimit-Policy") == "1;w=60" &&
		reset >= 1 && reset <= 60 && until%60 == 0
	if response.StatusCode == http.StatusTooManyRequests {
		right = right && number("Retry-After") == reset
	}
	if !right {
		t.Errorf("%s answers %d with headers %v", operation, response.StatusCode, response.Header)
	}
}
