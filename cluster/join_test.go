package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestASourceThatOnlyBeginsToJoinDoesNotStayInTheWay(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, testCluster)
	port := testPort(t, authority, testNode, func(cfg *PortConfig) {
		cfg.Join = func(context.Context, JoinRequest) (JoinReply, error) { return JoinReply{}, errors.New("no") }
	})
	token, err := NewToken(testCluster, authority.Certificate())
	must(t, err)
	key, err := NewKey()
	must(t, err)
	join := func() error {
		_, err := Join(t.Context(), token, port.Addr().String(), "node-2", "127.0.0.1:7002", key)
		return err
	}
	var silent []net.Conn
	for range joinsPerSource {
		conn, err := tls.Dial("tcp", port.Addr().String(), &tls.Config{NextProtos: []string{protocolJoin}, InsecureSkipVerify: true})
		must(t, err)
		defer conn.Close()
		silent = append(silent, conn)
	}
	eventually(t, "all are connected", func() bool { return len(port.connections()) == joinsPerSource })
	if err := join(); err == nil || errors.Is(err, ErrJoinRefused) {
		t.Errorf("one more node of the source: %v", err)
	}
	must(t, silent[0].Close())
	eventually(t, "there is room again", func() bool { return len(port.connections()) < joinsPerSource })
	if err := join(); !errors.Is(err, ErrJoinRefused) {
		t.Errorf("a node that finds room: %v", err)
	}
}

// served runs a node's side of a join over a pipe and returns the other end and when the node was done.
func served(t *testing.T, credentials *Credentials, answerAfter time.Duration) (net.Conn, <-chan struct{}) {
	port := &Port{closed: make(chan struct{}), open: map[*portConn]struct{}{}}
	port.cfg.Logger = slog.New(slog.DiscardHandler)
	port.cfg.Join = func(context.Context, JoinRequest) (JoinReply, error) {
		<-time.After(answerAfter)
		return JoinReply{}, errors.New("no")
	}
	port.credentials.Store(credentials)
	here, there := net.Pipe()
	kept, err := port.keep(here, "", protocolJoin, true)
	must(t, err)
	return there, work(func() { port.serveJoin(kept) })
}

func TestARequestToJoinArrivesInTimeAndItsAnswerMayTakeLonger(t *testing.T) {
	t.Parallel()
	credentials := testCredentials(t, newTestAuthority(t, testCluster), testNode)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		conn, done := served(t, credentials, 0)
		dripping := work(func() {
			for _, err := conn.Write([]byte{' '}); err == nil; _, err = conn.Write([]byte{' '}) {
				<-time.After(time.Second)
			}
		})
		<-done
		if took := time.Since(began); took != askLimit {
			t.Errorf("a request that comes byte by byte was waited for %s, want %s", took, askLimit)
		}
		<-dripping
	})
	synctest.Test(t, func(t *testing.T) {
		conn, done := served(t, credentials, joinLimit-time.Second)
		must(t, writeJoin(conn, JoinRequest{NodeID: "node-2", Address: "127.0.0.1:7002"}))
		var answer joinAnswer
		if err := readJoin(conn, &answer); err != nil || answer.Refused != "no" {
			t.Errorf("the answer is %+v, %v", answer, err)
		}
		_, err := conn.Read(make([]byte, 1))
		if !errors.Is(err, io.EOF) {
			t.Errorf("behind the answer: %v", err)
		}
		<-done
	})
}
