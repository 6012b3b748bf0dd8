package rig

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// TestRelay proves that each way to spoil a link does what it says, and only in
// its direction.
func TestRelay(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	go func() { // a peer that returns what it hears
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn) }() // ends with its connection
		}
	}()
	n := newNetwork(t)
	hub := n.hub(t, "a", "")
	n.hub(t, "b", listener.Addr().String())
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", hub)
		check(t, err)
		_, err = fmt.Fprintln(conn, "b its-address:7001")
		check(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	// echo says how long so many bytes take there and back.
	echo := func(conn net.Conn, count int, limit time.Duration) (time.Duration, error) {
		began := time.Now()
		check(t, conn.SetReadDeadline(began.Add(limit)))
		_, err := conn.Write(make([]byte, count))
		check(t, err)
		_, err = io.ReadFull(conn, make([]byte, count))
		return time.Since(began), err
	}
	conn := dial()
	if _, err := echo(conn, 100_000, Patience); err != nil {
		t.Fatalf("a whole link: %v", err)
	}
	if n.Bitten() != 0 {
		t.Errorf("a whole link counts as spoiled: %s", n)
	}
	n.Slow("a", "b", 100*time.Millisecond)
	n.Slow("b", "a", 50*time.Millisecond)
	if took, err := echo(conn, 1000, Patience); err != nil || took < 150*time.Millisecond {
		t.Errorf("a slow link: %v, %v", took, err)
	}
	n.Heal()
	n.Narrow("b", "a", 64<<10)
	if took, err := echo(conn, 16<<10, Patience); err != nil || took < 200*time.Millisecond {
		t.Errorf("a narrow link: %v, %v", took, err)
	}
	n.Heal()
	n.Hold("b", "a")
	if took, err := echo(conn, 10, 100*time.Millisecond); err == nil {
		t.Errorf("a held link answered after %v", took)
	}
	n.Release("b", "a")
	check(t, conn.SetReadDeadline(time.Now().Add(Patience)))
	if _, err := io.ReadFull(conn, make([]byte, 10)); err != nil {
		t.Errorf("what was held never arrived: %v", err)
	}
	n.Lose("a", "b")
	if took, err := echo(conn, 10, 100*time.Millisecond); err == nil {
		t.Errorf("a link that loses answered after %v", took)
	}
	n.Heal()
	check(t, conn.SetReadDeadline(time.Now().Add(Patience)))
	if count, err := conn.Read(make([]byte, 10)); err != io.EOF {
		t.Errorf("a connection that lost something goes on: %d bytes, %v", count, err)
	}
	if _, err := echo(dial(), 100, Patience); err != nil {
		t.Errorf("a healed link: %v", err)
	}
}
