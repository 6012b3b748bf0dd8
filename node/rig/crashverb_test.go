package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"coffer/node"
)

// verb is something a program does to a directory while no node runs in it. It
// is killed at one of its system calls; then it is done again, or the node is
// started, and nobody may have to repair anything.
type verb struct {
	name      string
	before    func(t *testing.T, b *bench) // may be nil
	arguments func(b *bench) []string
	from      func(b *bench) string // directory to begin with, empty for none
	serves    bool                  // it does not end by itself
	after     func(t *testing.T, b *bench)
}

// bench is where verbs are tried.
type bench struct {
	dir     string // of the node, made anew for each run
	sole    string // a stopped sole node with something in it
	lost    string // a stopped node of a cluster of three
	backup  string
	entries uint64        // of the ledger in the backup
	member  *Node         // which admits nodes, while a join is tried
	token   string        // for the next join
	names   int           // of nodes that have joined
	was     node.Survivor // of what the verb began with
}

var verbs = []verb{
	{name: "init", arguments: func(b *bench) []string { return []string{"init", "--data-dir", b.dir} },
		after: func(t *testing.T, b *bench) {
			if code, out := Run(t, "init", "--data-dir", b.dir); code != 0 && !strings.Contains(out, "belongs to a cluster already") {
				t.Errorf("once more: exit code %d\n%s", code, out)
			}
			b.serve(t)
		}},
	{name: "the first start", arguments: (*bench).start, serves: true, after: func(t *testing.T, b *bench) { b.serve(t) }},
	{name: "a start", arguments: (*bench).start, from: func(b *bench) string { return b.sole }, serves: true,
		after: func(t *testing.T, b *bench) { b.serve(t) }},
	{name: "cert renew", arguments: func(b *bench) []string { return []string{"cert", "renew", "--data-dir", b.dir} },
		from: func(b *bench) string { return b.sole }, after: func(t *testing.T, b *bench) { b.serve(t) }},
	{name: "compact", arguments: func(b *bench) []string { return []string{"compact", "--data-dir", b.dir} },
		from: func(b *bench) string { return b.sole },
		after: func(t *testing.T, b *bench) {
			mustRun(t, "check", "--data-dir", b.dir)
			b.same(t)
			mustRun(t, "compact", "--data-dir", b.dir)
			b.same(t)
			mustRun(t, "verify", "--data-dir", b.dir)
		}},
	{name: "backup restore", arguments: func(b *bench) []string { return []string{"backup", "restore", "--data-dir", b.dir, b.backup} },
		after: func(t *testing.T, b *bench) {
			b.restoreAgain(t)
			mustRun(t, "check", "--data-dir", b.dir)
			if told := survey(t, b.dir); told.LedgerEnd != b.entries || told.LogLast != 0 {
				t.Errorf("restored: %+v, the backup has %d entries", told, b.entries)
			}
		}},
	{name: "join", before: func(t *testing.T, b *bench) { b.invite(t) }, arguments: (*bench).join, after: func(t *testing.T, b *bench) { b.joined(t) }},
	{name: "recover", arguments: func(b *bench) []string {
		return []string{"recover", "--i-have-lost-quorum", "--cluster-id", b.was.ClusterID, "--data-dir", b.dir}
	},
		from: func(b *bench) string { return b.lost },
		after: func(t *testing.T, b *bench) {
			code, out := Run(t, "recover", "--i-have-lost-quorum", "--cluster-id", b.was.ClusterID, "--data-dir", b.dir)
			if code != 0 && !strings.Contains(out, "lost no quorum, just start it") {
				t.Errorf("once more: exit code %d\n%s", code, out)
			}
			mustRun(t, "check", "--data-dir", b.dir)
			if told := survey(t, b.dir); told.Applied != b.was.LastIndex || len(told.Members) != 1 {
				t.Errorf("recovered: %+v, it had %+v", told, b.was)
			}
			b.serve(t)
		}},
}

