package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what scripts compare into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"coffer": main})
}

// TestScripts runs the program as people do. Besides the commands of testscript
// the scripts know:
//
//	start NAME ARG...       run coffer in the background until it is ready; sets $URL and $URL_NAME; writes NAME.out, NAME.log
//	launch NAME ARG...      the same without waiting
//	says NAME REGEXP        wait until the program has written so
//	use NAME                talk to this node: $URL is its URL
//	ports NAME...           set variables to ports that are free
//	take-line NAME REGEXP   set a variable to what the first group finds in stdout
//	try CODE COMMAND...     repeat a program until it ends with this exit code
//	unset VARIABLE...       start what follows without it
//	signal NAME SIGNAL      send TERM, INT, HUP or KILL
//	exits NAME CODE         wait for the end; CODE is a number or the name of a signal
//	status CODE COMMAND...  run a program to its end and expect its exit code
//	call METHOD PATH ...    make an API call; as=TOKEN, key=KEY, body=JSON, status=CODE (else 200 or 201)
//	take NAME PATH          set a variable to a member of the latest answer, such as wallets.0.id
//	await CODE PATH         repeat a GET until it answers so; as=TOKEN
//	mode OCTAL FILE...      compare permissions
//	absent TEXT PATH...     look for a text in files and below directories
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values[stageKey{}] = &stage{nodes: map[string]*background{}}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": positive(start), "launch": positive(launch), "says": positive(says), "use": positive(use), "ports": positive(ports),
			"take-line": positive(takeLine), "try": positive(try), "unset": positive(unset), "signal": positive(sendSignal), "exits": positive(exits), "status": positive(status),
			"call": positive(call), "take": positive(take), "await": positive(await), "mode": positive(mode), "absent": positive(absent),
		},
	})
}

// patience is how long a script waits for anything.
const patience = time.Minute

// stage is what the commands of one script share.
type stage struct {
	nodes  map[string]*background
	answer []byte
}

type stageKey struct{}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// background is a program that a script has started.
type background struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // of the end
}

func positive(run func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command cannot be negated")
		}
		run(ts, args)
	}
}

func arguments(ts *testscript.TestScript, args []string, least int, usage string) {
	if len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

// until repeats a question until it is answered with yes.
func until(ts *testscript.TestScript, what string, ask func() bool) {
	for end := time.Now().Add(patience); !ask(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func start(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "start NAME ARG...")
	launch(ts, args)
	says(ts, []string{args[0], ready.String()})
	at := ready.FindStringSubmatch(ts.ReadFile(args[0] + ".log"))
	ts.Setenv("URL", at[1])
	ts.Setenv("URL_"+args[0], at[1])
}

var ready = regexp.MustCompile(`"msg":"ready","url":"([^"]+)"`)

func launch(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "launch NAME ARG...")
	b := &background{log: ts.MkAbs(args[0] + ".log"), ended: make(chan struct{})}
	out, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	log, err := os.Create(b.log)
	ts.Check(err)
	program, err := exec.LookPath("coffer")
	ts.Check(err)
	b.cmd = exec.Command(program, args[1:]...)
	b.cmd.Dir, b.cmd.Stdout, b.cmd.Stderr = ts.MkAbs("."), out, log
	b.cmd.Env = environment(ts)
	ts.Check(b.cmd.Start())
	go func() {
		b.err = errors.Join(b.cmd.Wait(), out.Close(), log.Close())
		close(b.ended)
	}()
	stageOf(ts).nodes[args[0]] = b
	ts.Defer(func() {
		select {
		case <-b.ended:
			return
		default:
		}
		// One that has programs of its own ends them when it is asked to.
		_ = b.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-b.ended:
		case <-time.After(10 * time.Second):
			_ = b.cmd.Process.Kill() // it may have ended
			<-b.ended
		}
	})
}

func says(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "says NAME REGEXP")
	b, wanted, began := stageOf(ts).nodes[args[0]], regexp.MustCompile(args[1]), time.Now()
	until(ts, strings.Join(args, " says "), func() bool {
		ended := false
		select {
		case <-b.ended:
			ended = true
		default:
		}
		text := ts.ReadFile(b.log)
		if wanted.MatchString(text) || wanted.MatchString(ts.ReadFile(args[0]+".out")) {
			return true
		}
		if ended {
			ts.Fatalf("%s ended: %v\n%s", args[0], b.err, text)
		}
		if time.Since(began) > patience-time.Second {
			ts.Fatalf("%s does not say %s:\n%s\n%s", args[0], args[1], ts.ReadFile(args[0]+".out"), text)
		}
		return false
	})
}

func use(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 1, "use NAME")
	ts.Setenv("URL", ts.Getenv("URL_"+args[0]))
}

// ports finds ports that follow each other, with free ones 3000 above them, as
// a fleet of nodes needs them.
func ports(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 1, "ports NAME...")
	free := func(port int) bool {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		return err == nil && listener.Close() == nil
	}
	for range 1000 {
		// Below the range from which the system takes the ports of outgoing connections.
		first, all := 20000+rand.IntN(8000), true
		for i := range args {
			all = all && free(first+i) && free(first+i+3000)
		}
		if !all {
			continue
		}
		for i, name := range args {
			ts.Setenv(name, strconv.Itoa(first+i))
		}
		return
	}
	ts.Fatalf("no free ports")
}

func takeLine(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "take-line NAME REGEXP")
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("no %s in %s", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], found[1])
}

