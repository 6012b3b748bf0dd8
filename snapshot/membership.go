package snapshot

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// decodeMembership reads a configuration entry; raft panics on a damaged one.
func decodeMembership(encoded []byte) (members raft.Configuration, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the membership cannot be read: %v", fault)
		}
	}()
	if len(encoded) == 0 {
		return members, nil
	}
	return raft.DecodeConfiguration(encoded), nil
}

// soleVoter is the membership of a cluster of one node.
func soleVoter(nodeID, address string) []byte {
	return raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{
		ID: raft.ServerID(nodeID), Address: raft.ServerAddress(address),
	}}})
}
