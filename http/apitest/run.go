package apitest

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Server is what a script talks to.
type Server struct {
	BaseURL string
	// As returns the headers that make a request one of a user, who signs up
	// when first named. It may set further variables. Nil if no script says as=.
	As func(t testing.TB, name string) User
	// Vars are variables that every script may use.
	Vars map[string]string
	// Client sends the requests; one without redirects when nil.
	Client *http.Client
}

// User is a signed-in user of a script.
type User struct {
	Header http.Header
	Vars   map[string]string // become variables of the script
}

// Run runs every script of a directory, each as a test of its own with a server
// of its own. No script at all is a failure.
func Run(t *testing.T, directory string, start func(t *testing.T) *Server) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(directory, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("no script in %s", directory)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			RunFile(t, path, start(t))
		})
	}
}

// RunFile runs one script. With -update it rewrites the file instead of failing.
func RunFile(t testing.TB, path string, server *Server) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parse(string(source))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	p := newPlayer(t, server)
	for i := range parsed.exchanges {
		p.play(path, &parsed.exchanges[i])
	}
	if !Update() {
		return
	}
	updated := parsed.render()
	if updated == string(source) {
		return
	}
	if err := os.WriteFile(path, []byte(updated), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is rewritten", path)
}

// update is -update, which a test program may have already.
var update = func() flag.Value {
	if flag.Lookup("update") == nil {
		flag.Bool("update", false, "rewrite the answers of golden API scripts")
	}
	return flag.Lookup("update").Value
}()

// Update tells whether -update was given. Test programs with goldens of other
// kinds ask here too, since a flag can be registered only once.
func Update() bool { return update.String() == "true" }

// player sends the requests of one script.
type player struct {
	t      testing.TB
	server *Server
	client *http.Client
	vars   variables
	users  map[string]User
}

func newPlayer(t testing.TB, server *Server) *player {
	p := &player{t: t, server: server, client: server.Client, vars: variables{}, users: map[string]User{}}
	for name, value := range server.Vars {
		p.vars[name] = value
	}
	if p.client == nil {
		p.client = &http.Client{
			Timeout:       time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return p
}

// play sends one request and compares what comes. With -update it puts what
// came into the exchange.
func (p *player) play(path string, e *exchange) {
	p.t.Helper()
	for range e.times {
		got, err := p.send(e)
		if err != nil {
			p.t.Fatalf("%s:%d: %v", path, e.line, err)
		}
		merged, err := p.vars.compare(e.want, got)
		if err != nil {
			p.t.Fatalf("%s:%d: %v", path, e.line, err)
		}
		if Update() {
			e.want = merged
			continue
		}
		if diff := cmp.Diff(e.want.text(), merged.text()); diff != "" {
			p.t.Errorf("%s:%d: %s %s answers otherwise (-want +got):\n%s\nbody: %s", path, e.line, e.method, e.path, diff, cut(got.body))
			return
		}
	}
}

// cut keeps failures readable.
func cut(body string) string {
	const most = 4000
	if len(body) <= most {
		return body
	}
	return body[:most] + fmt.Sprintf("… (%d bytes)", len(body))
}

// got is an answer with all its headers.
type got struct {
	answer
	header http.Header
}

// send sends one request.
func (p *player) send(e *exchange) (got, error) {
	target, err := p.vars.expand(e.path)
	if err != nil {
		return got{}, err
	}
	body := e.body
	if !e.raw {
		if body, err = p.vars.expand(body); err != nil {
			return got{}, err
		}
	}
	r, err := http.NewRequest(e.method, p.server.BaseURL+target, strings.NewReader(body))
	if err != nil {
		return got{}, err
	}
	if err := p.setHeaders(r, e, body != ""); err != nil {
		return got{}, err
	}
	response, err := p.client.Do(r)
	if err != nil {
		return got{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return got{}, fmt.Errorf("read the answer: %w", err)
	}
	return got{answer{status: response.StatusCode, body: string(content)}, response.Header}, nil
}

// setHeaders sets those of the user, then those of the exchange.
func (p *player) setHeaders(r *http.Request, e *exchange, body bool) error {
	if body {
		r.Header.Set("Content-Type", "application/json")
	}
	if e.as != "" {
		for name, values := range p.user(e.as).Header {
			r.Header[name] = values
		}
	}
	given := map[string]bool{}
	for _, h := range e.headers {
		value, err := p.vars.expand(h.value)
		if err != nil {
			return err
		}
		name := http.CanonicalHeaderKey(h.name)
		if !given[name] {
			r.Header.Del(name)
		}
		given[name] = true
		if value != "" {
			r.Header.Add(name, value)
		}
		if name == "Host" {
			r.Host = value
		}
	}
	return nil
}

// user signs a user up at the first use.
func (p *player) user(name string) User {
	if u, known := p.users[name]; known {
		return u
	}
	if p.server.As == nil {
		p.t.Fatalf("as=%s: this server has no users", name)
	}
	u := p.server.As(p.t, name)
	p.users[name] = u
	for variable, value := range u.Vars {
		p.vars[variable] = value
	}
	return u
}
