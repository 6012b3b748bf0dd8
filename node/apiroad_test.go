package node

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"coffer/http/apitest"
)

// walkRoads provokes what every route refuses in the same way, which no script
// has to spell out: each road sends the success of every operation again, under
// circumstances in which it must fail. It returns how many were left out.
func walkRoads(t *testing.T, c *apiContract) (left int) {
	if apitest.Update() || len(c.good) == 0 {
		t.Skip("no script has succeeded")
	}
	roads := map[string]func(*testing.T, *apiContract){
		"credentials": walkCredentials,
		"bodies":      walkBodies,
		"limits":      walkLimits,
		"frozen":      walkFrozen,
		"closed":      walkClosed,
		"dying":       walkDying,
		"overflow":    walkOverflow,
	}
	left = len(roads)
	for name, walk := range roads {
		t.Run(name, func(t *testing.T) {
			left--
			t.Parallel()
			walk(t, c)
		})
	}
	return left
}

// apiRoad sends the successes of scripts to a node of its own.
type apiRoad struct {
	t        *testing.T
	contract *apiContract
	node     *Node

	mu    sync.Mutex
	users map[string]apiUser // by e-mail
}

func newRoad(t *testing.T, c *apiContract, n *Node) *apiRoad {
	r := &apiRoad{t: t, contract: c, node: n, users: map[string]apiUser{}}
	for _, operation := range c.operations() {
		if email := c.good[operation].email; email != "" {
			r.user(email)
		}
	}
	return r
}

// operations are those with a known success.
func (c *apiContract) operations() []string { return slices.Sorted(maps.Keys(c.good)) }

func (c *apiContract) writes() []string {
	return slices.DeleteFunc(c.operations(), func(name string) bool { return !isWrite(name) })
}

func isWrite(operation string) bool { return !strings.HasPrefix(operation, http.MethodGet+" ") }

// user signs a user up at the first use.
func (r *apiRoad) user(email string) apiUser {
	r.mu.Lock()
	defer r.mu.Unlock()
	if who, known := r.users[email]; known {
		return who
	}
	name, _, _ := strings.Cut(email, "@")
	r.users[email] = r.node.signUp(r.t, name)
	return r.users[email]
}

// roadBodies replace those of scripts where a body must fit its sender.
var roadBodies = map[string]apiExchange{
	"POST /api/auth/login": {email: "ann@example.org", body: fmt.Sprintf(`{"email":"ann@example.org","password":%q}`, apiPassword)},
	"POST /api/auth/password/change": {
		email: "ann@example.org", body: fmt.Sprintf(`{"currentPassword":%q,"newPassword":"battery staple"}`, apiPassword),
	},
	"DELETE /api/auth/account": {email: "ann@example.org", body: fmt.Sprintf(`{"password":%q}`, apiPassword)},
}

// request is the success of an operation, to be sent to this node.
func (r *apiRoad) request(operation string) (request *http.Request, body string) {
	r.t.Helper()
	sent := r.contract.good[operation]
	if own, has := roadBodies[operation]; has {
		sent.email, sent.body = own.email, own.body
	}
	method, _, _ := strings.Cut(operation, " ")
	request, err := http.NewRequest(method, r.node.URL()+sent.path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header = sent.header.Clone()
	if sent.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if sent.email != "" {
		request.Header.Set("Authorization", "Bearer "+r.user(sent.email).token)
	}
	return request, sent.body
}

// send sends a request and checks its answer against the contract.
func (r *apiRoad) send(request *http.Request, body string) (*http.Response, string) {
	r.t.Helper()
	response, answer, err := apiSend(request, body)
	if err != nil {
		r.t.Errorf("%s %s: %v", request.Method, request.URL.Path, err)
		return nil, ""
	}
	checkOutput(r.t, string(answer))
	r.contract.saw(r.t, "", request, body, response, answer)
	return response, string(answer)
}

// refused sends a request that must be refused with a code.
func (r *apiRoad) refused(request *http.Request, body string, status int, code string) *http.Response {
	r.t.Helper()
	response, answer := r.send(request, body)
	if response != nil && (response.StatusCode != status || !strings.Contains(answer, `{"error":"`+code+`"`)) {
		r.t.Errorf("%s %s answers %d %s, want %d %s", request.Method, request.URL.Path, response.StatusCode, answer, status, code)
	}
	return response
}

// unchanged runs a walk that must not reach the log.
func (r *apiRoad) unchanged(walk func()) {
	r.t.Helper()
	before := r.node.machine.Applied()
	walk()
	if after := r.node.machine.Applied(); after != before {
		r.t.Errorf("refused requests have made entries %d to %d", before+1, after)
	}
}
