package cluster

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// Raft would end the process over each of these calls, and mostly at every later start, too.
func TestContentThatRaftCannotReadIsCut(t *testing.T) {
	t.Parallel()
	said := &voteLog{Handler: slog.DiscardHandler, about: "cut a connection"}
	n, file, l := startFollower(t, func(cfg *Config) { cfg.Logger = slog.New(said) })
	cut := func(reason string, answer any, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: answered with %+v", reason, answer)
		}
		if text := fmt.Sprint(said.lines()); !strings.Contains(text, "peer="+leaderID+" error="+reason) {
			t.Errorf("%s: logged %s", reason, text)
		}
		said.forget()
	}
	command, err := sealTest([][]byte{[]byte("never stored")})
	must(t, err)
	entry := func(index uint64, kind raft.LogType, data []byte) *raft.Log {
		return &raft.Log{Index: index, Term: oldTerm, Type: kind, Data: data}
	}
	for reason, entries := range map[string][]*raft.Log{
		"entry 3 at the place of entry 2":        {entry(3, raft.LogCommand, command)},
		"entry 4 at the place of entry 3":        {entry(2, raft.LogNoop, nil), entry(4, raft.LogNoop, nil)},
		"entry 2 at the place of entry 3":        {entry(2, raft.LogNoop, nil), entry(2, raft.LogNoop, nil)},
		"nothing at the place of entry 2":        {nil},
		"entry 2: sealed entry does not match":   {entry(2, raft.LogCommand, append([]byte("x"), command...))},
		"entry 2 has the type 6":                 {entry(2, raft.LogConfiguration+1, command)},
		"entry 2 has the type LogAddPeer":        {entry(2, raft.LogAddPeerDeprecated, command)},
		"entry 2: the membership cannot be read": {entry(2, raft.LogConfiguration, []byte("garbage"))},
		"entry 2: the membership is empty":       {entry(2, raft.LogConfiguration, nil)},
	} {
		request := &raft.AppendEntriesRequest{
			RPCHeader: l.header(), Term: oldTerm, PrevLogEntry: 1, PrevLogTerm: 1, Entries: entries, LeaderCommitIndex: 4,
		}
		var response raft.AppendEntriesResponse
		err := l.network.AppendEntries(l.id, l.address, request, &response)
		cut(reason, response, err)
	}
	good := raft.EncodeConfiguration(l.servers)
	for reason, request := range map[string]*raft.InstallSnapshotRequest{
		"the membership cannot be read": {SnapshotVersion: 1, Configuration: []byte("garbage")},
		"the membership is empty":       {SnapshotVersion: 1},
		"snapshot of version 0":         {SnapshotVersion: 0, Configuration: good, Peers: good},
	} {
		request.RPCHeader, request.Term, request.LastLogIndex, request.LastLogTerm = l.header(), oldTerm, installedIndex, oldTerm
		var response raft.InstallSnapshotResponse
		err := l.snapshots.InstallSnapshot(l.id, l.address, request, &response, bytes.NewReader(nil))
		cut(reason, response, err)
	}
	sound := &raft.InstallSnapshotRequest{RPCHeader: l.header(), SnapshotVersion: 1, Term: oldTerm, Configuration: good}
	var response raft.InstallSnapshotResponse
	err = l.network.InstallSnapshot(l.id, l.address, sound, &response, bytes.NewReader(nil))
	cut("snapshot on a connection for other calls", response, err)
	if _, last, _ := n.storage.logs.measure(); last != 1 || file.installs != 0 {
		t.Errorf("the log ends at entry %d, %d states were installed", last, file.installs)
	}
	l.mustAppend(oldTerm, 1, 1, 1, oldTerm, 1, rightEntry) // none
	l.mustAppend(oldTerm, 1, 1, 3, oldTerm, 3, rightEntry)
	l.mustAppend(newTerm, 0, 0, 0, newTerm, 0, rightEntry) // a heartbeat
	eventually(t, "it applied what is sound", func() bool { return n.machine.visible.Load() == 3 })
}
