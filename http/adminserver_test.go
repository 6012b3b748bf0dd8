package http

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"coffer/fsm"
	"coffer/http/admin"
	"coffer/http/api"
	"coffer/store"
)

const (
	stall    = 300 * time.Millisecond
	patience = 20 * time.Second
)

// adminServer serves the admin API with limits that a test can wait for.
func adminServer(t *testing.T, backup func(ctx context.Context, to io.Writer, recipients []string) (string, error)) *httptest.Server {
	t.Helper()
	handler, err := NewAdmin(AdminOptions{
		Reader: noReader{}, Deps: admin.Deps{Proposer: nobodyLeads{}, Logger: slog.New(slog.DiscardHandler)}, Epoch: func() uint32 { return 1 }, Reasons: func(Role) []string { return nil },
		Metrics: http.NotFoundHandler(), Backup: backup, Stall: stall, Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Config.ReadTimeout, s.Config.WriteTimeout = stall/3, stall/3
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// nobodyLeads is a log that takes nothing: a backup is made all the same.
type nobodyLeads struct{ fsm.Proposer }

func (nobodyLeads) Propose(context.Context, fsm.Request) (fsm.Outcome, error) {
	return fsm.Outcome{}, api.ErrNotApplied
}

type noReader struct{}

func (noReader) Read(context.Context, fsm.Level, func(*store.View) error) error {
	return errors.New("not in this test")
}

// TestABackupOutlivesTheLimitsOfARequest takes longer than a request may, both
// ahead of the first byte and between bytes.
func TestABackupOutlivesTheLimitsOfARequest(t *testing.T) {
	step := stall / 2
	s := adminServer(t, func(ctx context.Context, to io.Writer, _ []string) (string, error) {
		for range 4 {
			select { // the copy of the state
			case <-time.After(step):
			case <-ctx.Done():
				return "", ctx.Err()
			}
			if _, err := to.Write(make([]byte, 1<<10)); err != nil {
				return "", err
			}
		}
		return "sum", nil
	})
	response, err := http.Get(s.URL + "/admin/v1/backup")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || len(text) != 4<<10 || response.Trailer.Get("Coffer-Backup-Sha256") != "sum" {
		t.Errorf("%d bytes, trailer %v, %v", len(text), response.Trailer, err)
	}
}

// TestAClientThatStopsReadingLosesItsBackup wants the only backup of a node free
// again when its client takes no more.
func TestAClientThatStopsReadingLosesItsBackup(t *testing.T) {
	ended := make(chan error, 1)
	s := adminServer(t, func(_ context.Context, to io.Writer, _ []string) (string, error) {
		chunk := make([]byte, 256<<10)
		for {
			if _, err := to.Write(chunk); err != nil {
				ended <- err
				return "", err
			}
		}
	})
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /admin/v1/backup HTTP/1.1\r\nHost: admin\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReaderSize(conn, 16).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q %v", line, err)
	}
	select { // and reads no further
	case err := <-ended:
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("the backup ends with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the backup waits for a client that reads nothing")
	}
}

// TestOperatorNamesThatNobodyCanRead are refused, with the reason, wherever an
// operator may act.
func TestOperatorNamesThatNobodyCanRead(t *testing.T) {
	s := adminServer(t, func(context.Context, io.Writer, []string) (string, error) {
		t.Error("a backup is made for a name that nobody can read")
		return "", nil
	})
	for _, c := range []struct {
		names  []string
		reason string
	}{
		{[]string{"\xff\xfe"}, "must be UTF-8"},
		{[]string{"\xc0\xaf"}, "must be UTF-8"}, // an overlong /
		{[]string{"ann\tbob"}, "must be printable"},
		{[]string{"ann\u0085"}, "must be printable"},
		{[]string{"\u202eann"}, "must be printable"}, // turns the line round
		{[]string{""}, "must not be empty"},
		{[]string{strings.Repeat("a", 101)}, "is too long"},
		{[]string{"ann", "bob"}, "must be there once"},
	} {
		for _, path := range []string{"/admin/v1/settings", "/admin/v1/backup"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header["Coffer-Operator"] = c.names
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			var problem struct{ Code, Field, Reason string }
			err = errors.Join(json.NewDecoder(response.Body).Decode(&problem), response.Body.Close())
			got := fmt.Sprint(response.StatusCode, " ", problem.Code, " ", problem.Field, " ", problem.Reason)
			if want := "400 invalid_operator Coffer-Operator " + c.reason; err != nil || got != want {
				t.Errorf("%s as %q answers %s, want %s; %v", path, c.names, got, want, err)
			}
		}
	}
	for _, names := range [][]string{nil, {"ann"}, {"Жанна Иванова"}} {
		r := &http.Request{Header: http.Header{}}
		if names != nil {
			r.Header["Coffer-Operator"] = names
		}
		if who, err := (admin.Deps{}).Identify(r); err != nil || who.Kind != fsm.Operator || who.ID == "" {
			t.Errorf("%q: %+v %v", names, who, err)
		}
	}
}
