package node

import (
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
)

// A file system that does not say how much room there is has neither none nor
// endlessly much.
func TestTheRoomOnADiskThatDoesNotSayIsWhatItWas(t *testing.T) {
	log := &journalled{}
	d := newDisk(t.TempDir(), 1<<20, slog.New(slog.NewJSONHandler(log, nil)))
	broken := false
	d.ask = func(_ string, s *syscall.Statfs_t) error {
		if broken {
			return syscall.EIO
		}
		s.Bavail, s.Bsize = 1000, 4096
		return nil
	}
	broken = true
	if err := d.board(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a start that knows nothing of the room: %v", err)
	}
	broken = false
	if err := d.board(); err != nil {
		t.Fatal(err)
	}
	broken = true
	for range 3 {
		if got := d.free(); got != 4096_000 || d.full() || !d.low() {
			t.Errorf("%d bytes are free, full %v, low %v", got, d.full(), d.low())
		}
	}
	broken = false
	d.free()
	if got := strings.Count(log.String(), "is not known"); got != 1 {
		t.Errorf("it was said %d times that the room is not known:\n%s", got, log)
	}
	if got := strings.Count(log.String(), "is known again"); got != 1 {
		t.Errorf("it was said %d times that the room is known again:\n%s", got, log)
	}
}
