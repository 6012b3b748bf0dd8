package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestOneOfManyKeysOfOneNameIsMade makes keys at the same time: whoever is told
// that one was made finds that one.
func TestOneOfManyKeysOfOneNameIsMade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	recipients, failures := make([]string, 8), make([]error, 8)
	var makers sync.WaitGroup
	for i := range recipients {
		makers.Go(func() { recipients[i], failures[i] = MakeBackupKey(path) })
	}
	makers.Wait()
	made := ""
	for i, err := range failures {
		var refusal *RefusedError
		switch {
		case err == nil && made == "":
			made = recipients[i]
		case err == nil:
			t.Errorf("two keys are made in one file")
		case !errors.As(err, &refusal):
			t.Errorf("key %d: %v", i, err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(text, []byte("# recipient: "+made+"\n")) {
		t.Errorf("the file holds another key; %v", err)
	}
}

// copyOf is a backup of a node, and the entry whose state it is.
func copyOf(t *testing.T, h *hosted) (container []byte, index uint64) {
	t.Helper()
	var to bytes.Buffer
	summary, err := h.snaps.Backup(t.Context(), &to, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return to.Bytes(), summary.Header.Index
}

// TestBackupsOfOneEntryAreEqual wants the same bytes of two backups of one state,
// from one node and from two: auditors compare their hashes. A node may write
// between two backups by itself, so it is tried until the entries are the same.
func TestBackupsOfOneEntryAreEqual(t *testing.T) {
	t.Parallel()
	c, nodes := hostCluster(t)
	for _, h := range nodes {
		defer h.end(t)
	}
	c.promoteBoth()
	client := newClient(nodes["node-1"].URL())
	defer client.close()
	newLoad(t, client, 1, 2, 1)
	for _, pair := range [][2]*hosted{{nodes["node-1"], nodes["node-1"]}, {nodes["node-1"], nodes["node-2"]}} {
		eventually(t, "two backups of one entry", func() bool {
			first, at := copyOf(t, pair[0])
			second, then := copyOf(t, pair[1])
			if at != then {
				return false
			}
			if !bytes.Equal(first, second) {
				t.Errorf("two backups of entry %d differ", at)
			}
			return true
		})
	}
}
