package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"coffer/store"
)

// exchange is the snapshot store of an appliance, with peers.
func (a *appliance) exchange(t testing.TB) *Virtual {
	t.Helper()
	v := NewExchange(a.config())
	_, err := Clean(v.config.Dir)
	must(t, err)
	return v
}

func (a *appliance) config() Config {
	return Config{
		DB: a.db, Schema: a.schema, Stamp: []byte(testCluster + "/" + a.node), Dir: filepath.Join(a.dir, "snap"),
		Source: a.source(), Newest: 1, Logger: slog.New(slog.DiscardHandler),
	}
}

// state is everything a database holds, as the SHA-256 of its stream.
func (a *appliance) state(t testing.TB) [32]byte {
	t.Helper()
	_, summary := a.stream(t)
	return summary.SHA256
}

// pair is a sender that is ahead and a receiver behind it.
func pair(t testing.TB, ahead, behind int) (sender, receiver *appliance) {
	t.Helper()
	sender = newBank(t).appliance(t, t.TempDir(), "node-1")
	sender.entries(t, ahead, never)
	receiver = newBank(t).appliance(t, t.TempDir(), "node-2")
	if behind > 0 {
		receiver.entries(t, behind, never)
	}
	return sender, receiver
}

// transfer does what raft does: open on one side, copy into a sink of the other.
func transfer(t testing.TB, from, to *Virtual) (raft.SnapshotSink, error) {
	t.Helper()
	meta, stream, err := from.Open(virtualID)
	must(t, err)
	defer stream.Close()
	into, err := to.Create(meta.Version, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	must(t, err)
	n, err := io.Copy(into, stream)
	if err != nil {
		return into, errors.Join(err, into.Cancel())
	}
	if n != meta.Size {
		t.Fatalf("%d bytes were sent, %d announced", n, meta.Size)
	}
	return into, into.Close()
}

// restored is raft's way from a closed sink to the machine's Restore.
func restored(t testing.TB, v *Virtual, into raft.SnapshotSink) (store.Applied, error) {
	t.Helper()
	_, source, err := v.Open(into.ID())
	must(t, err)
	defer source.Close()
	return Install(&wrapped{source})
}

// wrapped is a stream as raft wraps it.
type wrapped struct{ io.ReadCloser }

func (w *wrapped) WrappedReadCloser() io.ReadCloser { return w.ReadCloser }

func TestAFollowerFarBehindIsInstalled(t *testing.T) {
	for name, behind := range map[string]int{"empty": 0, "behind": 40, "level": 150} {
		t.Run(name, func(t *testing.T) {
			one, two := pair(t, 150, behind)
			from, to := one.exchange(t), two.exchange(t)
			into, err := transfer(t, from, to)
			must(t, err)
			if list, err := to.List(); err != nil || len(list) > 0 && list[0].Index != uint64(behind) {
				t.Fatalf("listed before it was installed: %v, %v", list, err)
			}
			applied, err := restored(t, to, into)
			must(t, err)
			if applied.Index != 150 || !applied.Installed || applied.Epoch != 3 || applied.Term != 2 {
				t.Errorf("installed %+v", applied)
			}
			list, err := to.List()
			must(t, err)
			if len(list) != 1 || list[0].Index != 150 || list[0].Term != 2 || len(list[0].Configuration.Servers) != 1 {
				t.Errorf("listed %+v", list)
			}
			if one.state(t) != two.state(t) {
				t.Error("the states differ")
			}
			if left := files(t, to.config.Dir); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
			if left := files(t, from.config.Dir); len(left) > 0 {
				t.Errorf("the sender has left %v", left)
			}
			continued(t, one, two)
		})
	}
}

// continued applies the same entries to both and expects the same state.
func continued(t *testing.T, one, two *appliance) {
	t.Helper()
	seed := one.random.Uint64()
	for _, a := range []*appliance{one, two} {
		a.random = newSeeded(seed)
		a.entries(t, 30, never)
	}
	if one.state(t) != two.state(t) {
		t.Error("the states went apart")
	}
}

func TestASenderFlushesFirst(t *testing.T) {
	one, two := pair(t, 20, 0)
	one.entry(t)
	if one.db.Durable() != 20 {
		t.Fatal("the entry was flushed by itself")
	}
	into, err := transfer(t, one.exchange(t), two.exchange(t))
	must(t, err)
	if applied, err := restored(t, into.(*sink).virtual, into); err != nil || applied.Index != 21 {
		t.Errorf("installed %d, %v", applied.Index, err)
	}
}

// receive hands a stream to a sink as raft would, announced as given.
func receive(t testing.TB, to *Virtual, stream []byte, meta raft.SnapshotMeta) error {
	t.Helper()
	into, err := to.Create(1, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	must(t, err)
	if _, err := io.Copy(into, bytes.NewReader(stream)); err != nil {
		return errors.Join(err, into.Cancel())
	}
	return into.Close()
}

func TestWhatCannotBeInstalledIsRefusedWhenItIsReceived(t *testing.T) {
	one, two := pair(t, 60, 10)
	to := two.exchange(t)
	before := two.state(t)
	stream, _ := one.stream(t)
	meta := raft.SnapshotMeta{Index: 60, Term: 2, Configuration: members("node-1"), ConfigurationIndex: 1}
	meta.Configuration.Servers[0].Address = "127.0.0.1:1"
	parts := func(edit func([]part) []part) []byte { return join(edit(split(t, stream))) }
	announced := func(edit func(*raft.SnapshotMeta)) raft.SnapshotMeta { m := meta; edit(&m); return m }
	for name, c := range map[string]struct {
		stream []byte
		meta   raft.SnapshotMeta
		want   error
		text   string
	}{
		"cut off":             {stream[:len(stream)-20], meta, errCutOff, ""},
		"bytes behind it":     {append(bytes.Clone(stream), 'x'), meta, errMore, ""},
		"one byte only":       {stream[:1], meta, errCutOff, ""},
		"something else":      {[]byte(strings.Repeat("no snapshot ", 99)), meta, errForm, ""},
		"another cluster":     {parts(rehead(func(h *Header) { h.ClusterID = "other" })), meta, ErrForeign, ""},
		"an older epoch":      {parts(rehead(func(h *Header) { h.Epoch = 2 })), meta, ErrEpoch, ""},
		"a newer program's":   {parts(rehead(func(h *Header) { h.Version = 2 })), meta, ErrNewer, ""},
		"another chain":       {parts(rehead(func(h *Header) { h.Chain.Entries++ })), meta, nil, "the header names the chain"},
		"another root":        {parts(rehead(func(h *Header) { h.Chain.Root[0]++ })), meta, nil, "the header names the chain"},
		"other sums":          {parts(reseal(func(f *Footer) { f.Sums[0].Positive++ })), meta, nil, "the rows give"},
		"no sums":             {parts(reseal(func(f *Footer) { f.Sums = nil })), meta, nil, "the rows give"},
		"an entry before":     {stream, announced(func(m *raft.SnapshotMeta) { m.Index = 59 }), errPosition, ""},
		"another term":        {stream, announced(func(m *raft.SnapshotMeta) { m.Term = 3 }), errPosition, ""},
		"other members":       {stream, announced(func(m *raft.SnapshotMeta) { m.Configuration = members("node-9") }), errPosition, ""},
		"members of later":    {stream, announced(func(m *raft.SnapshotMeta) { m.ConfigurationIndex = 9 }), errPosition, ""},
		"a bucket not known":  {parts(func(p []part) []part { return renamed(p, "zoo.animals") }), meta, nil, "unknown bucket"},
		"a damaged last part": {flipped(stream, len(stream)-3), meta, errChecksum, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := receive(t, to, c.stream, c.meta)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %v %s", err, c.want, c.text)
			}
			if left := files(t, to.config.Dir); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
	if two.state(t) != before {
		t.Error("the state changed")
	}
	must(t, receive(t, to, stream, meta))
}

func flipped(stream []byte, at int) []byte {
	stream = bytes.Clone(stream)
	stream[at] ^= 1
	return stream
}

// renamed adds a row of a bucket that sorts behind all others.
func renamed(parts []part, name string) []part {
	key, value := []byte("key"), []byte("value")
	sealed := binary.BigEndian.AppendUint32(value, crc32.Checksum([]byte(name+"\x00keyvalue"), castagnoli))
	payload := append([]byte{byte(len(name))}, name...)
	payload = binary.BigEndian.AppendUint16(payload, uint16(len(key)))
	payload = binary.BigEndian.AppendUint32(payload, uint32(len(sealed)))
	payload = append(append(payload, key...), sealed...)
	parts = reseal(func(f *Footer) { f.Counts = append(f.Counts, Count{name, 1}) })(parts)
	return slices.Insert(parts, len(parts)-2, part{rowsFrame, payload})
}

func TestACancelledTransferLeavesNothing(t *testing.T) {
	one, two := pair(t, 60, 0)
	to := two.exchange(t)
	stream, _ := one.stream(t)
	for _, length := range []int{1, 200, len(stream) / 2, len(stream)} {
		into, err := to.Create(1, 60, 2, members("node-1"), 1, nil)
		must(t, err)
		_, _ = into.Write(stream[:length]) // may be refused already
		must(t, into.Cancel())
		must(t, into.Cancel())
		if left := files(t, to.config.Dir); len(left) > 0 {
			t.Errorf("%v is left after %d bytes", left, length)
		}
	}
	into, err := to.Create(1, 60, 2, members("node-1"), 1, nil)
	must(t, err)
	must(t, into.Cancel())
	must(t, into.Close())
	if into.ID() != virtualID {
		t.Errorf("a snapshot without bytes is called %s", into.ID())
	}
}

// TestAReceivedStateThatIsNotInstalled is dropped by the next one, by the end
// of Restore, or by Clean.
func TestAReceivedStateThatIsNotInstalled(t *testing.T) {
	one, two := pair(t, 30, 0)
	from, to := one.exchange(t), two.exchange(t)
	_, err := transfer(t, from, to)
	must(t, err)
	second, err := transfer(t, from, to)
	must(t, err)
	if left := files(t, to.config.Dir); len(left) != 1 {
		t.Errorf("%v is there after two transfers", left)
	}
	_, source, err := to.Open(second.ID())
	must(t, err)
	if _, err := source.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read: %v", err)
	}
	must(t, source.Close())
	if left := files(t, to.config.Dir); len(left) != 0 {
		t.Errorf("%v is there after the source was closed", left)
	}
	if _, _, err := to.Open(second.ID()); err == nil {
		t.Error("opened twice")
	}
	_, err = transfer(t, from, to)
	must(t, err)
	left, err := Clean(to.config.Dir)
	must(t, err)
	if len(left.Files) != 1 || left.Install != nil {
		t.Errorf("cleaned %+v", left)
	}
}

func TestAnInstallNeverGoesBack(t *testing.T) {
	one, two := pair(t, 30, 0)
	from, to := one.exchange(t), two.exchange(t)
	into, err := transfer(t, from, to)
	must(t, err)
	two.random = newSeeded(4)
	two.entries(t, 31, never)
	before := two.state(t)
	if _, err := restored(t, to, into); !errors.Is(err, store.ErrBehind) {
		t.Errorf("%v", err)
	}
	if two.state(t) != before || len(files(t, to.config.Dir)) > 0 {
		t.Errorf("the state changed, or files are left: %v", files(t, to.config.Dir))
	}
	two.entries(t, 5, never)
}

// TestAnOperatorsRestore is a container that raft puts above the log, with the
// members of now, in a new epoch.
func TestAnOperatorsRestore(t *testing.T) {
	one, _ := pair(t, 30, 0)
	old, _ := one.stream(t)
	one.entries(t, 50, never)
	v := one.exchange(t)
	now := members("node-1", "node-2", "node-3")
	into, err := v.Create(1, 82, 7, now, 70, nil)
	must(t, err)
	_, err = io.Copy(into, bytes.NewReader(old))
	must(t, err)
	must(t, into.Close())
	applied, err := restored(t, v, into)
	must(t, err)
	if applied.Index != 82 || applied.Term != 7 || applied.Epoch != 4 || applied.MembershipIndex != 70 || !applied.Installed {
		t.Errorf("installed %+v", applied)
	}
	list, err := v.List()
	must(t, err)
	if len(list[0].Configuration.Servers) != 3 {
		t.Errorf("members %+v", list[0].Configuration)
	}
	view := one.db.Latest()
	defer view.Close()
	if length := one.journal.Length(view); length != 30 {
		t.Errorf("%d rows, want those of the container", length)
	}
}

func TestASnapshotNeedsRoom(t *testing.T) {
	one, _ := pair(t, 30, 0)
	c := one.config()
	c.free = func() (int64, error) { return 100, nil }
	v := NewExchange(c)
	_, err := Clean(c.Dir)
	must(t, err)
	if _, _, err := v.Open(virtualID); !errors.Is(err, ErrNoSpace) {
		t.Errorf("%v", err)
	}
}

// TestAStopEndsACopyForAPeer: raft waits for the copy, and a whole state takes
// longer than a stop may.
func TestAStopEndsACopyForAPeer(t *testing.T) {
	one, _ := pair(t, 30, 0)
	c := one.config()
	_, err := Clean(c.Dir)
	must(t, err)
	var v *Virtual
	c.free = func() (int64, error) { // the last that is asked before copying
		v.Stop()
		return 1 << 40, nil
	}
	v = NewExchange(c)
	if _, _, err := v.Open(virtualID); !errors.Is(err, context.Canceled) {
		t.Errorf("a copy goes on behind the end: %v", err)
	}
}

func TestOnlyWhatWasReceivedIsInstalled(t *testing.T) {
	one, _ := pair(t, 30, 0)
	_, stream, err := one.exchange(t).Open(virtualID)
	must(t, err)
	defer stream.Close()
	for _, source := range []io.ReadCloser{stream, &wrapped{stream}, io.NopCloser(strings.NewReader("x"))} {
		if _, err := Install(source); err == nil {
			t.Errorf("installed %T", source)
		}
	}
}
