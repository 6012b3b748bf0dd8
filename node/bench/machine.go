package bench

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Machine says where figures come from; without it they mean nothing.
type Machine struct {
	CPU         string     `json:"cpu"`
	Cores       int        `json:"cores"`
	MemoryBytes int64      `json:"memoryBytes"`
	System      string     `json:"system"` // operating system, kernel, architecture
	Directory   string     `json:"directory"`
	Filesystem  Filesystem `json:"filesystem"`
	Go          string     `json:"go"`
	PulseBefore Pulse      `json:"pulseBefore"`
	PulseAfter  Pulse      `json:"pulseAfter"`
}

// Filesystem is the one that holds the data of a run.
type Filesystem struct {
	Type   string `json:"type"`
	Device string `json:"device"`
}

// Pulse is the speed of the machine at one moment. Shared machines change
// theirs; two pulses tell a slow program from a slow hour.
type Pulse struct {
	HashMegabytesPerSecond float64 `json:"hashMegabytesPerSecond"` // SHA-256, one core
	SyncP50Millis          float64 `json:"syncP50Millis"`          // fsync of 4 KiB
	SyncP99Millis          float64 `json:"syncP99Millis"`
}

// String is the pulse in a few words.
func (p Pulse) String() string {
	return fmt.Sprintf("fsync p50 %.2f ms, p99 %.2f ms, SHA-256 %.0f MB/s",
		p.SyncP50Millis, p.SyncP99Millis, p.HashMegabytesPerSecond)
}

// describeMachine names the machine and takes its pulse in dir. What the
// system does not tell is "unknown" or zero.
func describeMachine(dir string) (Machine, error) {
	pulse, err := takePulse(dir)
	if err != nil {
		return Machine{}, err
	}
	return Machine{
		CPU:         valueAfter("/proc/cpuinfo", "model name"),
		Cores:       runtime.NumCPU(),
		MemoryBytes: totalMemory(),
		System:      runtime.GOOS + " " + kernelRelease() + " " + runtime.GOARCH,
		Directory:   dir,
		Filesystem:  filesystemOf(dir),
		Go:          runtime.Version(),
		PulseBefore: pulse,
	}, nil
}

const (
	pulseSyncs = 200
	pulseTime  = 100 * time.Millisecond // spent hashing
)

func takePulse(dir string) (Pulse, error) {
	file, err := os.CreateTemp(dir, "pulse-")
	if err != nil {
		return Pulse{}, fmt.Errorf("measure fsync: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	var syncs histogram
	block := make([]byte, 4<<10)
	for range pulseSyncs {
		begun := time.Now()
		if _, err := file.Write(block); err != nil {
			return Pulse{}, fmt.Errorf("measure fsync: %w", err)
		}
		if err := file.Sync(); err != nil {
			return Pulse{}, fmt.Errorf("measure fsync: %w", err)
		}
		syncs.record(time.Since(begun))
	}
	large, hashed, begun := make([]byte, 1<<20), 0, time.Now()
	for time.Since(begun) < pulseTime {
		sha256.Sum256(large)
		hashed++
	}
	return Pulse{
		HashMegabytesPerSecond: float64(hashed) / time.Since(begun).Seconds(),
		SyncP50Millis:          millis(syncs.percentile(0.50)),
		SyncP99Millis:          millis(syncs.percentile(0.99)),
	}, nil
}

// valueAfter returns the text after "name:" in the first line that has it.
func valueAfter(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		before, after, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(before) == name {
			return strings.TrimSpace(after)
		}
	}
	return "unknown"
}

func totalMemory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	kilobytes, _ := numberAfter(text, "MemTotal:")
	return kilobytes << 10
}

func kernelRelease() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(text))
}

func filesystemOf(dir string) Filesystem {
	unknown := Filesystem{Type: "unknown", Device: "unknown"}
	path, err := filepath.Abs(dir)
	if err != nil {
		return unknown
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return unknown
	}
	return mountOf(path, mounts)
}

// mountOf finds the mount that holds path: the last of those with the longest
// mount point. A line is "id parent device root point options … - type source …".
func mountOf(path string, mounts []byte) Filesystem {
	found, longest := Filesystem{Type: "unknown", Device: "unknown"}, 0
	lines := bufio.NewScanner(bytes.NewReader(mounts))
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 2 {
			continue
		}
		point := left[4]
		inside := point == "/" || path == point || strings.HasPrefix(path, point+"/")
		if inside && len(point) >= longest {
			found, longest = Filesystem{Type: right[0], Device: right[1]}, len(point)
		}
	}
	return found
}
