package snapshot

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCleanMakesAndEmptiesTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	left, err := Clean(dir)
	must(t, err)
	if len(left.Files) > 0 || left.Install != nil {
		t.Errorf("found %+v in a new directory", left)
	}
	must(t, os.WriteFile(filepath.Join(dir, "spool-1"), []byte("x"), 0o600))
	must(t, writeMarker(dir, Marker{Index: 7, Term: 3, SHA256: "ab"}))
	left, err = Clean(dir)
	must(t, err)
	if len(left.Files) != 2 || left.Install == nil || left.Install.Index != 7 || left.Install.Term != 3 {
		t.Errorf("found %+v", left)
	}
	must(t, os.WriteFile(filepath.Join(dir, markerFile), []byte("{"), 0o600))
	if left, err = Clean(dir); err != nil || left.Install == nil || left.Install.Index != 0 {
		t.Errorf("found %+v, %v", left, err)
	}
	if names := files(t, dir); len(names) > 0 {
		t.Errorf("%v is left", names)
	}
}
