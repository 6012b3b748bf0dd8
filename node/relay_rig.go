//go:build rig

package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"coffer/fsm/settings"
)

// relayVariable names the environment variable that tests of faults set: a
// development node then dials every peer through this address and says first, in
// a line of its own, which peer it wants. Peers prove their ids as ever.
const relayVariable = "COFFER_TEST_RELAY"

// relay dials peers through the relay of a test; nil without one.
func (n *Node) relay() func(ctx context.Context, nodeID, address string) (net.Conn, error) {
	through := os.Getenv(relayVariable)
	if through == "" || n.config.Mode != settings.Development {
		return nil
	}
	return func(ctx context.Context, nodeID, address string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", through)
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintf(conn, "%s %s\n", nodeID, address); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, nil
	}
}
