package node

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// modeOf is the mode of what lies at a path.
func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestTheAdminSocketIsNeverOpenToOthers makes it in a directory that everybody
// may enter, under a mask that forbids nothing.
func TestTheAdminSocketIsNeverOpenToOthers(t *testing.T) { // not parallel: the mask is the process's
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	born, err := listenAlone(filepath.Join(dir, "born.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer born.Close()
	if mode := modeOf(t, filepath.Join(dir, "born.sock")); mode&0o077 != 0 {
		t.Errorf("the socket is born with mode %v", mode)
	}
	if mask := syscall.Umask(0); mask != 0 {
		t.Errorf("the mask %o stays", mask)
	}
	path := filepath.Join(dir, adminSocket)
	if err := os.WriteFile(path, nil, 0o666); err != nil { // as a crash leaves one
		t.Fatal(err)
	}
	socket, err := listenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := modeOf(t, path); mode != 0o600 {
		t.Errorf("the socket has mode %v", mode)
	}
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
}

// What is no socket of ours is not removed with all it holds.
func TestADirectoryInThePlaceOfTheSocketStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), adminSocket)
	if err := os.MkdirAll(filepath.Join(path, "kept"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := listenSocket(path); !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
		t.Errorf("listen: %v", err)
	}
	if _, err := os.Stat(filepath.Join(path, "kept")); err != nil {
		t.Error(err)
	}
}
