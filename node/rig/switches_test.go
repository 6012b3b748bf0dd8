package rig

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReleasesHaveNoSwitches: what tests may switch in a program is only in files
// that a release is built without.
func TestReleasesHaveNoSwitches(t *testing.T) {
	root, switched := filepath.Join("..", ".."), 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "rig" || path != root && strings.HasPrefix(name, ".")):
			return fs.SkipDir
		case entry.IsDir(), !strings.HasSuffix(name, ".go"), strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("COFFER_TEST_")) {
			return err
		}
		switched++
		if !bytes.HasPrefix(text, []byte("//go:build rig\n")) {
			t.Errorf("%s has a switch for tests and no tag rig", path)
		}
		return nil
	})
	if err != nil || switched == 0 {
		t.Errorf("%d files have switches, %v", switched, err)
	}
}
