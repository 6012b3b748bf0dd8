package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/fsm/modules"
	"coffer/ledgerchain"
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
	Fault *ledgerchain.Fault `json:"fault,omitempty"`
}

// VerifyReport is the result of a verification.
type VerifyReport struct {
	DataDir  string  `json:"dataDir"`
	NodeID   string  `json:"nodeId"`
	LedgerID string  `json:"ledgerId"`
	Index    uint64  `json:"index"`
	Entries  uint64  `json:"entries"`
	HeadHash string  `json:"headHash"`
	RootHash string  `json:"rootHash"`
	Checks   []Check `json:"checks"`
}

// Code is the exit code: the first failed check decides.
func (r *VerifyReport) Code() int {
	for _, c := range r.Checks {
		if !c.OK {
			return c.Code
		}
	}
	return VerifyOK
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
	view   *store.View
	salts  *ledgerchain.KeyRing
	report *VerifyReport
	end    *ledgerchain.Run // of the chain check
}

// Verify recomputes everything that can be recomputed from the files of a
// stopped node. It changes nothing and refuses a directory in use.
func Verify(ctx context.Context, given Verification) (*VerifyReport, error) {
	identity, err := readIdentity(given.DataDir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(given.DataDir)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	salts, err := keyRing(given.Salt)
	if err != nil {
		return nil, err
	}
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return nil, err
	}
	report := &VerifyReport{DataDir: given.DataDir, NodeID: identity.NodeID, LedgerID: identity.LedgerID}
	db, err := store.Inspect(store.Options{Path: filepath.Join(given.DataDir, stateFile), Schema: schema, Stamp: identity.stamp()})
	if err != nil {
		report.Checks = []Check{{Name: "open", Code: VerifyDamaged, Problems: []string{err.Error()}}}
		return report, nil
	}
	defer db.Close()
	v := &verifier{ctx: ctx, given: given, view: db.Latest(), salts: salts, report: report}
	defer v.view.Close()
	return report, v.run()
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
	v.report.Index = v.view.Index()
	v.describe()
	for _, c := range checks {
		if !v.wanted(c.name) {
			continue
		}
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

// describe fills in what the file says about itself; damage shows in the checks.
func (v *verifier) describe() {
	defer func() {
		if damage, ok := recover().(store.Corruption); ok {
			v.report.HeadHash = damage.Error()
		}
	}()
	v.report.Entries = ledgerchain.Size(v.view)
	if state, err := ledgerchain.StateOf(v.view); err == nil {
		v.report.HeadHash, v.report.RootHash = state.Head.Chain.String(), state.Tree.Root().String()
	}
}

func (v *verifier) wanted(name string) bool {
	if len(v.given.Only) == 0 {
		return true
	}
	for _, only := range v.given.Only {
		if only == name {
			return true
		}
	}
	return false
}

// guarded turns damage that a check runs into into a finding.
func (v *verifier) guarded(c check, done *Check) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			done.add(fmt.Errorf("%v", fault))
		}
	}()
	return c.run(v, done)
}

const shownProblems = 20

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
		v.progress(c.Name, c.Rows, 0)
	})
	return nil
}

func (v *verifier) invariants(done *Check) error {
	for _, module := range modules.All() {
		for _, invariant := range module.Invariants {
			if invariant.Name == ledger.ReplayInvariant {
				continue // the balances check reads the chain itself
			}
			done.Rows++
			if err := invariant.Check(v.view); err != nil {
				done.add(fmt.Errorf("%s: %s: %w", module.Name, invariant.Name, err))
			}
			v.progress(module.Name, done.Rows, 0)
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
	if err := replay.Compare(v.view); err != nil {
		done.add(err)
	}
	return nil
}

const progressStep = 16 << 10

// tree compares the Merkle root and every stored tile with the entries.
func (v *verifier) tree(done *Check) error {
	state, err := ledgerchain.StateOf(v.view)
	if errors.Is(err, ledgerchain.ErrNotFounded) {
		return nil
	}
	if err != nil {
		return err
	}
	done.Rows = state.Tree.Size()
	if v.end == nil { // the chain check did not run
		if _, err := v.verifyChain(nil, done); err != nil {
			return err
		}
	}
	if v.end != nil && v.end.Fault() == nil {
		if err := v.end.CheckEnd(&state); err != nil {
			done.add(err)
		}
	}
	if err := ledgerchain.CheckTiles(v.view); err != nil {
		done.add(err)
	}
	return nil
}
