package snapshot

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"coffer/store"
)

// crashed is what a data directory held at one moment.
type crashed struct {
	step  string
	files map[string][]byte // by path below the directory
}

func imageOf(t testing.TB, step, dir string) crashed {
	t.Helper()
	c := crashed{step: step, files: map[string][]byte{}}
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		c.files[path[len(dir)+1:]] = content
		return err
	}))
	return c
}

func (c crashed) place(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range c.files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, content, 0o600))
	}
	return dir
}

// wake starts a node on what a crash has left and tells which state it is at.
func wake(t testing.TB, b *bank, dir string) (state [32]byte, left Leftover) {
	t.Helper()
	left, err := Clean(filepath.Join(dir, "snap"))
	must(t, err)
	a := b.appliance(t, dir, "node-2")
	defer func() { must(t, a.db.Close()) }()
	v := a.db.Latest()
	defer v.Close()
	v.Check(func(p store.Problem) { t.Error(p) }, func(store.Checked) {})
	v.CheckPages(func(err error) { t.Error(err) })
	if names := files(t, filepath.Join(dir, "snap")); len(names) > 0 {
		t.Errorf("%v is left", names)
	}
	return a.state(t), left
}

// crashes are images of an install at every step, and the states around it.
func crashes(t *testing.T) (b *bank, images []crashed, before, after [32]byte) {
	t.Helper()
	one, two := pair(t, 120, 40)
	before, after = two.state(t), one.state(t)
	c := two.config()
	c.reach = func(step string) { images = append(images, imageOf(t, step, two.dir)) }
	_, err := Clean(c.Dir)
	must(t, err)
	to := NewExchange(c)
	images = append(images, imageOf(t, "nothing", two.dir))
	into, err := transfer(t, one.exchange(t), to)
	must(t, err)
	images = append(images, imageOf(t, "received", two.dir))
	_, err = restored(t, to, into)
	must(t, err)
	must(t, two.db.Close())
	return two.bank, images, before, after
}

func TestACrashLeavesTheOldStateOrTheNewOne(t *testing.T) {
	b, images, before, after := crashes(t)
	want := map[string][32]byte{"nothing": before, "received": before, "marked": before, "replaced": after, "done": after}
	if len(images) != len(want) {
		t.Fatalf("%d steps, want %d", len(images), len(want))
	}
	for _, image := range images {
		got, left := wake(t, b, image.place(t))
		if got != want[image.step] {
			t.Errorf("%s: the wrong state, found %+v", image.step, left)
		}
		if marked := image.step == "marked" || image.step == "replaced"; marked != (left.Install != nil) {
			t.Errorf("%s: marker %+v", image.step, left.Install)
		}
	}
}

// TestAPowerCutLeavesTheOldStateOrTheNewOne loses what was not made durable:
// names in snap/ that were not synced, and bytes of files that are not finished.
func TestAPowerCutLeavesTheOldStateOrTheNewOne(t *testing.T) {
	b, images, before, after := crashes(t)
	byStep := map[string]crashed{}
	for _, image := range images {
		byStep[image.step] = image
	}
	received := filepath.Join("snap", "received-1.db")
	marker := filepath.Join("snap", markerFile)
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 21))
		// While it is built, any part of the new file may be there.
		building := crashed{files: map[string][]byte{"state.db": byStep["received"].files["state.db"]}}
		building.files[received] = torn(random, byStep["received"].files[received])
		// The marker is written aside, and its name may be there before its bytes.
		marking := crashed{files: maps.Clone(byStep["received"].files)}
		text := byStep["marked"].files[marker]
		marking.files[[]string{marker, marker + ".new"}[random.IntN(2)]] = text[:random.IntN(len(text)+1)]
		// The rename is done and the removal of the marker not, or the other way
		// round: they are names in two directories.
		renamed := crashed{files: maps.Clone(byStep["replaced"].files)}
		if random.IntN(2) == 0 {
			delete(renamed.files, marker)
		}
		for image, want := range map[*crashed][32]byte{&building: before, &marking: before, &renamed: after} {
			if got, left := wake(t, b, image.place(t)); got != want {
				t.Errorf("seed %d: the wrong state, found %+v", seed, left)
			}
		}
	}
}

