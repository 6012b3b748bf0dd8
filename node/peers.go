package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/fsm/modules"
	"coffer/snapshot"
	"coffer/store"
)

// stream carries the connections between nodes. A node without credentials is
// the only one of its cluster.
func (n *Node) stream() (raft.StreamLayer, error) {
	switch {
	case !n.dir.hasCredentials() && n.config.Cluster == "":
		return cluster.NoPeers(n.dir.Identity.NodeID), nil
	case !n.dir.hasCredentials():
		return nil, refused("%s is no member of a cluster: run coffer init or coffer join first", n.config.DataDir)
	case n.config.Cluster == "":
		return nil, refused("%s is a member of a cluster: give --cluster-addr", n.config.DataDir)
	}
	n.watchPeerCredentials()
	files, err := n.dir.readCredentials()
	if err != nil {
		return nil, refused("the credentials do not hold: %v", err)
	}
	credentials, err := files.credentials(time.Now())
	if err != nil {
		return nil, refused("the credentials do not hold: %v", err)
	}
	listener, err := net.Listen("tcp", n.config.Cluster)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", n.config.Cluster, err)
	}
	port, err := cluster.Listen(cluster.PortConfig{
		Listener: listener, Advertise: n.config.Advertise, Credentials: credentials, Join: n.admit, Logger: n.logger,
		Dial: n.relay(),
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	n.port = port
	return port, nil
}

// exchange is raft's snapshot store: states travel between peers, and into
// backups.
func (n *Node) exchange() (*snapshot.Virtual, error) {
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return nil, err
	}
	return snapshot.NewExchange(snapshot.Config{
		DB: n.db, Schema: schema, Stamp: n.dir.Identity.stamp(), Dir: n.dir.file(snapshotDir),
		Source: snapshot.Source{ClusterID: n.dir.Identity.ClusterID, Sums: Sums}, Newest: fsm.NewestVersion, BackupRate: n.config.BackupRate,
		Logger: n.logger, Observe: n.metrics.exchange(),
	}), nil
}

// Sums adds up all balances of a state by currency, for the footer of a
// snapshot.
func Sums(v *store.View) ([]snapshot.Sum, error) {
	var sums []snapshot.Sum
	for _, t := range ledger.TrialBalances(v) {
		sums = append(sums, snapshot.Sum{Currency: t.Currency, Positive: int64(t.Positive), Negative: int64(t.Negative)})
	}
	return sums, nil
}

// recorded is what state.db holds, in the words of the log.
func (n *Node) recorded() cluster.State {
	applied, err := n.db.DurableApplied()
	if err != nil {
		n.fatal(err)
	}
	return cluster.State{Index: applied.Index, Term: applied.Term, Installed: applied.Installed}
}

// bury is the request that makes a removed id stay away, of the operator who
// wants it or of this node.
func (n *Node) bury(nodeID string, by cluster.Asker) []byte {
	actor := n.actor()
	if by.Name != "" {
		actor = fsm.Actor{Kind: fsm.Operator, ID: by.Name, Agent: by.User}
	}
	return n.requestOf(actor, fsm.RemoveMember.Name, store.Encode(&fsm.Removal{Node: nodeID}))
}

// removed tells whether an id was removed.
func (n *Node) removed(nodeID string) bool {
	v := n.db.Latest()
	defer v.Close()
	return fsm.Removed(v, nodeID)
}

// admitted tells whether an id was let in and not removed. A state that knows no
// member, such as that of a node that has just joined, takes everybody's word.
func (n *Node) admitted(nodeID string) bool {
	v := n.db.Latest()
	defer v.Close()
	m, known := fsm.MemberOf(v, nodeID)
	return known && m.Removed == 0 || len(fsm.Members(v)) == 0
}

// announcement is what peers shall know about this node.
func (n *Node) announcement() cluster.Announcement {
	v := n.db.Latest()
	defer v.Close()
	a := cluster.Announcement{
		Version: n.config.Version, MachineMin: fsm.FirstVersion, MachineMax: fsm.NewestVersion,
		DiskFree: n.disk.free(), Boot: n.boot, Epoch: uint64(v.Applied().Epoch),
	}
	if index, digest, ok := n.machine.Digest(); ok {
		a.DigestIndex, a.Digest = index, bytes.Clone(digest[:])
	}
	for _, alarm := range fsm.Alarms(v) {
		a.Alarms = append(a.Alarms, alarm.Kind+" "+alarm.Node)
	}
	return a
}

// digestAt is this node's digest at a recent entry.
func (n *Node) digestAt(index uint64) ([]byte, bool) {
	digest, ok := n.machine.DigestAt(index)
	return digest[:], ok
}

// moveIn tells the cluster under which address this node is reached, if that has
// changed. It repeats that until it is known, or the node was removed.
func (n *Node) moveIn(ctx context.Context) {
	const longest = 30 * time.Second
	own, told := n.port.Addr().String(), ""
	for wait := time.Second; ; wait = min(2*wait, longest) {
		old, moved := n.movedFrom(own)
		if !moved {
			return
		}
		err := n.cluster.Move(ctx, own)
		if err == nil {
			n.logger.Info("the address of this node has changed", "old", old, "new", own)
			return
		}
		if text := err.Error(); text != told && ctx.Err() == nil {
			told = text
			n.logger.Warn("the cluster keeps the old address of this node", "old", old, "new", own, "err", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// movedFrom is the address that the cluster has of this node, if it is another
// one and the node belongs to the cluster.
func (n *Node) movedFrom(own string) (old string, moved bool) {
	if n.removed(n.dir.Identity.NodeID) {
		return "", false
	}
	for _, m := range n.cluster.Membership().Members {
		if m.ID == n.dir.Identity.NodeID {
			return m.Address, m.Address != own
		}
	}
	return "", false
}
