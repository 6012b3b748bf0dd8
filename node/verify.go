package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/fsm/modules"
	"coffer/ledgerchain"
	"coffer/snapshot"
	"coffer/store"
)

// The exit codes of verify (audit trail, section 10).
const (
	VerifyOK       = 0
	VerifyUsage    = 1 // usage or I/O
	VerifyTree     = 3
	VerifyChain    = 4 // chain or commitment
	VerifyAccounts = 5
	VerifyDamaged  = 7 // damaged file, row, index or invariant
)

// Verification describes what to verify: the files of a stopped node.
type Verification struct {
	DataDir  string
	Salt     Secret                                 // without it keyed hashes are not checked
	Only     []string                               // names of checks; empty for all
	Progress func(check string, done, total uint64) // may be nil
}

// Check is one line of a verification.
type Check struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Rows    uint64  `json:"rows"`
	Seconds float64 `json:"seconds"`
	Note    string  `json:"note,omitempty"`
	Code    int     `json:"-"` // exit code when it fails
	// Problems are what is wrong, the first few of them.
	Problems []string `json:"problems,omitempty"`
	// Fault is the first bad entry of the chain.
	Fault *BadEntry `json:"fault,omitempty"`
}

// BadEntry is the first entry of the chain that is not what it must be.
type BadEntry struct {
	Index    uint64             `json:"index"`
	Reason   ledgerchain.Reason `json:"reason"`
	Expected string             `json:"expected"`
	Found    string             `json:"found"`
}

// VerifyReport is the result of a verification.
type VerifyReport struct {
	DataDir  string  `json:"dataDir"`
	NodeID   string  `json:"nodeId"`
	LedgerID string  `json:"ledgerId"`
	Index    uint64  `json:"index"` // log entry whose state the file holds; what follows is replayed
	Entries  uint64  `json:"entries"`
	HeadHash string  `json:"headHash"`
	RootHash string  `json:"rootHash"`
	OK       bool    `json:"ok"`
	ExitCode int     `json:"exitCode"`
	Checks   []Check `json:"checks"`
}

// Code is the exit code: the first failed check decides.
func (r *VerifyReport) Code() int {
	failed := slices.IndexFunc(r.Checks, func(c Check) bool { return !c.OK })
	if failed < 0 {
		return VerifyOK
	}
	return r.Checks[failed].Code
}

// check is one kind of verification.
type check struct {
	name string
	code int
	run  func(*verifier, *Check) error
}

// checks stand in the order in which they run and decide.
var checks = []check{
	{"pages", VerifyDamaged, (*verifier).pages},
	{"rows", VerifyDamaged, (*verifier).rows},
	{"log", VerifyDamaged, (*verifier).log},
	{"chain", VerifyChain, (*verifier).chain},
	{"tree", VerifyTree, (*verifier).tree},
	{"balances", VerifyAccounts, (*verifier).balances},
	{"invariants", VerifyDamaged, (*verifier).invariants},
}

// CheckNames lists what can be verified.
func CheckNames() []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.name
	}
	return names
}

// verifier works on one opened state file.
type verifier struct {
	ctx    context.Context
	given  Verification
	db     *store.DB
	view   *store.View
	salts  *ledgerchain.KeyRing
	report *VerifyReport
	end    *ledgerchain.Run // of the chain check

	identity Identity // as node.json has it
}

// Verify recomputes everything that can be recomputed from the files of a
// stopped node. It changes nothing and refuses a directory in use. Damage is in
// the report; an error means that there was nothing to verify.
func Verify(ctx context.Context, given Verification) (*VerifyReport, error) {
	report := &VerifyReport{DataDir: given.DataDir}
	identity, err := readIdentity(given.DataDir)
	var damaged *RefusedError
	if errors.As(err, &damaged) {
		return report, report.unreadable(err)
	}
	if err != nil {
		return nil, err
	}
	report.NodeID, report.LedgerID = identity.NodeID, identity.LedgerID
	unlock, err := lockToRead(given.DataDir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	salts, err := keyRing(given.Salt)
	if err != nil {
		return nil, err
	}
	if err := missing(given.DataDir, identity); err != nil {
		return report, report.unreadable(err)
	}
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return nil, err
	}
	db, err := store.Inspect(store.Options{Path: filepath.Join(given.DataDir, stateFile), Schema: schema, Stamp: identity.stamp()})
	if err != nil {
		return report, report.unreadable(err)
	}
	v := &verifier{ctx: ctx, given: given, db: db, view: db.Latest(), salts: salts, report: report, identity: identity}
	err = v.run()
	v.view.Close()
	return report, errors.Join(err, db.Close())
}

// lockToRead keeps nodes from opening the directory, without writing to it: it
// may be a copy on read-only media, which needs no lock.
func lockToRead(dir string) (unlock func(), err error) {
	lock, err := lockDir(dir, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = lock.Close() }, nil // nothing was written
}

// missing reports files that must be there once a node has run.
func missing(dir string, i Identity) error {
	for _, name := range []string{stateFile, logFile} {
		_, err := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) && i.Started {
			return refused("%s has vanished from %s", name, dir)
		}
		if err != nil {
			return fmt.Errorf("open data directory: %w", err)
		}
	}
	return nil
}

// unreadable notes damage that keeps the files from being verified at all. What
// the system refuses is no damage but an error.
func (r *VerifyReport) unreadable(err error) error {
	var system *fs.PathError
	if errors.As(err, &system) || errors.Is(err, store.ErrInUse) {
		return err
	}
	r.Checks = []Check{{Name: "open", Code: VerifyDamaged, Problems: []string{err.Error()}}}
	return nil
}

