package node

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// foreignCase is a directory that does not belong together, and what is said
// about it. A reason to start is empty where a node serves as before.
type foreignCase struct {
	name   string
	image  dirImage
	start  string
	verify string // reason; empty where verify is content
}

func foreignCases(t *testing.T, s, other *specimen) []foreignCase {
	text := fileImage{[]byte(strings.Repeat("these are not the files you are looking for\n", 300)), 13200}
	zeros := fileImage{nil, 1 << 20}
	empty := fileImage{}
	bolt := foreignBolt(t)
	salt, node := filepath.Join(secretsDir, saltFile), identityFile
	wrongSalt := fileImage{[]byte("another-salt-of-at-least-32-bytes-here\n"), 39}
	ledger := fileImage{bytes.Replace(s.image[node].content, []byte("coffer.local/"), []byte("coffer.other/"), 1), s.image[node].size}
	cluster := s.image.with(node, other.image[node])
	return []foreignCase{
		{"state.db of another node", s.image.with(stateFile, other.image[stateFile]), "belongs to another data directory", "belongs to another data directory"},
		{"raft.db of another node", s.image.with(logFile, other.image[logFile]), "raft.db belongs to node", "raft.db belongs to node"},
		{"node.json of another node", cluster, "belongs to another data directory", "belongs to another data directory"},
		{"node.json with another ledger", s.image.with(node, ledger), "belongs to another data directory", "belongs to another data directory"},
		{"both databases of another node", cluster.with(node, s.image[node]).with(stateFile, other.image[stateFile]).with(logFile, other.image[logFile]),
			"belongs to another data directory", "belongs to another data directory"},
		{"another salt", s.image.with(salt, wrongSalt), "the chain was written under salt", "are under another salt than"},
		{"the salt of another node", s.image.with(salt, other.image[salt]), "the chain was written under salt", "are under another salt than"},
		{"no salt", s.image.without(salt), "has a salt already", ""},
		{"a short salt", s.image.with(salt, fileImage{[]byte("short\n"), 6}), "is damaged: it is shorter", "usage"},
		{"an older state.db", s.image.with(stateFile, s.older[stateFile]), "", "older"},
		{"an older raft.db", s.image.with(logFile, s.older[logFile]), "entries are lost", "entries are lost"},
		{"no state.db", s.image.without(stateFile), "state.db has vanished", "state.db has vanished"},
		{"no raft.db", s.image.without(logFile), "raft.db has vanished", "raft.db has vanished"},
		{"no node.json", s.image.without(node), "holds data but no node.json", "usage"},
		{"an empty state.db", s.image.with(stateFile, empty), "the file is empty", "the file is empty"},
		{"an empty raft.db", s.image.with(logFile, empty), "raft.db is empty", "raft.db is empty"},
		{"a text as state.db", s.image.with(stateFile, text), "invalid database", "invalid database"},
		{"a text as raft.db", s.image.with(logFile, text), "raft.db is damaged or not a raft log", "raft.db is damaged or not a raft log"},
		{"a text as node.json", s.image.with(node, text), "node.json is damaged", "node.json is damaged"},
		{"zeros as state.db", s.image.with(stateFile, zeros), "invalid database", "invalid database"},
		{"zeros as raft.db", s.image.with(logFile, zeros), "raft.db is damaged or not a raft log", "raft.db is damaged or not a raft log"},
		{"another program's database as state.db", s.image.with(stateFile, bolt), `unknown bucket "files"`, `unknown bucket "files"`},
		{"another program's database as raft.db", s.image.with(logFile, bolt), "raft.db is damaged or not a raft log", "raft.db is damaged or not a raft log"},
		{"the databases exchanged", s.image.with(stateFile, s.image[logFile]).with(logFile, s.image[stateFile]), "unknown bucket", "unknown bucket"},
	}
}

// foreignBolt is a healthy database of somebody else.
func foreignBolt(t *testing.T) fileImage {
	t.Helper()
	path := filepath.Join(t.TempDir(), "foreign.db")
	file, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = file.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucket([]byte("files"))
		if err != nil {
			return err
		}
		return bucket.Put([]byte("name"), []byte("value"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fileImage{content, int64(len(content))}
}

// TestForeignFiles starts and verifies directories with files that are not
// theirs: each is refused with its reason, or answers as it did.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	s, other := newSpecimen(t), newSpecimen(t)
	for _, c := range foreignCases(t, s, other) {
		t.Run(c.name, func(t *testing.T) {
			if c.start == "" {
				var counts tally
				s.try(t, c.name, c.image, &counts)
				if counts.served != 1 {
					t.Errorf("%+v, want it served", counts)
				}
			} else {
				c.refused(t)
			}
			c.verified(t, s)
		})
	}
}

// refused starts the directory: it must be refused, and left as it is.
func (c *foreignCase) refused(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	c.image.write(t, dir)
	h, err := host(t, dir)
	if err == nil {
		h.end(t)
		t.Fatal("the node starts")
	}
	if code := h.exitCode(err); code != ExitRefused || !strings.Contains(err.Error(), c.start) {
		t.Errorf("exit code %d: %v, want %d and %q", code, err, ExitRefused, c.start)
	}
	checkOutput(t, h.log.String())
	for name, file := range c.image {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || int64(len(content)) != file.size || !bytes.HasPrefix(content, file.content) {
			t.Errorf("%s was changed: %v", name, err)
		}
	}
}

func (c *foreignCase) verified(t *testing.T, s *specimen) {
	t.Helper()
	dir := t.TempDir()
	c.image.write(t, dir)
	code, report := verifyDir(t, dir)
	found := fmt.Sprint(report.Checks)
	switch {
	case c.verify == "usage":
		if code != VerifyUsage {
			t.Errorf("verify exits with %d: %s", code, found)
		}
	case c.verify == "older":
		if code != VerifyOK || report.Index >= s.report.Index {
			t.Errorf("verify exits with %d at entry %d: %s", code, report.Index, found)
		}
	case c.verify == "":
		if code != VerifyOK || report.HeadHash != s.report.HeadHash {
			t.Errorf("verify exits with %d: %s", code, found)
		}
	case code == VerifyOK || !strings.Contains(found, c.verify):
		t.Errorf("verify exits with %d: %s, want %q", code, found, c.verify)
	}
}

// TestTheProgramRefusesForeignFiles does a few of them with the real program: the
// exit code says that an operator must decide, and there is no stack trace.
func TestTheProgramRefusesForeignFiles(t *testing.T) {
	t.Parallel()
	s, other := newSpecimen(t), newSpecimen(t)
	for i, c := range foreignCases(t, s, other) {
		if c.start == "" || i%3 > 0 {
			continue
		}
		dir := t.TempDir()
		c.image.write(t, dir)
		n := launch(t, dir, unlimited)
		if code := n.wait(); code != ExitRefused || !strings.Contains(n.log.String(), c.start) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", c.name, code, ExitRefused, c.start, n.log)
		}
		n.checkLog()
	}
}
