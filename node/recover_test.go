package node

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/fsm/modules"
	"coffer/store"
)

// lostQuorum makes the directory of a node whose two peers are lost.
func lostQuorum(t *testing.T) (dir string, salt Secret) {
	t.Helper()
	c, nodes := hostCluster(t)
	c.promoteBoth()
	dir = nodes["node-1"].config.DataDir
	for _, id := range list("node-3 node-2 node-1") { // the first one last: it has all of the log
		nodes[id].end(t)
	}
	stored, err := StoredSalt(dir, "", func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return dir, stored
}

func stateOf(t *testing.T, dir string) store.Applied {
	t.Helper()
	id, err := readIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Inspect(store.Options{Path: filepath.Join(dir, stateFile), Schema: schema, Stamp: id.stamp()})
	if err != nil {
		t.Fatal(err)
	}
	v := db.Latest()
	applied := v.Applied()
	v.Close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return applied
}

// A state that holds the whole log already still gets the new membership.
func TestRecoveryOfAStateWithoutALogBehindIt(t *testing.T) {
	dir, salt := lostQuorum(t)
	before, err := Survey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if before.Applied != before.LastIndex || len(before.Members) != 3 {
		t.Fatalf("before: %+v", before)
	}
	done, err := Recover(t.Context(), RecoverFlags{DataDir: dir, ClusterID: before.ClusterID, Salt: salt})
	if err != nil {
		t.Fatal(err)
	}
	if done.From != 0 || done.To != 0 || done.Commands != 0 || done.LedgerTo != 0 || len(done.Lost) != 2 || done.Epoch != 2 {
		t.Errorf("report %+v", done)
	}
	applied := stateOf(t, dir)
	members, err := cluster.DecodeMembership(applied.MembershipIndex, applied.Membership)
	if err != nil {
		t.Fatal(err)
	}
	if applied.Epoch != 2 || !applied.Installed || applied.Index != before.LastIndex || len(members.Members) != 1 || !members.Members[0].Voter {
		t.Errorf("the state records %+v with members %+v", applied, members)
	}
	again := hostPeer(t, dir, freeAddress(t))
	defer again.end(t)
	v := again.db.Latest()
	defer v.Close()
	epochs := fsm.Epochs(v)
	if len(epochs) != 1 || epochs[0].Epoch != 2 || epochs[0].Node != "node-1" || !strings.Contains(epochs[0].Reason, "quorum lost") {
		t.Errorf("epochs %+v", epochs)
	}
}

// A crash after the note and before the state leaves a node as it was; the
// recovery is repeated.
func TestARecoveryIsRepeatedAfterACrash(t *testing.T) {
	dir, salt := lostQuorum(t)
	id, err := readIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := &dataDir{path: dir, Identity: id}
	d.Identity.Epoch = &EpochNote{Number: 2, Reason: "a crash came"}
	if err := d.save(); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Recover(cancelled, RecoverFlags{DataDir: dir, ClusterID: id.ClusterID, Salt: salt}); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := Recover(t.Context(), RecoverFlags{DataDir: dir, ClusterID: id.ClusterID, Salt: salt}); err != nil && !strings.Contains(err.Error(), "lost no quorum") {
		t.Fatal(err)
	}
	if applied := stateOf(t, dir); applied.Epoch != 2 {
		t.Errorf("epoch %d, want 2: no recovery may count twice", applied.Epoch)
	}
}

func TestRecoverRefuses(t *testing.T) {
	dir, salt := lostQuorum(t)
	id, err := readIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := imageOf(t, dir)
	alone := filepath.Join(t.TempDir(), "alone")
	h := mustHost(t, alone)
	h.end(t)
	aloneSalt, err := StoredSalt(alone, "", func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]struct {
		flags RecoverFlags
		code  int
	}{
		"another cluster": {RecoverFlags{DataDir: dir, ClusterID: "another", Salt: salt}, ExitRefused},
		"no salt":         {RecoverFlags{DataDir: dir, ClusterID: id.ClusterID}, ExitUsage},
		"another salt":    {RecoverFlags{DataDir: dir, ClusterID: id.ClusterID, Salt: "another-salt-of-at-least-32-bytes-here"}, ExitRefused},
		"no address":      {RecoverFlags{DataDir: dir, ClusterID: id.ClusterID, Salt: salt, Advertise: "nowhere"}, ExitUsage},
		"a sole node":     {RecoverFlags{DataDir: alone, ClusterID: h.dir.Identity.ClusterID, Salt: aloneSalt}, ExitRefused},
		"no directory":    {RecoverFlags{DataDir: filepath.Join(dir, "none"), ClusterID: id.ClusterID, Salt: salt}, ExitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Recover(t.Context(), l.flags); err == nil || CodeOf(err) != l.code {
				t.Errorf("error %v with code %d, want code %d", err, CodeOf(err), l.code)
			}
		})
	}
	for name, before := range files {
		after, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimRight(string(after), "\x00") != string(before.content) {
			t.Errorf("%s was changed", name)
		}
	}
}

// What only a hand can know is in the report, under names that do not change.
func TestTheReportOfARecoveryKeepsItsNames(t *testing.T) {
	text, err := json.Marshal(Recovered{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range list("before epoch unprovenFrom unprovenTo unprovenCommands ledgerFrom ledgerTo lostMembers digest clusterAddress lastTerm lastIndex applied") {
		if !strings.Contains(string(text), `"`+name+`":`) {
			t.Errorf("no %s in %s", name, text)
		}
	}
}
