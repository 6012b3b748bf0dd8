package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postgresSettings are those of a tuned server that loses no commit.
// What is not named has its default, full_page_writes included.
var postgresSettings = []string{
	"fsync=on", "synchronous_commit=on", "shared_buffers=256MB", "max_wal_size=8GB",
	"checkpoint_timeout=30min", "max_connections=100",
}

const (
	postgresStartLimit = time.Minute
	postgresStopLimit  = 10 * time.Second
	postgresPause      = 50 * time.Millisecond // between two questions for readiness
)

// postgres is a temporary server that only we can reach.
type postgres struct {
	bin    string   // directory of its programs
	dir    string   // its data, socket and logs
	as     *account // who it runs as, nil for us
	sql    fs.FS
	server *exec.Cmd
	exited chan struct{} // closed when the server has ended
}

// versionedPostgres is where distributions keep each version's programs.
const versionedPostgres = "/usr/lib/postgresql/*/bin"

// findPostgres returns a directory that holds all its programs: that of the
// initdb in PATH, else the newest version that the pattern finds.
func findPostgres(pattern string) string {
	candidates, _ := filepath.Glob(pattern) // ours is well formed
	version := func(bin string) float64 {
		number, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(bin)), 64) // zero sorts last
		return number
	}
	slices.SortFunc(candidates, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	if path, err := exec.LookPath("initdb"); err == nil {
		candidates = slices.Insert(candidates, 0, filepath.Dir(path))
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			candidates = slices.Insert(candidates, 0, filepath.Dir(resolved))
		}
	}
	for _, dir := range candidates {
		missing := slices.ContainsFunc([]string{"initdb", "postgres", "psql", "pgbench"}, func(program string) bool {
			_, err := exec.LookPath(filepath.Join(dir, program))
			return err != nil
		})
		if !missing {
			return dir
		}
	}
	return ""
}

// startPostgres makes an empty server below parent. It is returned with an
// error too, so that close can remove what is there.
func startPostgres(ctx context.Context, bin, parent string, sql fs.FS) (*postgres, error) {
	p := &postgres{bin: bin, sql: sql}
	var err error
	if p.as, err = unprivileged(); err != nil {
		return p, err
	}
	if p.dir, err = os.MkdirTemp(parent, "coffer-peer-"); err != nil {
		return p, fmt.Errorf("make directory: %w", err)
	}
	if p.dir, err = filepath.Abs(p.dir); err != nil {
		return p, fmt.Errorf("make directory: %w", err)
	}
	if p.as != nil {
		if err := os.Chown(p.dir, int(p.as.uid), int(p.as.gid)); err != nil {
			return p, fmt.Errorf("give directory away: %w", err)
		}
	}
	if _, err := p.execute(ctx, "", "initdb", "-D", p.dataDir(), "-U", "bench", "-A", "trust",
		"-E", "UTF8", "--no-locale", "--no-sync"); err != nil {
		return p, err
	}
	if err := p.start(); err != nil {
		return p, err
	}
	return p, p.ready(ctx)
}

func (p *postgres) dataDir() string { return filepath.Join(p.dir, "data") }

func (p *postgres) start() error {
	log, err := os.Create(p.logPath())
	if err != nil {
		return fmt.Errorf("open postgres log: %w", err)
	}
	defer log.Close() // the server has its own handle
	arguments := []string{"-D", p.dataDir(), "-k", p.dir, "-c", "listen_addresses="}
	for _, setting := range postgresSettings {
		arguments = append(arguments, "-c", setting)
	}
	p.server = p.command(exec.Command(filepath.Join(p.bin, "postgres"), arguments...))
	p.server.Stdout, p.server.Stderr = log, log
	if err := p.server.Start(); err != nil {
		p.server = nil
		return fmt.Errorf("start postgres: %w", err)
	}
	p.exited = make(chan struct{})
	go func() {
		_ = p.server.Wait() // its log says why it ended
		close(p.exited)
	}()
	return nil
}

func (p *postgres) logPath() string { return filepath.Join(p.dir, "server.log") }

func (p *postgres) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, postgresStartLimit)
	defer cancel()
	tick := time.NewTicker(postgresPause)
	defer tick.Stop()
	for {
		_, err := p.query(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			log, _ := os.ReadFile(p.logPath())
			return fmt.Errorf("postgres ended at its start: %.1000s", log)
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres: %w", err)
		}
	}
}

// load runs SQL files of the job, in order; wallets is the number of accounts.
func (p *postgres) load(ctx context.Context, wallets int, files ...string) error {
	for _, name := range files {
		text, err := readSQL(p.sql, name)
		if err != nil {
			return err
		}
		_, err = p.execute(ctx, text, "psql", p.connection("-qX", "-v", "ON_ERROR_STOP=1",
			"-v", "wallets="+strconv.Itoa(wallets), "-f", "-")...)
		if err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	return nil
}

func readSQL(files fs.FS, name string) (string, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return "", fmt.Errorf("read SQL of the peer: %w", err)
	}
	return string(text), nil
}

// query returns the first column of the first row.
func (p *postgres) query(ctx context.Context, text string) (string, error) {
	output, err := p.execute(ctx, text, "psql", p.connection("-qtAX", "-v", "ON_ERROR_STOP=1", "-f", "-")...)
	return strings.TrimSpace(output), err
}

func (p *postgres) connection(arguments ...string) []string {
	return append([]string{"-h", p.dir, "-U", "bench", "-d", "postgres"}, arguments...)
}

// execute runs one of its programs to the end and returns what it printed.
func (p *postgres) execute(ctx context.Context, input, program string, arguments ...string) (string, error) {
	command := p.command(exec.CommandContext(ctx, filepath.Join(p.bin, program), arguments...))
	command.Stdin = strings.NewReader(input)
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %.1000s", program, err, stderr.String())
	}
	return string(output), nil
}

// command gives a program its user, directory and a plain environment.
func (p *postgres) command(command *exec.Cmd) *exec.Cmd {
	command.Dir = p.dir
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "LC_ALL=C", "TZ=UTC"}
	command.SysProcAttr = childAttributes(p.as)
	return command
}

// close ends the server without ceremony and removes its files.
func (p *postgres) close() error {
	if p.server != nil {
		if err := p.server.Process.Signal(syscall.SIGQUIT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop postgres: %w", err)
		}
		select {
		case <-p.exited:
		case <-time.After(postgresStopLimit):
			if err := p.server.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("kill postgres: %w", err)
			}
			<-p.exited
		}
	}
	if p.dir == "" {
		return nil
	}
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("remove postgres directory: %w", err)
	}
	return nil
}