// torn is a file of which the disk holds some sectors, up to some length.
func torn(random *rand.Rand, content []byte) []byte {
	content = bytes.Clone(content[:random.IntN(len(content)+1)])
	for at := 0; at < len(content); at += 512 {
		if random.IntN(2) == 0 {
			clear(content[at:min(at+512, len(content))])
		}
	}
	return content
}

// TestMain runs the victim of TestKill when it is asked to.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SNAPSHOT_TEST_VICTIM"); dir != "" {
		os.Exit(victim(dir, os.Getenv("SNAPSHOT_TEST_STREAM")))
	}
	os.Exit(m.Run())
}

// victim installs a stream and stops at each step until it is told to go on.
func victim(dir, stream string) int {
	t := new(failing)
	defer t.report()
	a := newBank(t).appliance(t, dir, "node-2")
	next := bufio.NewReader(os.Stdin)
	pause := func(step string) {
		fmt.Println(step)
		if _, err := next.ReadString('\n'); err != nil {
			os.Exit(3)
		}
	}
	c := a.config()
	c.reach = pause
	_, err := Clean(c.Dir)
	must(t, err)
	content, err := os.ReadFile(stream)
	must(t, err)
	v := NewExchange(c)
	r, err := NewReader(bytes.NewReader(content))
	must(t, err)
	h := r.Header()
	members, err := decodeMembership(h.Membership)
	must(t, err)
	into, err := v.Create(1, h.Index, h.Term, members, h.MembershipIndex, nil)
	must(t, err)
	for i, piece := range [][]byte{content[:len(content)/3], content[len(content)/3:]} {
		_, err = into.Write(piece)
		must(t, err)
		pause(fmt.Sprint("piece ", i))
	}
	must(t, into.Close())
	pause("received")
	_, err = restored(t, v, into)
	must(t, err)
	return 0
}

// failing is a test outside of the test binary's own run.
type failing struct {
	testing.TB
	cleanups []func()
}

func (f *failing) Helper()          {}
func (f *failing) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }
func (f *failing) Error(v ...any)   { f.Fatal(v...) }
func (f *failing) Fatal(v ...any) {
	fmt.Fprintln(os.Stderr, v...)
	os.Exit(2)
}
func (f *failing) Fatalf(format string, v ...any) { f.Fatal(fmt.Sprintf(format, v...)) }
func (f *failing) report() {
	for _, c := range slices.Backward(f.cleanups) {
		c()
	}
}

// TestKill ends a process with SIGKILL at every step of an install.
func TestKill(t *testing.T) {
	one, two := pair(t, 120, 40)
	before, after := two.state(t), one.state(t)
	must(t, two.db.Close())
	start := imageOf(t, "start", two.dir)
	content, _ := one.stream(t)
	stream := filepath.Join(t.TempDir(), "stream")
	must(t, os.WriteFile(stream, content, 0o600))
	for i, c := range []struct {
		step string
		want [32]byte
	}{
		{"piece 0", before}, {"piece 1", before}, {"received", before}, {"marked", before}, {"replaced", after}, {"done", after},
	} {
		dir := start.place(t)
		killAt(t, dir, stream, c.step, i)
		got, left := wake(t, two.bank, dir)
		if got != c.want {
			t.Errorf("killed at %q: the wrong state, found %+v", c.step, left)
		}
		if c.step == "piece 1" && !slices.Contains(left.Files, "received-1.db") {
			t.Errorf("killed at %q: no half-built file was there", c.step)
		}
	}
}

// killAt lets a victim go on through some steps and kills it at the next.
func killAt(t *testing.T, dir, stream, step string, steps int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "SNAPSHOT_TEST_VICTIM="+dir, "SNAPSHOT_TEST_STREAM="+stream)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	must(t, err)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	lines := bufio.NewReader(out)
	for at := range steps + 1 {
		line, err := lines.ReadString('\n')
		must(t, err)
		if at == steps && line != step+"\n" {
			t.Fatalf("the victim is at %q, want %q", line, step)
		}
		if at < steps {
			_, err = io.WriteString(in, "\n")
			must(t, err)
		}
	}
	must(t, child.Process.Kill())
	if err := child.Wait(); err == nil {
		t.Fatal("the victim ended by itself")
	}
}