// TestT4CrashedVerbs kills the program at the calls of verbs and of starts that
// need no other node: COUNT times at each of them with SOAK.
func TestT4CrashedVerbs(t *testing.T) {
	tracer := tracing(t)
	seed, random := newSeed()
	c := newCrashes(seed)
	b := newBench(t)
	some := verbs
	if !soaking {
		some = nil
		for _, i := range random.Perm(len(verbs))[:3] {
			some = append(some, verbs[i])
		}
	}
	for _, v := range some {
		before := c.total()
		b.crash(t, tracer, v, c, random)
		t.Logf("%s: %d crashes", v.name, c.total()-before)
		if b.member != nil {
			b.member.Kill()
			b.member = nil
		}
		if t.Failed() {
			break
		}
	}
	c.report(t)
}

// aim is how to meet a site: at the n-th call of one thread.
type aim struct {
	site, call string
	nth        int
}

// crash kills a verb at each of its calls.
func (b *bench) crash(t *testing.T, tracer string, v verb, c *crashes, random *rand.Rand) {
	b.prepare(t, v)
	text, killed := b.run(t, tracer, v, nil)
	if killed || !strings.Contains(text, "exited with 0") {
		t.Fatalf("%s was to end well\n%s", v.name, text)
	}
	aims := aimsOf(text, b.dir)
	if len(aims) < 2 {
		t.Fatalf("%s changes nothing\n%s", v.name, text)
	}
	goal := rounds(1, 40)
	sites := map[string]bool{}
	for _, a := range aims {
		sites[a.site] = true
	}
	for tries := range 3 * goal * len(sites) {
		least := slices.MinFunc(aims, func(p, q aim) int { return c.at[v.name+", "+p.site] - c.at[v.name+", "+q.site] })
		if c.at[v.name+", "+least.site] >= goal || !soaking && tries == 2 {
			return
		}
		a := aims[random.IntN(len(aims))]
		for range 20 {
			if c.at[v.name+", "+a.site] < goal {
				break
			}
			a = aims[random.IntN(len(aims))]
		}
		b.prepare(t, v)
		c.aimed++
		text, _ := b.run(t, tracer, v, &a)
		site, ok := siteOf(text, b.dir, a.call)
		if !ok {
			continue // another thread made the call, or it went elsewhere
		}
		c.happened(t, v.name+", "+site, func() { v.after(t, b) })
		if t.Failed() {
			t.Logf("trace:\n%s", text)
			return
		}
	}
}

// aimsOf lists what a trace shows, counted for each thread as the tracer counts.
func aimsOf(text, dir string) (aims []aim) {
	places := placesOf(text, dir)
	seen := map[string]int{}
	inside := map[string][]int{}
	for line := range strings.Lines(text) {
		if found := callLine.FindStringSubmatch(line); found != nil {
			who := found[1] + found[2] + " " + found[3]
			seen[who]++
			if len(placesOf(line, dir)) == 1 {
				inside[who] = append(inside[who], seen[who])
			}
		}
	}
	for i, p := range places {
		who := p.thread + " " + p.call
		aims = append(aims, aim{site: p.name(places[:i]), call: p.call, nth: inside[who][0]})
		inside[who] = inside[who][1:]
	}
	return aims
}

// prepare makes the directory as it was before the verb.
func (b *bench) prepare(t *testing.T, v verb) {
	t.Helper()
	check(t, os.RemoveAll(b.dir))
	b.was = node.Survivor{}
	if v.before != nil {
		v.before(t, b)
	}
	if v.from != nil {
		check(t, os.CopyFS(b.dir, os.DirFS(v.from(b))))
		b.was = survey(t, b.dir)
	}
}