func keyRing(salt Secret) (*ledgerchain.KeyRing, error) {
	if salt == "" {
		return nil, nil
	}
	s, err := ledgerchain.NewSalt([]byte(salt))
	if err != nil {
		return nil, err
	}
	return ledgerchain.NewKeyRing(s)
}

func (v *verifier) run() error {
	v.describe()
	for _, c := range checks {
		if !v.wanted(c.name) {
			continue
		}
		v.progress(c.name, 0, 0)
		done := Check{Name: c.name, OK: true, Code: c.code}
		started := time.Now()
		err := v.guarded(c, &done)
		done.Seconds = time.Since(started).Seconds()
		if err != nil {
			return err
		}
		done.OK = len(done.Problems) == 0
		v.report.Checks = append(v.report.Checks, done)
	}
	return v.ctx.Err()
}

// describe fills in what the file says about itself, as far as it can be read;
// what cannot is for the checks to report.
func (v *verifier) describe() {
	v.report.Index = v.view.Index()
	defer func() { _ = recover() }()
	v.report.Entries = ledgerchain.Size(v.view)
	if state, err := ledgerchain.StateOf(v.view); err == nil {
		v.report.HeadHash, v.report.RootHash = state.Head.Chain.String(), state.Tree.Root().String()
	}
}

func (v *verifier) wanted(name string) bool {
	return len(v.given.Only) == 0 || slices.Contains(v.given.Only, name)
}

// guarded turns damage that a check runs into into a finding: a panic of ours
// or of bbolt, or a page that the disk does not give.
func (v *verifier) guarded(c check, done *Check) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			done.add(fmt.Errorf("%v", fault))
		}
	}()
	return c.run(v, done)
}

const shownProblems = 20

func (c *Check) blame(f *ledgerchain.Fault) {
	c.Fault = &BadEntry{Index: f.Index, Reason: f.Reason, Expected: f.Expected, Found: f.Found}
	c.add(f)
}

func (c *Check) add(err error) {
	if len(c.Problems) < shownProblems {
		c.Problems = append(c.Problems, err.Error())
	}
}

func (v *verifier) progress(name string, done, total uint64) {
	if v.given.Progress != nil {
		v.given.Progress(name, done, total)
	}
}

func (v *verifier) pages(done *Check) error {
	v.view.CheckPages(func(err error) { done.add(err) })
	return nil
}

func (v *verifier) rows(done *Check) error {
	v.view.Check(func(p store.Problem) { done.add(p) }, func(c store.Checked) {
		done.Rows += c.Rows
		v.progress(done.Name, done.Rows, 0)
	})
	return nil
}

// log reads raft.db: that it belongs to the node and the state, and that every
// entry is as it was written.
func (v *verifier) log(done *Check) error {
	applied := v.view.Applied()
	held, err := cluster.Verify(cluster.Config{
		NodeID: v.identity.NodeID, ClusterID: v.identity.ClusterID, Dir: v.given.DataDir,
		State: cluster.State{Index: applied.Index, Term: applied.Term, Installed: applied.Installed},
	}, snapshot.NewExchange(snapshot.Config{DB: v.db}))
	var refused *cluster.Refused
	switch {
	case errors.As(err, &refused):
		done.add(err)
	case err != nil:
		return err
	case held.Torn:
		done.Note = "the last write never finished"
	}
	if held.Last > 0 {
		done.Rows = held.Last - held.First + 1
	}
	v.progress(done.Name, done.Rows, done.Rows)
	return nil
}

// invariants checks what every entry preserves, and that the state is that of
// the ledger in node.json.
func (v *verifier) invariants(done *Check) error {
	restored := v.view.Applied().Epoch > 0 // a restored state keeps the row of its first cluster
	if founded, ok := fsm.ClusterOf(v.view); ok && (founded.LedgerID != v.identity.LedgerID || founded.ID != v.identity.ClusterID && !restored) {
		done.add(fmt.Errorf("the state is of ledger %s in cluster %s, %s names ledger %s in cluster %s",
			founded.LedgerID, founded.ID, identityFile, v.identity.LedgerID, v.identity.ClusterID))
	}
	for _, module := range fsm.WithSystem(modules.All()) {
		for _, invariant := range module.Invariants {
			if invariant.Name == ledger.ReplayInvariant {
				continue // the balances check reads the chain itself
			}
			done.Rows++
			if err := invariant.Check(v.view); err != nil {
				done.add(fmt.Errorf("%s: %s: %w", module.Name, invariant.Name, err))
			}
			v.progress(done.Name, done.Rows, 0)
		}
	}
	return nil
}

// balances adds the books up again from the postings of the whole chain.
func (v *verifier) balances(done *Check) error {
	replay := ledger.NewReplay(v.view)
	total := ledgerchain.Size(v.view)
	for index := range total {
		f := ledger.FactAt(v.view, index)
		if err := replay.Add(&f); err != nil {
			done.add(err)
			return nil
		}
		done.Rows++
		if index%progressStep == 0 {
			v.progress(done.Name, index, total)
			if v.ctx.Err() != nil {
				return v.ctx.Err()
			}
		}
	}
	v.progress(done.Name, total, total)
	if err := replay.Compare(v.view); err != nil {
		done.add(err)
	}
	return nil
}

const progressStep = 16 << 10