func try(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "try CODE COMMAND...")
	until(ts, strings.Join(args, " "), func() bool { return codeOf(ts, args[1:]) == args[0] })
}

// environment is that of the script, which keeps it to itself, without what
// unset has taken out of it.
func environment(ts *testscript.TestScript) []string {
	ts.Check(ts.Exec("env"))
	list := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	return slices.DeleteFunc(list, func(variable string) bool { return strings.HasSuffix(variable, "="+unsetValue) })
}

// unsetValue marks a variable that programs in the background do not get:
// testscript can set one, but not take it back.
const unsetValue = "-unset-"

func unset(ts *testscript.TestScript, args []string) {
	for _, name := range args {
		ts.Setenv(name, unsetValue)
	}
}

func sendSignal(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "signal NAME SIGNAL")
	number, known := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}[args[1]]
	if !known {
		ts.Fatalf("unknown signal %s", args[1])
	}
	ts.Check(stageOf(ts).nodes[args[0]].cmd.Process.Signal(number))
}

func exits(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "exits NAME CODE")
	b := stageOf(ts).nodes[args[0]]
	select {
	case <-b.ended:
	case <-time.After(patience):
		ts.Fatalf("%s has not ended within %v", args[0], patience)
	}
	state := b.cmd.ProcessState.Sys().(syscall.WaitStatus)
	got := strconv.Itoa(state.ExitStatus())
	if state.Signaled() {
		got = state.Signal().String()
	}
	if got != args[1] {
		ts.Fatalf("%s exited with %s, want %s\n%s", args[0], got, args[1], ts.ReadFile(b.log))
	}
}

func status(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "status CODE COMMAND...")
	if got := codeOf(ts, args[1:]); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// codeOf runs a program and returns its exit code.
func codeOf(ts *testscript.TestScript, command []string) string {
	err := ts.Exec(command[0], command[1:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return strconv.Itoa(exit.ExitCode())
	}
	ts.Check(err)
	return "0"
}

func call(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "call METHOD PATH [as=TOKEN] [key=KEY] [body=JSON] [status=CODE]")
	given := map[string]string{}
	for _, arg := range args[2:] {
		name, value, _ := strings.Cut(arg, "=")
		given[name] = value
	}
	request, err := http.NewRequest(args[0], ts.Getenv("URL")+args[1], strings.NewReader(given["body"]))
	ts.Check(err)
	for name, value := range map[string]string{"Authorization": given["as"], "Idempotency-Key": given["key"], "Content-Type": given["body"]} {
		switch {
		case value == "":
		case name == "Authorization":
			request.Header.Set(name, "Bearer "+value)
		case name == "Content-Type":
			request.Header.Set(name, "application/json")
		default:
			request.Header.Set(name, value)
		}
	}
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	body, err := io.ReadAll(response.Body)
	ts.Check(errors.Join(err, response.Body.Close()))
	stageOf(ts).answer = body
	var text bytes.Buffer
	fmt.Fprintln(&text, response.Status)
	ts.Check(response.Header.Write(&text))
	fmt.Fprintf(&text, "\n%s\n", body)
	_, err = ts.Stdout().Write(text.Bytes())
	ts.Check(err)
	wanted := given["status"]
	if wanted == "" && response.StatusCode < 300 || wanted == strconv.Itoa(response.StatusCode) {
		return
	}
	ts.Fatalf("%s %s answered %s", args[0], args[1], text.String())
}

func take(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "take NAME PATH")
	var value any
	decoder := json.NewDecoder(bytes.NewReader(stageOf(ts).answer))
	decoder.UseNumber()
	ts.Check(decoder.Decode(&value))
	for name := range strings.SplitSeq(args[1], ".") {
		switch within := value.(type) {
		case map[string]any:
			value = within[name]
		case []any:
			at, err := strconv.Atoi(name)
			ts.Check(err)
			value = within[at]
		}
	}
	if value == nil {
		ts.Fatalf("no %s in %s", args[1], stageOf(ts).answer)
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

func await(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "await CODE PATH [as=TOKEN]")
	until(ts, strings.Join(args[:2], " "), func() bool {
		request, err := http.NewRequest(http.MethodGet, ts.Getenv("URL")+args[1], nil)
		ts.Check(err)
		if len(args) > 2 {
			request.Header.Set("Authorization", "Bearer "+strings.TrimPrefix(args[2], "as="))
		}
		response, err := http.DefaultClient.Do(request)
		ts.Check(err)
		body, err := io.ReadAll(response.Body)
		ts.Check(errors.Join(err, response.Body.Close()))
		stageOf(ts).answer = body
		return strconv.Itoa(response.StatusCode) == args[0]
	})
	_, err := ts.Stdout().Write(stageOf(ts).answer)
	ts.Check(err)
}

func mode(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "mode OCTAL FILE...")
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

func absent(ts *testscript.TestScript, args []string) {
	arguments(ts, args, 2, "absent TEXT PATH...")
	if len(args[0]) < 8 {
		ts.Fatalf("%q is too short to be looked for", args[0])
	}
	files := 0
	for _, root := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(root), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			files++
			content, err := os.ReadFile(path)
			if bytes.Contains(content, []byte(args[0])) {
				err = fmt.Errorf("%s holds %q", path, args[0])
			}
			return err
		}))
	}
	if files == 0 {
		ts.Fatalf("there are no files in %v", args[1:])
	}
}