// run runs a verb below a tracer, which kills it as told, and returns the trace.
// What serves and is not killed is killed when it is ready.
func (b *bench) run(t *testing.T, tracer string, v verb, a *aim) (text string, killed bool) {
	t.Helper()
	into := filepath.Join(filepath.Dir(b.dir), "trace")
	line := []string{"-f", "-y", "-s", "0", "-o", into, "-e", "trace=" + persistent}
	if a != nil {
		line = append(killAt(a.call, a.nth), "-o", into)
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	command := exec.CommandContext(ctx, tracer, append(append(line, Program(t)), v.arguments(b)...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	var out trace
	command.Stdout, command.Stderr = &out, &out
	check(t, command.Start())
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	over := false
	Eventually(t, v.name+" ends or serves", func() bool {
		select {
		case <-ended:
			over = true
		default:
		}
		return over || v.serves && strings.Contains(out.String(), `"msg":"ready"`)
	})
	if !over {
		b.stopServing(t)
		<-ended
	}
	written, err := os.ReadFile(into)
	check(t, err)
	checkOutput(t, out.String())
	return string(written), over && strings.Contains(string(written), "killed by SIGKILL")
}

// stopServing asks the traced node to stop: its tracer ends with it.
func (b *bench) stopServing(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(b.dir), "trace"))
	check(t, err)
	first, _, _ := strings.Cut(string(text), " ")
	pid, err := strconv.Atoi(first)
	check(t, err)
	check(t, syscall.Kill(pid, syscall.SIGTERM))
}

func (b *bench) start() []string {
	line := []string{"dev", "--data-dir", b.dir, "--http-addr", host + "240:4001", "--no-access-log"}
	if b.hasPort() {
		line = append(line, "--cluster-addr", host+"240:7001")
	}
	return line
}

// hasPort tells that the directory is that of a node with a cluster port.
func (b *bench) hasPort() bool {
	_, err := os.Stat(filepath.Join(b.dir, "secrets", "node.crt"))
	return err == nil
}

// serve starts the node of the directory by itself, writes, stops it and
// verifies its files.
func (b *bench) serve(t *testing.T) {
	t.Helper()
	n := &Node{ID: "crashed", Dir: b.dir, HTTP: host + "240:4001", t: t}
	if b.hasPort() {
		n.Port = host + "240:7001"
	}
	defer n.Kill()
	n.Start()
	must[struct{}](t, newClient(Patience), n, call{method: "POST", path: "/api/auth/register",
		body: fmt.Appendf(nil, `{"email":"someone@example.org","password":%q}`, password)})
	n.Stop()
	VerifyFiles(t, n)
	if told := survey(t, b.dir); told.LedgerEnd < b.was.LedgerEnd {
		t.Errorf("the ledger has %d entries, it had %d", told.LedgerEnd, b.was.LedgerEnd)
	}
}

// newBench makes a sole node with something in it, a backup of it, and a node of
// a cluster of three.
func newBench(t *testing.T) *bench {
	t.Helper()
	seed, _ := newSeed()
	lost := Prepare(t)
	b := &bench{dir: filepath.Join(lost.dir, "tried"), sole: filepath.Join(lost.dir, "sole"),
		lost: lost.Nodes[0].Dir, backup: filepath.Join(lost.dir, "backup")}
	c := newCluster(t)
	mustRun(t, "init", "--data-dir", filepath.Join(c.dir, "n1"))
	n := c.add(0, nil)
	n.Start()
	l := NewLoad(t, c, seed)
	l.Start(3, 0)
	l.AwaitProgress(100)
	l.Stop()
	l.Settle()
	mustRun(t, "backup", "create", "--data-dir", n.Dir, b.backup)
	b.entries = reportOf(t, mustRun(t, "backup", "verify", b.backup)).Entries
	n.Stop()
	check(t, os.CopyFS(b.sole, os.DirFS(n.Dir)))
	return b
}

// restoreAgain restores once more, unless it was done. What was begun is nobody's:
// it never starts, and the same command completes it.
func (b *bench) restoreAgain(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(b.dir, "node.json")); err == nil {
		return
	}
	if _, err := os.Stat(filepath.Join(b.dir, "making")); err == nil {
		if code, out := Run(t, b.start()...); code != node.ExitRefused {
			t.Errorf("a start: exit code %d\n%s", code, out)
		}
	}
	mustRun(t, "backup", "restore", "--data-dir", b.dir, b.backup)
}

// same checks that a directory holds what it held before.
func (b *bench) same(t *testing.T) {
	t.Helper()
	if told := survey(t, b.dir); told.Applied != b.was.Applied || told.Digest != b.was.Digest || told.LedgerEnd != b.was.LedgerEnd {
		t.Errorf("it holds %+v, it held %+v", told, b.was)
	}
}

// survey is what a stopped node says of itself.
func survey(t testing.TB, dir string) (s node.Survivor) {
	t.Helper()
	check(t, json.Unmarshal([]byte(mustRun(t, "recover", "--inspect", "--data-dir", dir)), &s))
	return s
}
