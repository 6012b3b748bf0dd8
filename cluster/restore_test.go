package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestARestoreReachesEveryNode(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	g.leader().propose(t, "once before")
	g.agree()
	leader := g.leader()
	content, err := json.Marshal(testImage{Indexes: []uint64{1}, Requests: []string{"restored"}})
	must(t, err)
	meta := &raft.SnapshotMeta{Version: 1, Size: int64(len(content))}
	if err := g.followers(leader)[0].Restore(g.within(time.Second), meta, bytes.NewReader(content)); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a restore on a follower: %v", err)
	}

	reader, writer := io.Pipe()
	restored := make(chan error, 1)
	go func() { restored <- leader.Restore(g.within(20*time.Second), meta, reader) }()
	_, err = writer.Write(content[:4]) // raft is reading the state now
	must(t, err)
	if _, err := leader.Propose(g.within(300*time.Millisecond), []byte("once meanwhile")); !errors.Is(err, ErrNotApplied) || !errors.Is(err, ErrNotReady) {
		t.Errorf("a proposal meanwhile: %v", err)
	}
	if _, err := leader.ReadIndex(g.within(300 * time.Millisecond)); !errors.Is(err, ErrNotReady) {
		t.Errorf("a read index meanwhile: %v", err)
	}
	_, err = writer.Write(content[4:])
	must(t, err)
	must(t, writer.Close())
	must(t, <-restored)

	if !leader.Ready() || leader.machine.visible.Load() < leader.Status().Commit {
		t.Errorf("after the restore: %+v", leader.Status())
	}
	leader.propose(t, "once after")
	for _, m := range g.members {
		eventually(t, m.id+" has what follows", func() bool { return slices.Contains(m.machine.requests(), "once after") })
		got := m.machine.requests()
		if got[0] != "restored" || strings.Contains(strings.Join(got, ","), "before") {
			t.Errorf("%s holds %q", m.id, got)
		}
	}
	if index, err := g.followers(leader)[0].ReadIndex(g.within(5 * time.Second)); err != nil || index < leader.machine.visible.Load() {
		t.Errorf("read index %d, %v", index, err)
	}
	g.agree()
}
