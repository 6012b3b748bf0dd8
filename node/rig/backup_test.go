package rig

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coffer/node"
)

// backUp takes a backup of every node under load, verifies it without a
// node, restores it into a new cluster, and finds there what the books say.
func backUp(t *testing.T, c *Cluster, l *Load, _ *rand.Rand, count int) {
	for round := range count {
		l.Start(4, 1)
		l.AwaitProgress(300)
		for i, n := range c.Nodes {
			if !soaking && i != round%len(c.Nodes) {
				continue
			}
			before := l.Acked()
			path := filepath.Join(c.dir, "backup")
			mustRun(t, "backup", "create", "--data-dir", n.Dir, path)
			if i == 0 && l.Acked() == before && round > 0 {
				t.Errorf("seed %d: nothing was written while the backup was taken", l.Seed)
			}
			verified := reportOf(t, mustRun(t, "backup", "verify", path))
			if !verified.Verified || verified.Entries < l.height {
				t.Errorf("seed %d: %s: %+v", l.Seed, n.ID, verified)
			}
			if i == round%len(c.Nodes) {
				c.restored(l, path, verified)
			}
			checkDamage(t, path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			l.AwaitProgress(20)
		}
		l.Stop()
		l.Settle()
		c.Agree(l)
	}
}

func reportOf(t testing.TB, output string) (r node.BackupReport) {
	t.Helper()
	begin, end := strings.Index(output, "{"), strings.LastIndex(output, "}")
	if begin < 0 || json.Unmarshal([]byte(output[begin:end+1]), &r) != nil {
		t.Fatalf("no report: %s", output)
	}
	return r
}

// restored makes a new cluster of a backup: another id, a higher epoch, the same
// chain and the same money.
func (c *Cluster) restored(l *Load, path string, r node.BackupReport) {
	c.t.Helper()
	second := path + ".again"
	n := &Node{ID: "restored", Dir: filepath.Join(c.dir, "r"), HTTP: c.address(249), t: c.t}
	mustRun(c.t, "backup", "restore", "--data-dir", n.Dir, path)
	check(c.t, os.MkdirAll(n.File("secrets"), 0o700))
	for _, name := range []string{"chain.salt", "jwt.key"} { // what an operator has kept apart
		copyFile(c.t, filepath.Join(c.Nodes[0].File("secrets"), name), filepath.Join(n.File("secrets"), name))
	}
	defer func() {
		n.Kill()
		check(c.t, errors.Join(os.RemoveAll(n.Dir), os.RemoveAll(second)))
	}()
	n.Start()
	status, err := n.Status()
	if err != nil || status.ClusterID == r.ClusterID {
		c.t.Errorf("the restored node: %+v, %v", status, err)
	}
	head := l.Head(n)
	if head.Height != r.Entries || head.Hash != r.Head {
		c.t.Errorf("the chain of the restored node is %+v, the backup has %d entries up to %s", head, r.Entries, r.Head)
	}
	n.Stop()
	VerifyFiles(c.t, n)
	n.Start()
	again, err := Copy(c.t.Context(), n, second)
	if err != nil || again.Epoch <= r.Epoch {
		c.t.Errorf("the copy of the restored node has epoch %d, that of the backup %d: %v", again.Epoch, r.Epoch, err)
	}
	again = reportOf(c.t, mustRun(c.t, "backup", "verify", second))
	if len(again.Sums) == 0 || len(again.Sums) != len(r.Sums) || again.Sums[0] != r.Sums[0] || again.Head != r.Head {
		c.t.Errorf("the restored node has %+v and head %s, the backup %+v and %s", again.Sums, again.Head, r.Sums, r.Head)
	}
}

// checkDamage flips one byte in the middle: verify must refuse the file.
func checkDamage(t testing.TB, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 1)
	if _, err = file.ReadAt(one, info.Size()/2); err == nil {
		one[0] ^= 0x10
		_, err = file.WriteAt(one, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if code, out := Run(t, "backup", "verify", path); code == 0 {
		t.Errorf("a damaged backup verifies: %s", out)
	}
}
