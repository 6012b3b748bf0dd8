package node

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Who opens the socket cannot choose the user that is noted.
func TestTheUserBehindASocketIsWhoTheSystemSays(t *testing.T) {
	listener, err := listenSocket(filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if got, want := userOf(withUser(context.Background(), accepted)), "uid "+strconv.Itoa(os.Getuid()); got != want {
		t.Errorf("the user is %q, want %q", got, want)
	}
	if got := userOf(context.Background()); got != "" {
		t.Errorf("without a connection the user is %q", got)
	}
}
