package node

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// TestMoreConnectionsThanAllowedWait: who is connected for nothing may keep
// others waiting, but never takes the descriptors of peers and files.
func TestMoreConnectionsThanAllowedWait(t *testing.T) {
	h := mustHost(t, filepath.Join(t.TempDir(), "data"), func(c *Config) { c.Connections = 2 })
	defer h.end(t)
	var clients []net.Conn
	ask := func() chan error {
		conn, err := net.Dial("tcp", h.server.address)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, conn)
		answered := make(chan error, 1)
		go func() {
			_, err := fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: coffer\r\n\r\n")
			if err == nil {
				_, err = http.ReadResponse(bufio.NewReader(conn), nil)
			}
			answered <- err
		}()
		return answered
	}
	for range 2 {
		if err := <-ask(); err != nil {
			t.Fatal(err)
		}
	}
	third := ask()
	select {
	case err := <-third:
		t.Errorf("the third connection was answered: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	clients[0].Close()
	if err := <-third; err != nil {
		t.Error(err)
	}
	clients[1].Close()
	clients[2].Close()
}

func TestConnectionsLeaveDescriptorsForTheRest(t *testing.T) {
	half := connections(0)
	if half < 64 || connections(1) != 1 || connections(half+1) != half {
		t.Errorf("of %d: %d and %d", half, connections(1), connections(half+1))
	}
}
