package cluster

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// Raft votes for nobody while it reads a snapshot. A slow sender is waited for, a silent one is not.
func TestASenderThatFallsSilentIsCut(t *testing.T) {
	t.Parallel()
	for protocol, idle := range map[string]time.Duration{protocolSnapshot: snapshotIdle, protocolRaft: connIdle, protocolCall: connIdle} {
		synctest.Test(t, func(t *testing.T) {
			port := &Port{closed: make(chan struct{}), open: map[*portConn]struct{}{}}
			here, there := net.Pipe()
			conn, err := port.keep(here, "node-2", protocol, true)
			must(t, err)
			const bytes = 5
			sent := work(func() {
				for range bytes {
					<-time.After(idle - time.Second)
					there.Write([]byte{1})
				}
			})
			for range bytes {
				_, err := conn.Read(make([]byte, 16))
				must(t, err)
			}
			<-sent
			silent := time.Now()
			if n, err := conn.Read(make([]byte, 16)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: read %d bytes of a silent peer, %v", protocol, n, err)
			}
			if took := time.Since(silent); took != idle {
				t.Errorf("%s: a silent peer was cut after %s, want %s", protocol, took, idle)
			}
			must(t, conn.Close())
		})
	}
}
