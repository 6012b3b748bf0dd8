package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Leftover is what a process that ended in the middle of something has left.
type Leftover struct {
	Files   []string // names that were removed
	Install *Marker  // an install had begun; the state file says whether it ended
}

// Clean makes the directory of a Config, or empties it. It is called before the
// database is opened. Nothing in there is needed: a state that was received and
// not moved into place was acknowledged to nobody, and one that was moved is
// complete, since it was durable and verified before.
func Clean(dir string) (Leftover, error) {
	var left Leftover
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return left, fmt.Errorf("clean up snapshots: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return left, fmt.Errorf("clean up snapshots: %w", err)
	}
	left.Install = readMarker(filepath.Join(dir, markerFile))
	var failures []error
	for _, entry := range entries {
		left.Files = append(left.Files, entry.Name())
		failures = append(failures, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	failures = append(failures, syncDir(dir), syncDir(filepath.Dir(filepath.Clean(dir))))
	if err := errors.Join(failures...); err != nil {
		return left, fmt.Errorf("clean up snapshots: %w", err)
	}
	return left, nil
}

// readMarker returns the marker of an install, nil if there is none. It is only
// told to the operator, so one that cannot be read is an empty one.
func readMarker(path string) *Marker {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	m := new(Marker)
	if json.Unmarshal(text, m) != nil {
		return new(Marker)
	}
	return m
}
