package bench

import (
	"os"
	"runtime"
	"testing"
)

func TestMountOf(t *testing.T) {
	mounts := []byte(`22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:30 / /tmp rw shared:2 - tmpfs tmpfs rw
31 22 8:1 /sub /data rw - xfs /dev/old rw
32 31 8:2 / /data rw master:1 - xfs /dev/sdb1 rw
malformed
`)
	for path, want := range map[string]Filesystem{
		"/": {"ext4", "/dev/root"}, "/home/a": {"ext4", "/dev/root"}, "/tmp": {"tmpfs", "tmpfs"},
		"/tmp/x/y": {"tmpfs", "tmpfs"}, "/tmpfile": {"ext4", "/dev/root"}, "/data/db": {"xfs", "/dev/sdb1"},
	} {
		if got := mountOf(path, mounts); got != want {
			t.Errorf("%s is on %v, want %v", path, got, want)
		}
	}
	if got := mountOf("/x", nil); got.Type != "unknown" {
		t.Errorf("without mounts: %v", got)
	}
}

func TestDescribeMachine(t *testing.T) {
	dir := t.TempDir()
	got, err := describeMachine(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Cores < 1 || got.PulseBefore.HashMegabytesPerSecond <= 0 || got.PulseBefore.SyncP50Millis <= 0 {
		t.Errorf("%+v", got)
	}
	if runtime.GOOS == "linux" && (got.MemoryBytes <= 0 || got.Filesystem.Type == "unknown" || got.CPU == "") {
		t.Errorf("linux tells more than %+v", got)
	}
	assertEmpty(t, dir)
	if _, err := describeMachine(dir + "/absent"); err == nil {
		t.Error("a directory that does not exist has a pulse")
	}
}

func TestProcessFigures(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("figures come from /proc")
	}
	ballast := make([]byte, 32<<20)
	for i := range ballast {
		ballast[i] = 1
	}
	if got := anonymousMemory(os.Getpid()); got < 32<<20 {
		t.Errorf("anonymous memory %d with 32 MiB in use", got)
	}
	runtime.KeepAlive(ballast)
	before := cpuSeconds("self")
	waitFor(t, "processor time to pass", func() bool {
		for i := range ballast {
			ballast[i]++
		}
		return cpuSeconds("self") > before
	})
	if anonymousMemory(-1) != 0 || cpuSeconds("none") != 0 {
		t.Error("a process that does not exist has figures")
	}
}
