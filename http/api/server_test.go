package api

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serve starts a real server and returns its address.
func serve(t *testing.T, m http.Handler, change ...func(*http.Server)) string {
	t.Helper()
	server := NewHTTPServer(m, slog.New(slog.DiscardHandler))
	for _, c := range change {
		c(server)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// exchange sends raw bytes and reads the answers until the server closes.
func exchange(t *testing.T, address, request string) (statuses []int, rest string) {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(connection, request) }()
	reader := bufio.NewReader(connection)
	for {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return statuses, rest
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return statuses, rest
		}
		statuses, rest = append(statuses, response.StatusCode), rest+string(body)
		if response.Close {
			return statuses, rest
		}
	}
}

const head = "Host: x\r\nAuthorization: Bearer usr_ann:ses_1\r\nContent-Type: application/json\r\n"

func TestServerLimits(t *testing.T) {
	b := newBank(t)
	b.now = time.Now()
	address := serve(t, b.mux())
	stats := func(headers string) string {
		return "GET /api/money/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n"
	}
	fill := func(total int) string {
		const name = "X-Fill: "
		return name + strings.Repeat("x", total-len(stats(name+"\r\n"))) + "\r\n"
	}
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"plain":                  {stats(""), 200},
		"headers of 32 KiB":      {stats(fill(MaxHeaderBytes)), 200},
		"headers of 32 KiB + 1":  {stats(fill(MaxHeaderBytes + 1)), 431},
		"headers of 1 MiB":       {stats(fill(1 << 20)), 431},
		"URL of 8 KiB + 1":       {"GET /api/money/stats?" + strings.Repeat("x", maxURL) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 414},
		"OPTIONS *":              {"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404},
		"CONNECT":                {"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\nConnection: close\r\n\r\n", 404},
		"absolute form":          {"GET http://x/api/money/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200},
		"two lengths":            {"POST /api/money/transfer HTTP/1.1\r\n" + head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400},
		"identity after chunked": {"POST /api/money/transfer HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501},
		"space before colon":     {"GET /api/money/stats HTTP/1.1\r\nHost: x\r\nX-A : b\r\n\r\n", 400},
		"no host":                {"GET /api/money/stats HTTP/1.1\r\n\r\n", 400},
		"body too long":          {fmt.Sprintf("POST /api/money/transfer HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n", head, BodyLimit+1), 413},
	} {
		if got, body := exchange(t, address, c.request); len(got) != 1 || got[0] != c.status {
			t.Errorf("%s: %v %s, want %d", name, got, body, c.status)
		}
	}
}

// Both lengths at once are read as chunks, and what follows is no request.
func TestServerReadsOneRequest(t *testing.T) {
	b := newBank(t)
	b.now = time.Now()
	address := serve(t, b.mux())
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(goodTransfer), goodTransfer)
	smuggled := "POST /api/money/transfer HTTP/1.1\r\n" + head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk +
		"GET /api/money/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	statuses, _ := exchange(t, address, smuggled)
	if len(b.log.requests) != 1 || len(statuses) == 0 || statuses[0] != 200 {
		t.Fatalf("%d requests reached the log, answers %v", len(b.log.requests), statuses)
	}
	// A refused body is not read as the next request.
	refused := "POST /api/money/transfer HTTP/1.1\r\nHost: x\r\nContent-Length: 70\r\n\r\n" +
		"POST /api/money/transfer HTTP/1.1\r\n" + head + "\r\n" + strings.Repeat(" ", 200) +
		"GET /api/money/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	if statuses, _ := exchange(t, address, refused); len(b.log.requests) != 1 || statuses[0] != 401 {
		t.Fatalf("%d requests reached the log, answers %v", len(b.log.requests), statuses)
	}
}

func TestServerCutsSlowClients(t *testing.T) {
	b := newBank(t)
	b.now = time.Now()
	server := NewHTTPServer(b.mux(), slog.New(slog.DiscardHandler))
	if server.ReadHeaderTimeout != 5*time.Second || server.ReadTimeout != 30*time.Second || server.IdleTimeout != 60*time.Second || server.WriteTimeout == 0 {
		t.Fatalf("the limits are %+v", server)
	}
	address := serve(t, b.mux(), func(s *http.Server) {
		s.ReadHeaderTimeout, s.ReadTimeout = 20*time.Millisecond, 40*time.Millisecond
	})
	for name, sent := range map[string]string{
		"header": "GET /api/money/stats HTTP/1.1\r\nHost: x\r\n",
		"body":   "POST /api/money/transfer HTTP/1.1\r\n" + head + "Content-Length: 100\r\n\r\n{",
	} {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(connection, sent); err != nil {
			t.Fatal(err)
		}
		if err := connection.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(connection) // until the server closes
		if err != nil {
			t.Errorf("a slow %s is not cut: %v", name, err)
		}
		if strings.Contains(string(answer), "200 OK") {
			t.Errorf("a slow %s is answered with %s", name, answer)
		}
		_ = connection.Close()
	}
	if len(b.log.requests) != 0 {
		t.Fatal("half a body has reached the log")
	}
}

// An answer that breaks off is seen as broken by the client.
func TestServerEndsBrokenAnswers(t *testing.T) {
	b := newBank(t, Get("/late", func(*Call, Empty) (lateAnswer, error) { return lateAnswer{}, nil }, Spec{Summary: "x", Auth: Public}))
	b.now = time.Now()
	address := serve(t, b.mux())
	response, err := http.Get("http://" + address + "/api/money/late")
	if err == nil {
		_, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	if err == nil {
		t.Fatal("half an answer looks whole")
	}
}
