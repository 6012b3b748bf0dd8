package node

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/modules"
	"coffer/fsm/settings"
	"coffer/http/apitest"
	"coffer/http/auth"
	"coffer/http/secret"
)

// The scripts of the public API, below the directory of each area.
const apiScripts = "../testdata/api"

// TestAPI plays every script against a node of its own, and then the failures
// that no script can provoke. Together they must reach every answer that the
// OpenAPI document declares, and none that it does not.
func TestAPI(t *testing.T) {
	contract := readContract(t)
	scripts, roads := -1, -1 // that have not begun; a filter may leave some out
	complete := t.Run("scripts", func(t *testing.T) {
		paths, err := filepath.Glob(filepath.Join(apiScripts, "*", "*.txt"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no scripts in %s: %v", apiScripts, err)
		}
		scripts = len(paths)
		for _, path := range paths {
			name, _ := filepath.Rel(apiScripts, strings.TrimSuffix(path, ".txt"))
			t.Run(name, func(t *testing.T) {
				scripts--
				t.Parallel()
				playScript(t, path, contract)
			})
		}
	})
	complete = t.Run("road", func(t *testing.T) { roads = walkRoads(t, contract) }) && complete
	if complete && scripts == 0 && roads == 0 && !apitest.Update() {
		contract.missing(t)
	}
}

// playScript plays one script against a fresh node.
func playScript(t *testing.T, path string, contract *apiContract) {
	environment := scriptEnvironment(t, path)
	n := startAPI(t, environment)
	server := apiServer(n)
	server.Client = &http.Client{
		Transport:     &apiWitness{t: t, contract: contract, node: n, origin: originOf(path, environment), once: limited(environment)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	apitest.RunFile(t, path, server)
	checkHealth(t, n)
}

// originOf orders scripts: those of a usual environment come first.
func originOf(path string, environment map[string]string) string {
	if len(environment) == 0 {
		return "1 " + path
	}
	return "2 " + path
}

// limited tells that requests are counted.
func limited(environment map[string]string) bool {
	for name, value := range environment {
		if strings.HasPrefix(name, "AEVION_RATE_") && value != "0" {
			return true
		}
	}
	return false
}

var wishForm = regexp.MustCompile(`(?m)^# with ([A-Z][A-Z0-9_]*)=(.*)$`)

// scriptEnvironment reads the environment of a script: its lines "# with NAME=value".
func scriptEnvironment(t *testing.T, path string) map[string]string {
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{}
	for _, wish := range wishForm.FindAllStringSubmatch(string(source), -1) {
		environment[wish[1]] = wish[2]
	}
	return environment
}

// apiServiceKey is that of reputation events on test nodes.
const apiServiceKey = "a-service-key-of-32-characters-!"

// apiEnvironment is that of the contract's acceptance: no rate limits, one
// administrator of all modules. No background scan writes between two calls.
var apiEnvironment = map[string]string{
	"AEVION_RATE_READ": "0", "AEVION_RATE_WRITE": "0", "AEVION_RATE_STRICT": "0", "AEVION_RATE_MONEY": "0",
	"AEVION_RATE_PUBLIC": "0", "AEVION_RATE_CSV": "0", "AEVION_CHAIN_VERIFY_INTERVAL": "0",
	"QPAYNET_ADMIN_EMAILS": "admin@example.org", "ZTIDE_ADMIN_EMAILS": "admin@example.org",
	"ZTIDE_SERVICE_KEY": apiServiceKey,
}

// startAPI starts a node with an environment on top of that of all tests.
func startAPI(t testing.TB, environment map[string]string) *Node {
	t.Helper()
	return startAPIIn(t, t.TempDir(), environment)
}

func startAPIIn(t testing.TB, dir string, environment map[string]string) *Node {
	t.Helper()
	c := Config{
		DataDir: dir, HTTPAddr: "127.0.0.1:0", Strict: true, Version: "test", Logger: apiLog(t),
		FlushBytes: 64 << 20, FlushEvery: time.Minute, LogBudget: 1 << 30,
		TrustProxy: environment["AEVION_TRUST_PROXY"] == "1",
		Exit:       func(code int) { t.Errorf("the node ends the process with code %d", code) },
	}
	err := c.Complete(settings.Development, func(name string) (string, bool) {
		if text, own := environment[name]; own {
			return text, true
		}
		text, usual := apiEnvironment[name]
		return text, usual
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

// apiLog shows what a node warns of when its test fails.
func apiLog(t testing.TB) *slog.Logger {
	var mu sync.Mutex
	var text strings.Builder
	write := func(line []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(line)
	}
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		if t.Failed() && text.Len() > 0 {
			t.Log("the node logged:\n" + text.String())
		}
	})
	return slog.New(slog.NewTextHandler(logWriter(write), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type logWriter func([]byte) (int, error)

func (w logWriter) Write(line []byte) (int, error) { return w(line) }

// checkHealth checks what must hold after any calls: all invariants and the chain.
func checkHealth(t testing.TB, n *Node) {
	t.Helper()
	v := n.db.Latest()
	defer v.Close()
	for _, broken := range fsmtest.Broken(v, modules.All()) {
		t.Error(broken)
	}
	if verified, err := ledger.Verify(v, n.salts, 0, ledger.Size(v)); err != nil || verified.Fault != nil {
		t.Errorf("the chain: %+v, %v", verified.Fault, err)
	}
}

// apiServer lets a script talk to a node. Users sign up when they are first
// named; $ann is then the id of ann, $annToken and $annSession are hers.
func apiServer(n *Node) *apitest.Server {
	return &apitest.Server{
		BaseURL: n.URL(),
		Vars:    map[string]string{"serviceKey": apiServiceKey},
		As: func(t testing.TB, name string) apitest.User {
			who := n.signUp(t, name)
			return apitest.User{
				Header: http.Header{"Authorization": {"Bearer " + who.token}},
				Vars:   map[string]string{name: who.id, name + "Token": who.token, name + "Session": who.session},
			}
		},
	}
}

// apiPassword is everybody's.
const apiPassword = "correct horse"

// apiUser is a signed-in user of a test.
type apiUser struct{ id, session, email, token string }

// signUp registers name@example.org as the door does, but with a password hash
// that costs nothing: hashes name their own cost.
func (n *Node) signUp(t testing.TB, name string) apiUser {
	t.Helper()
	cheap, err := secret.NewPasswords(secret.PasswordOptions{Cost: secret.Cost{MemoryKiB: 8, Passes: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := cheap.Hash(t.Context(), apiPassword)
	if err != nil {
		t.Fatal(err)
	}
	email := name + "@example.org"
	door := caller{t.Context(), fsm.Origin{Actor: fsm.Actor{IP: "127.0.0.1", Agent: "test"}, RequestID: fsm.NewRequestID()}}
	in, err := identity.RegisterUser.Submit(door, n, identity.Register{Surface: identity.AEVION, Email: email, Name: name, Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	who := apiUser{id: string(in.User.ID), session: string(in.Session), email: email}
	who.token = n.sign(t, who)
	return who
}

// sign makes the token of a session with the node's own key.
func (n *Node) sign(t testing.TB, who apiUser) string {
	t.Helper()
	const week = 7 * 24 * time.Hour
	tokens, err := auth.NewTokens(auth.Options{Secret: []byte(n.config.Secrets.JWT), Lifetime: func() time.Duration { return week }})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	token, err := tokens.Issue(auth.Claims{
		Subject: who.id, Email: who.email, Role: identity.RoleUser, Session: who.session, Issued: now, Expires: now.Add(week),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}
