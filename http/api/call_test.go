package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"coffer/fsm"
	"coffer/store"
)

// A protected route that neither reads nor submits has not checked the session.
func TestUncheckedSessionsAreNotAnswered(t *testing.T) {
	b := newBank(t, Get("/careless", func(*Call, Empty) (walletResponse, error) {
		return walletResponse{Balance: 777}, nil
	}, Spec{Summary: "Careless", Auth: Bearer}))
	a := do(t, b.mux(), "GET", "/api/money/careless", "", as("usr_ann"))
	a.is(t, 500, "error", CodeInternal)
	if strings.Contains(a.Body.String(), "777") || !strings.Contains(b.records.String(), "without checking the session") {
		t.Fatalf("answer %s, log %s", a.Body, b.records)
	}
}

func TestOneRequestIsOneCommand(t *testing.T) {
	var b *bank
	twice := func(c *Call, _ Empty) (Empty, error) {
		if _, err := move.Submit(c, b.log, moveCommand{}); err != nil {
			return Empty{}, err
		}
		_, err := move.Submit(c, b.log, moveCommand{})
		return Empty{}, err
	}
	reading := func(c *Call, _ Empty) (Empty, error) {
		_, err := move.Submit(c, b.log, moveCommand{})
		return Empty{}, err
	}
	stale := func(c *Call, _ Empty) (Empty, error) {
		if _, err := move.Submit(c, b.log, moveCommand{}); err != nil {
			return Empty{}, err
		}
		return Empty{}, c.Read(func(*store.View) error { return nil })
	}
	spec := Spec{Summary: "x", Auth: Bearer, Rejections: move.Rejects}
	idempotent := spec
	idempotent.Idempotent = true
	b = newBank(t, Post("/twice", twice, spec), Get("/reading", reading, spec), Post("/stale", stale, idempotent), Post("/fresh", stale, spec))
	m := b.mux()
	do(t, m, "POST", "/api/money/twice", "", as("usr_ann")).is(t, 500)
	if len(b.log.requests) != 1 {
		t.Fatalf("%d commands of one request", len(b.log.requests))
	}
	do(t, m, "GET", "/api/money/reading", "", as("usr_ann")).is(t, 500)
	if len(b.log.requests) != 1 {
		t.Fatal("a GET has submitted a command")
	}
	do(t, m, "POST", "/api/money/stale", "", as("usr_ann")).is(t, 500)
	do(t, m, "POST", "/api/money/fresh", "", as("usr_ann")).is(t, 200)
	for _, says := range []string{"one request submits one command", "a route that only reads submits a command", "a replay would differ"} {
		if !strings.Contains(b.records.String(), says) {
			t.Errorf("the log does not say %q", says)
		}
	}
}

func TestReadLevels(t *testing.T) {
	b := newBank(t, Get("/old", func(c *Call, _ Empty) (Empty, error) {
		epoch, index, ok := SessionIndex(c)
		if ok && (epoch != 3 || index != 17) {
			t.Errorf("session index %d:%d", epoch, index)
		}
		return Empty{}, c.Read(func(*store.View) error { return nil })
	}, Spec{Summary: "Old", Auth: Public, Read: fsm.Stale}))
	m := b.mux()
	reader := b.options.Reader.(*fakeReader)
	for _, c := range []struct {
		target string
		edit   edit
		level  fsm.Level
		echo   string
	}{
		{"old", func(*http.Request) {}, fsm.Stale, "stale"},
		{"old", header(headerConsistency, "stale"), fsm.Stale, "stale"},
		{"old", header(headerConsistency, "session"), fsm.Session, "session"},
		{"old", header(headerConsistency, "strong"), fsm.Linearizable, "linearizable"},
		{"old", header(headerMinIndex, "3:17"), fsm.Session, "session"},
		{"wallets/wal_0123456789abcdef", func(*http.Request) {}, fsm.Linearizable, "linearizable"},
		{"wallets/wal_0123456789abcdef", header(headerConsistency, "stale"), fsm.Linearizable, "linearizable"},
		{"wallets/wal_0123456789abcdef", header(headerMinIndex, "3:17"), fsm.Linearizable, "linearizable"},
	} {
		a := do(t, m, "GET", "/api/money/"+c.target, "", as("usr_ann"), c.edit)
		a.is(t, 200)
		if reader.level != c.level || a.Header().Get(headerConsistency) != c.echo || a.Header().Get(headerIndex) != "3:0" {
			t.Errorf("%s: level %d, headers %v", c.target, reader.level, a.Header())
		}
	}
	for _, bad := range []edit{header(headerConsistency, "eventual"), header(headerMinIndex, "17"), header(headerMinIndex, "x:y"), header(headerMinIndex, "3:-1")} {
		do(t, m, "GET", "/api/money/old", "", bad).is(t, 400, "error", CodeValidation)
	}
}

func TestTrace(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	for sent, kept := range map[string]bool{
		"abc-1.2_X": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "": false, "a b": false, "a\"b": false, "é": false,
	} {
		got := do(t, m, "GET", "/api/money/stats", "", header("X-Request-Id", sent)).Header().Get("X-Request-Id")
		if (got == sent) != kept || len(got) == 0 {
			t.Errorf("%q becomes %q", sent, got)
		}
	}
	one := do(t, m, "GET", "/api/money/stats", "").Header().Get("X-Request-Id")
	two := do(t, m, "GET", "/api/money/stats", "").Header().Get("X-Request-Id")
	if len(one) != 32 || one == two {
		t.Errorf("made %q and %q", one, two)
	}
}

func TestAgent(t *testing.T) {
	for sent, want := range map[string]string{
		"x/1": "x/1", "": "", strings.Repeat("x", 201): strings.Repeat("x", 200), strings.Repeat("x", 199) + "é": strings.Repeat("x", 199),
		"a\xffb": "a\uFFFDb",
	} {
		if got := agent(sent); got != want {
			t.Errorf("%q becomes %q", sent, got)
		}
	}
}

func TestDeadline(t *testing.T) {
	var b *bank
	waited := make(chan error, 1)
	b = newBank(t, Post("/wait", func(c *Call, _ Empty) (Empty, error) {
		if d, ok := c.Deadline(); !ok || !d.Equal(b.now.Add(b.options.Deadline)) {
			t.Errorf("deadline %v %v", d, ok)
		}
		child, cancel := context.WithCancel(c)
		defer cancel()
		<-child.Done()
		waited <- c.Err()
		return Empty{}, c.Err()
	}, Spec{Summary: "Waits", Auth: Public}))
	b.options.Deadline = time.Millisecond
	b.now = time.Now()
	a := do(t, b.mux(), "POST", "/api/money/wait", "")
	a.is(t, 503, "error", CodeOutcomeUnknown)
	if err := <-waited; !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

// Whoever keeps the call after its end is told, long before the deadline.
func TestCallsEnd(t *testing.T) {
	var kept *Call
	b := newBank(t, Get("/keep", func(c *Call, _ Empty) (Empty, error) {
		kept = c
		_ = c.Done() // makes the timer
		return Empty{}, c.Err()
	}, Spec{Summary: "x", Auth: Public}))
	b.now, b.options.Deadline = time.Now(), time.Hour
	do(t, b.mux(), "GET", "/api/money/keep", "").is(t, 200)
	select {
	case <-kept.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the call goes on after its end")
	}
	if !errors.Is(kept.Err(), context.Canceled) {
		t.Fatal(kept.Err())
	}
}
