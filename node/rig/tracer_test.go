package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// persistent are the system calls that change what is on disk. What a crash
// leaves behind is decided by those that were made, so a crash between two of
// them is a crash at any place of the program in between.
const persistent = "pwrite64,write,fdatasync,fsync,ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,mkdirat,linkat"

// tracing tells how to run a tracer here, or skips the test.
func tracing(t testing.TB) string {
	t.Helper()
	tracer, err := exec.LookPath("strace")
	if err != nil {
		t.Skipf("no process can be killed at a system call here: %v", err)
	}
	probe := exec.Command(tracer, "-f", "-e", "trace=write", "-e", "inject=write:signal=KILL:when=1", "sh", "-c", "echo no")
	if out, err := probe.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("killed by SIGKILL")) {
		t.Skipf("no process can be killed at a system call here: %v: %s", err, out)
	}
	if out := attach(t, tracer); !strings.Contains(out, "attached") {
		t.Skipf("no tracer can be attached to a running process here: %s", out)
	}
	return tracer
}

// attach traces another process until it ends, and returns what the tracer said.
func attach(t testing.TB, tracer string) string {
	t.Helper()
	other := exec.Command("sleep", "60")
	check(t, other.Start())
	attached := exec.Command(tracer, "-p", strconv.Itoa(other.Process.Pid))
	var out trace
	attached.Stdout, attached.Stderr = &out, &out
	check(t, attached.Start())
	ended := make(chan error, 1)
	go func() { ended <- attached.Wait() }()
	over := false
	Eventually(t, "a tracer is attached or refused", func() bool {
		select {
		case <-ended:
			over = true
		default:
		}
		return over || strings.Contains(out.String(), "attached")
	})
	check(t, other.Process.Kill())
	_ = other.Wait() // it was killed
	if !over {
		<-ended
	}
	return out.String()
}

// killAt makes a tracer kill a process when one of its threads begins the n-th
// call of a name. The call itself does not happen any more.
func killAt(call string, nth int) []string {
	return []string{"-f", "-y", "-s", "0", "-e", "trace=" + persistent, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, nth)}
}

// trace is what a tracer has written.
type trace struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *trace) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *trace) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// place is a traced call: what was about to happen to which file.
type place struct {
	thread, call, file string
	meta               bool // the page that makes a transaction valid
	dead               bool // the process was killed at it
}

var (
	callLine  = regexp.MustCompile(`(?m)^(?:\[pid +(\d+)\] |(\d+) +)?([a-z0-9]+)\((.*)$`)
	fileOf    = regexp.MustCompile(`^\d+<([^>]*)>`)
	quoted    = regexp.MustCompile(`"([^"]*)"`)
	offsets   = regexp.MustCompile(`, (\d+), (\d+)(?:\)| <)`)
	numbers   = regexp.MustCompile(`[0-9]+`)
	namedFile = regexp.MustCompile(`(received|spool|lock)-?[0-9]+`)
)

// placesOf reads a trace: the calls that touch files below a directory, in the
// order in which they began.
func placesOf(text, dir string) (places []place) {
	for line := range strings.Lines(text) {
		found := callLine.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		p := place{thread: found[1] + found[2], call: found[3]}
		path := ""
		if file := fileOf.FindStringSubmatch(found[4]); file != nil {
			path = file[1]
		} else if names := quoted.FindAllStringSubmatch(found[4], -1); len(names) > 0 {
			path = names[len(names)-1][1]
		}
		path = strings.TrimSuffix(path, " (deleted)")
		relative, err := filepath.Rel(dir, path)
		if err != nil || strings.HasPrefix(relative, "..") {
			continue
		}
		p.file = namedFile.ReplaceAllString(relative, "$1")
		if at := offsets.FindStringSubmatch(found[4]); at != nil && p.call == "pwrite64" {
			offset, err := strconv.ParseInt(at[2], 10, 64)
			p.meta = err == nil && offset < int64(2*os.Getpagesize())
		}
		p.dead = strings.Contains(line, "= ?") || strings.Contains(line, "<unfinished ...>")
		places = append(places, p)
	}
	return places
}

// siteOf names the call at which a process was killed. Only calls of the name
// that was to be hit come into question.
func siteOf(text, dir, call string) (site string, ok bool) {
	if !strings.Contains(text, "killed by SIGKILL") {
		return "", false
	}
	places := placesOf(text, dir)
	for i, p := range slices.Backward(places) {
		if p.call != call || !p.dead {
			continue
		}
		return p.name(places[:i]), true
	}
	return "", false
}

// name says in words what was about to happen, which for a sync depends on what
// was written before.
func (p place) name(before []place) string {
	switch p.call {
	case "pwrite64":
		if p.meta {
			return p.file + ": write the meta page"
		}
		return p.file + ": write a page"
	case "fdatasync", "fsync":
		for _, earlier := range slices.Backward(before) {
			if earlier.file == p.file && earlier.call == "pwrite64" {
				if earlier.meta {
					return p.file + ": sync the meta page"
				}
				return p.file + ": sync the pages"
			}
		}
		return p.file + ": sync"
	case "rename", "renameat", "renameat2":
		return p.file + ": rename to it"
	case "unlink", "unlinkat":
		return p.file + ": remove"
	case "ftruncate", "fallocate":
		return p.file + ": grow"
	case "mkdirat":
		return p.file + ": make the directory"
	}
	return p.file + ": write"
}
