package snapshot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"coffer/store"
)

// backup makes a container of an appliance.
func (a *appliance) backup(t testing.TB, recipients ...string) ([]byte, Summary) {
	t.Helper()
	var container bytes.Buffer
	summary, err := a.exchange(t).Backup(t.Context(), &container, recipients, nil)
	must(t, err)
	return container.Bytes(), summary
}

func (b *bank) verification() Verification {
	return Verification{Schema: b.schema, Sums: b.sums, Newest: 1}
}

func TestABackupIsTheCanonicalStream(t *testing.T) {
	one, _ := pair(t, 90, 0)
	one.entry(t) // not flushed
	var steps []string
	last := map[string]int64{}
	var container bytes.Buffer
	made, err := one.exchange(t).Backup(t.Context(), &container, nil, func(step string, done, total int64) {
		if len(steps) == 0 || steps[len(steps)-1] != step {
			steps = append(steps, step)
		}
		if done < last[step] || done > total {
			t.Errorf("%s: %d of %d after %d", step, done, total, last[step])
		}
		last[step] = done
	})
	must(t, err)
	want, summary := one.stream(t)
	if !bytes.Equal(container.Bytes(), want) || made.SHA256 != summary.SHA256 || made.Header.Index != 91 {
		t.Error("the container is another stream")
	}
	if strings.Join(steps, " ") != "copy send" || last["send"] != int64(len(want)) {
		t.Errorf("progress %v, %v", steps, last)
	}
	if left := files(t, filepath.Join(one.dir, "snap")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	header, encrypted, err := Inspect(bytes.NewReader(container.Bytes()[:2000]), nil)
	must(t, err)
	if encrypted || header.Index != 91 || header.ClusterID != testCluster {
		t.Errorf("inspected %+v", header)
	}
}

// TestABackupOfAStoppedNode reads the file alone and leaves it as it is.
func TestABackupOfAStoppedNode(t *testing.T) {
	one, _ := pair(t, 90, 0)
	want, _ := one.stream(t)
	must(t, one.db.Close())
	path := filepath.Join(one.dir, "state.db")
	before, err := os.ReadFile(path)
	must(t, err)
	db, err := store.Inspect(one.options(path, "node-1"))
	must(t, err)
	c := one.config()
	c.DB, c.Dir = db, t.TempDir()
	var container bytes.Buffer
	_, err = NewExchange(c).Backup(t.Context(), &container, nil, nil)
	must(t, errors.Join(err, db.Close()))
	after, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(container.Bytes(), want) || !bytes.Equal(before, after) {
		t.Error("another stream, or a changed file")
	}
}

func TestOneBackupAtATime(t *testing.T) {
	one, _ := pair(t, 30, 0)
	v := one.exchange(t)
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := v.Backup(context.Background(), writer, nil, nil)
		ended <- err
	}()
	_, err := io.ReadFull(reader, make([]byte, 10)) // it is under way
	must(t, err)
	if _, err := v.Backup(t.Context(), io.Discard, nil, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	gone := errors.New("the client is gone")
	must(t, reader.CloseWithError(gone))
	if err := <-ended; !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if _, err := v.Backup(t.Context(), io.Discard, nil, nil); err != nil {
		t.Errorf("after it: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Backup(ctx, io.Discard, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestVerify(t *testing.T) {
	one, _ := pair(t, 90, 0)
	container, made := one.backup(t)
	dir := t.TempDir()
	o := one.verification()
	o.Dir = dir
	looked := false
	o.Check = func(db *store.DB) error {
		v := db.Latest()
		defer v.Close()
		looked = one.journal.Length(v) == 90 && v.Applied().Epoch == 3 && !v.Applied().Installed
		return nil
	}
	summary, err := Verify(t.Context(), bytes.NewReader(container), o)
	must(t, err)
	if summary.SHA256 != made.SHA256 || !looked {
		t.Errorf("verified %x, looked %v", summary.SHA256, looked)
	}
	broken := errors.New("the books do not balance")
	o.Check = func(*store.DB) error { return broken }
	if _, err := Verify(t.Context(), bytes.NewReader(container), o); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	o.Newest = 0
	if _, err := Verify(t.Context(), bytes.NewReader(container), o); !errors.Is(err, ErrNewer) {
		t.Errorf("%v", err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestDamagedContainersAreNeverRestored cuts, flips, swaps, doubles and extends
// containers, plain and encrypted.
func TestDamagedContainersAreNeverRestored(t *testing.T) {
	one, _ := pair(t, 90, 0)
	secret, recipient, err := GenerateKey()
	must(t, err)
	plain, _ := one.backup(t)
	sealed, _ := one.backup(t, recipient)
	for name, container := range map[string][]byte{"plain": plain, "encrypted": sealed} {
		for seed := range uint64(25) {
			random := rand.New(rand.NewPCG(seed, 31))
			damaged, what := damage(random, container)
			o := one.restoration(t.TempDir())
			o.Secrets = []string{secret}
			if _, _, err := Restore(t.Context(), bytes.NewReader(damaged), o); err == nil {
				t.Errorf("%s, seed %d: restored although %s", name, seed, what)
			}
			if names := files(t, o.DataDir); len(names) > 1 || len(names) == 1 && names[0] != "snap" {
				t.Errorf("%s, seed %d: %v is left", name, seed, names)
			}
		}
	}
}

func damage(random *rand.Rand, container []byte) (damaged []byte, what string) {
	n := len(container)
	at := random.IntN(n)
	size := 1 + random.IntN(min(4096, n-at))
	switch random.IntN(5) {
	case 0:
		return container[:at], "it is cut off"
	case 1:
		damaged = bytes.Clone(container)
		damaged[at] ^= byte(1 + random.IntN(255))
		return damaged, "a byte is flipped"
	case 2:
		return append(bytes.Clone(container), container[at:at+size]...), "it is extended"
	case 3:
		return append(append(bytes.Clone(container[:at+size]), container[at:at+size]...), container[at+size:]...), "a part is there twice"
	}
	return append(bytes.Clone(container[:at]), container[at+size:]...), "a part is missing"
}

func TestEncryptedBackups(t *testing.T) {
	one, _ := pair(t, 60, 0)
	secret, recipient, err := GenerateKey()
	must(t, err)
	classic, err := age.GenerateX25519Identity()
	must(t, err)
	plain, _ := one.backup(t)
	for name, key := range map[string][2]string{"hybrid": {secret, recipient}, "classic": {classic.String(), classic.Recipient().String()}} {
		t.Run(name, func(t *testing.T) {
			sealed, made := one.backup(t, key[1])
			if bytes.Contains(sealed, []byte(testCluster)) || bytes.Contains(sealed, []byte("bank.accounts")) {
				t.Error("the container shows what is in it")
			}
			_, encrypted, err := Inspect(bytes.NewReader(sealed), nil)
			if !encrypted || !errors.Is(err, ErrEncrypted) {
				t.Errorf("without a key: %v", err)
			}
			o := one.verification()
			o.Secrets = []string{key[0]}
			summary, err := Verify(t.Context(), bytes.NewReader(sealed), o)
			must(t, err)
			if summary.SHA256 != made.SHA256 || summary.Bytes != int64(len(plain)) {
				t.Error("another stream came out")
			}
			other, _, err := GenerateKey()
			must(t, err)
			o.Secrets = []string{other}
			if _, err := Verify(t.Context(), bytes.NewReader(sealed), o); err == nil {
				t.Error("another key opened it")
			}
			o.Secrets = []string{"AGE-SECRET-KEY-1BROKEN"}
			if _, err := Verify(t.Context(), bytes.NewReader(sealed), o); err == nil || strings.Contains(err.Error(), "BROKEN") {
				t.Errorf("a broken key: %v", err)
			}
		})
	}
	if _, err := one.exchange(t).Backup(t.Context(), io.Discard, []string{"nobody"}, nil); err == nil {
		t.Error("encrypted to nobody")
	}
}

func (a *appliance) restoration(dir string) Restoration {
	return Restoration{
		DataDir: dir, Ignore: []string{"lock"}, Schema: a.schema, Stamp: []byte("cluster-2/node-9"), Sums: a.sums, Newest: 1,
		ClusterID: "cluster-2", NodeID: "node-9", Address: "127.0.0.1:9",
	}
}

func TestRestoreMakesANewCluster(t *testing.T) {
	one, _ := pair(t, 90, 0)
	container, made := one.backup(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600))
	summary, applied, err := Restore(t.Context(), bytes.NewReader(container), one.restoration(dir))
	must(t, err)
	if summary.SHA256 != made.SHA256 || applied.Index != 90 || applied.Epoch != 4 || !applied.Installed {
		t.Errorf("restored %+v", applied)
	}
	_, err = Clean(filepath.Join(dir, "snap"))
	must(t, err)
	options := one.options(filepath.Join(dir, "state.db"), "")
	options.Stamp = []byte("cluster-2/node-9")
	db, err := store.Open(options)
	must(t, err)
	two := &appliance{bank: one.bank, db: db, dir: dir, node: "node-9", random: newSeeded(3), salt: one.salt}
	defer func() { must(t, db.Close()) }()
	list, err := NewExchange(Config{DB: db}).List()
	must(t, err)
	servers := list[0].Configuration.Servers
	if len(servers) != 1 || servers[0].ID != "node-9" || servers[0].Address != "127.0.0.1:9" || list[0].ConfigurationIndex != 90 {
		t.Errorf("members %+v", list[0])
	}
	two.entries(t, 20, never) // it goes on
}

func TestRestoreRefuses(t *testing.T) {
	one, _ := pair(t, 40, 0)
	container, _ := one.backup(t)
	for name, c := range map[string]struct {
		edit func(*Restoration)
		want error
		text string
	}{
		"the same cluster by mistake":     {func(o *Restoration) { o.ClusterID = testCluster }, nil, "of cluster cluster-1 itself"},
		"the same cluster, no epoch":      {func(o *Restoration) { o.ClusterID, o.SameCluster = testCluster, true }, nil, "not above 3"},
		"the same cluster, an old epoch":  {func(o *Restoration) { o.ClusterID, o.SameCluster, o.Epoch = testCluster, true, 3 }, nil, "not above 3"},
		"the same cluster, another in it": {func(o *Restoration) { o.SameCluster, o.Epoch = true, 9 }, ErrForeign, ""},
		"a new cluster, an old epoch":     {func(o *Restoration) { o.Epoch = 2 }, nil, "not above 3"},
		"no node id":                      {func(o *Restoration) { o.NodeID = "" }, nil, "missing"},
		"no address":                      {func(o *Restoration) { o.Address = "" }, nil, "missing"},
		"an older program":                {func(o *Restoration) { o.Newest = 0 }, ErrNewer, ""},
		"no directory":                    {func(o *Restoration) { o.DataDir = filepath.Join(o.DataDir, "none") }, os.ErrNotExist, ""},
		"books that do not add up": {func(o *Restoration) {
			o.Sums = func(*store.View) ([]Sum, error) { return []Sum{{Currency: "KZT"}}, nil }
		}, nil, "the rows give"},
		"a state that does not check": {func(o *Restoration) { o.Check = func(*store.DB) error { return os.ErrInvalid } }, os.ErrInvalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := one.restoration(t.TempDir())
			dir := o.DataDir
			c.edit(&o)
			_, _, err := Restore(t.Context(), bytes.NewReader(container), o)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %v %s", err, c.want, c.text)
			}
			if _, err := os.Stat(filepath.Join(dir, "state.db")); err == nil {
				t.Error("there is a state file")
			}
		})
	}
	o := one.restoration(t.TempDir())
	o.ClusterID, o.SameCluster, o.Epoch = testCluster, true, 8
	_, applied, err := Restore(t.Context(), bytes.NewReader(container), o)
	must(t, err)
	if applied.Epoch != 8 {
		t.Errorf("epoch %d", applied.Epoch)
	}
	if _, _, err := Restore(t.Context(), bytes.NewReader(container), o); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a second time: %v", err)
	}
}

func TestCompact(t *testing.T) {
	one, _ := pair(t, 10, 0)
	filler := bytes.Repeat([]byte("x"), 3000)
	wide := func(put bool) {
		b := one.db.Begin()
		for i := range 2000 {
			id := store.ID("tmp-" + string(rune('a'+i%26)) + strings.Repeat("y", i/26))
			if put {
				one.empty.Put(b, account{ID: string(id), Owner: string(filler)})
			} else {
				one.empty.Delete(b, id)
			}
		}
		commit(one.db, b, store.Applied{Index: one.db.Published() + 1, Term: 2, Version: 1, Installed: true})
		must(t, one.db.Flush())
	}
	wide(true)
	wide(false)
	state := one.state(t)
	applied, err := one.db.DurableApplied()
	must(t, err)
	o := Compaction{DataDir: one.dir, Schema: one.schema, Stamp: []byte(testCluster + "/node-1")}
	if _, _, err := Compact(t.Context(), o); !errors.Is(err, store.ErrInUse) {
		t.Errorf("while it is open: %v", err)
	}
	must(t, one.db.Close())
	before, after, err := Compact(t.Context(), o)
	must(t, err)
	if after > before/4 || after < 4096 {
		t.Errorf("%d bytes became %d", before, after)
	}
	again := one.bank.appliance(t, one.dir, "node-1")
	now, err := again.db.DurableApplied()
	must(t, err)
	if again.state(t) != state || !bytes.Equal(store.Encode(&now), store.Encode(&applied)) {
		t.Error("the state changed")
	}
	if left := files(t, filepath.Join(one.dir, "snap")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestADamagedFileIsNotCompacted leaves the old one where it is.
func TestADamagedFileIsNotCompacted(t *testing.T) {
	one, _ := pair(t, 60, 0)
	must(t, one.db.Close())
	path := filepath.Join(one.dir, "state.db")
	content, err := os.ReadFile(path)
	must(t, err)
	at := bytes.Index(content, []byte("req-000033"))
	content[at] ^= 1
	for next := at + 1; ; next = at + 1 {
		found := bytes.Index(content[next:], []byte("req-000033"))
		if found < 0 {
			break
		}
		at = next + found
		content[at] ^= 1
	}
	must(t, os.WriteFile(path, content, 0o600))
	_, _, err = Compact(t.Context(), Compaction{DataDir: one.dir, Schema: one.schema, Stamp: []byte(testCluster + "/node-1")})
	var damage store.Corruption
	if !errors.As(err, &damage) {
		t.Errorf("%v", err)
	}
	now, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(now, content) || len(files(t, filepath.Join(one.dir, "snap"))) > 0 {
		t.Error("something changed")
	}
}
