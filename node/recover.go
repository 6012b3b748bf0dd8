package node

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/fsm/modules"
	"coffer/ledgerchain"
	"coffer/snapshot"
	"coffer/store"
)

// ErrStorage is returned when a file could not be written: look at the disk.
var ErrStorage = errors.New("the disk failed")

// RecoverFlags are those of `coffer recover`.
type RecoverFlags struct {
	DataDir   string
	ClusterID string // typed by the operator
	Advertise string // of the cluster port; empty for the address that the membership has
	Salt      Secret
	Terminal  *os.File
}

// Survivor is what a stopped node has left, for the choice of the one to recover
// from: that with the highest last term, and of those the highest last index.
type Survivor struct {
	DataDir      string   `json:"dataDir"`
	NodeID       string   `json:"nodeId"`
	ClusterID    string   `json:"clusterId"`
	Epoch        uint32   `json:"epoch"`
	LastTerm     uint64   `json:"lastTerm"`
	LastIndex    uint64   `json:"lastIndex"`
	Applied      uint64   `json:"applied"` // entry whose state the file holds: certainly committed
	Digest       string   `json:"digest"`  // of that state
	CurrentTerm  uint64   `json:"currentTerm"`
	LogFirst     uint64   `json:"logFirst"`
	LogLast      uint64   `json:"logLast"`
	Torn         bool     `json:"torn,omitempty"` // the last write never finished
	LedgerEnd    uint64   `json:"ledgerEntries"`  // in the state of the file
	MembershipAt uint64   `json:"membershipIndex"`
	Members      []string `json:"members"` // "id address voter"
}

// Recovered is the report of a recovery, for finance to reconcile.
type Recovered struct {
	Before Survivor `json:"before"`
	Epoch  uint32   `json:"epoch"`
	// From to To are the log entries that became committed without proof that a
	// quorum had them; both are 0 if there are none.
	From     uint64 `json:"unprovenFrom"`
	To       uint64 `json:"unprovenTo"`
	Commands uint64 `json:"unprovenCommands"` // of these entries, those that held requests
	// LedgerFrom to LedgerTo are the entries of the ledger that they made.
	LedgerFrom uint64   `json:"ledgerFrom"`
	LedgerTo   uint64   `json:"ledgerTo"`
	Lost       []string `json:"lostMembers"`
	Digest     string   `json:"digest"`
	Address    string   `json:"clusterAddress"`
}

// Survey reads what a stopped node has left. It changes nothing.
func Survey(dir string) (s Survivor, err error) {
	id, err := readIdentity(dir)
	if err != nil {
		return s, err
	}
	unlock, err := lockToRead(dir)
	if err != nil {
		return s, err
	}
	defer unlock()
	if err := missing(dir, id); err != nil {
		return s, err
	}
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return s, err
	}
	db, err := store.Inspect(store.Options{Path: filepath.Join(dir, stateFile), Schema: schema, Stamp: id.stamp()})
	if err != nil {
		return s, refused("%v", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	v := db.Latest()
	defer v.Close()
	remains, err := cluster.Examine(clusterFiles(dir, id, v.Applied()), snapshot.NewExchange(snapshot.Config{DB: db}))
	if err != nil {
		return s, err
	}
	return survivor(dir, id, v, remains)
}

// clusterFiles names the raft.db that belongs to a state.
func clusterFiles(dir string, id Identity, applied store.Applied) cluster.Config {
	return cluster.Config{
		NodeID: id.NodeID, ClusterID: id.ClusterID, Dir: dir,
		State: cluster.State{Index: applied.Index, Term: applied.Term, Installed: applied.Installed},
	}
}

func survivor(dir string, id Identity, v *store.View, r cluster.Remains) (Survivor, error) {
	applied := v.Applied()
	s := Survivor{
		DataDir: dir, NodeID: id.NodeID, ClusterID: id.ClusterID, Epoch: max(snapshot.FirstEpoch, applied.Epoch),
		LastTerm: r.LastTerm, LastIndex: r.LastIndex, Applied: applied.Index, Digest: hex.EncodeToString(applied.Digest[:]),
		CurrentTerm: r.CurrentTerm, LogFirst: r.First, LogLast: r.Last, Torn: r.Torn, LedgerEnd: ledgerchain.Size(v), Members: []string{},
	}
	members, err := newestMembers(applied, r)
	s.MembershipAt = members.Index
	for _, m := range members.Members {
		s.Members = append(s.Members, fmt.Sprintf("%s %s %s", m.ID, m.Address, map[bool]string{true: "voter", false: "non-voter"}[m.Voter]))
	}
	return s, err
}

// newestMembers is the membership of the log, else that of the state.
func newestMembers(applied store.Applied, r cluster.Remains) (cluster.Membership, error) {
	if r.Membership.Index > applied.MembershipIndex {
		return r.Membership, nil
	}
	return cluster.DecodeMembership(applied.MembershipIndex, applied.Membership)
}

// PrintJSON writes a report for people and programs alike.
func PrintJSON(out io.Writer, report any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

// Recover makes a stopped node the sole voter of its cluster. The others must be
// lost for good: every entry in this log counts from now on, and what only they
// had is gone. What it refuses has changed nothing.
func Recover(ctx context.Context, f RecoverFlags) (done Recovered, err error) {
	if err := checkHostPort("--cluster-addr", f.Advertise); err != nil {
		return done, Usage{err}
	}
	id, err := readIdentity(f.DataDir)
	if err != nil {
		return done, err
	}
	if f.ClusterID != id.ClusterID {
		return done, refused("--cluster-id is %q, this node belongs to another cluster: coffer recover --inspect shows it", f.ClusterID)
	}
	lock, err := lockDir(f.DataDir, os.O_RDWR)
	if err != nil {
		return done, err
	}
	d := &dataDir{path: f.DataDir, lock: lock, Identity: id}
	done, err = d.recover(ctx, f)
	return done, errors.Join(err, d.close())
}

func (d *dataDir) recover(ctx context.Context, f RecoverFlags) (done Recovered, err error) {
	if err := d.checkIdentity(""); err != nil {
		return done, err
	}
	if _, err := snapshot.Clean(d.file(snapshotDir)); err != nil {
		return done, err
	}
	r := &rescue{flags: f, dir: d, failed: make(chan error, 1), flushed: make(chan struct{}, 1)}
	if err := r.open(); err != nil {
		return done, err
	}
	err = r.run(ctx, &done)
	if r.log != nil {
		err = errors.Join(err, r.log.Close())
	}
	return done, errors.Join(err, r.db.Abandon())
}

// rescue is a recovery under way.
type rescue struct {
	flags   RecoverFlags
	dir     *dataDir
	db      *store.DB
	machine *fsm.Machine
	log     *cluster.Recovery // nil once it is finished
	failed  chan error
	flushed chan struct{}
}

// fail notes the first failure.
func (r *rescue) fail(err error) {
	select {
	case r.failed <- err:
	default:
	}
}

// broken notes that state.db was not written.
func (r *rescue) broken(err error) { r.fail(fmt.Errorf("%w: %w", ErrStorage, err)) }

// halted notes that the machine does not take an entry of the log.
func (r *rescue) halted(err error) { r.fail(refused("the log cannot be replayed: %v", err)) }

func (r *rescue) open() error {
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return err
	}
	salt, err := ledgerchain.NewSalt([]byte(r.flags.Salt))
	if err != nil {
		return Usage{fmt.Errorf("VEILNETX_SALT or --salt-file: %w", err)}
	}
	r.db, err = store.Open(store.Options{
		Path: r.dir.file(stateFile), Schema: schema, Stamp: r.dir.Identity.stamp(), Logger: slog.New(slog.DiscardHandler),
		Fatal: r.broken, Observe: func(store.Flushed) {
			select {
			case r.flushed <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		return refused("%v", err)
	}
	if err := r.openLog(salt); err != nil {
		return errors.Join(err, r.db.Abandon())
	}
	return nil
}

func (r *rescue) openLog(salt *ledgerchain.Salt) (err error) {
	if err := checkSalt(r.db, salt); err != nil {
		return err
	}
	r.machine, err = fsm.NewMachine(fsm.Options{
		DB: r.db, Modules: modules.All(), Salt: salt, Node: r.dir.Identity.NodeID, Retention: modules.Retention,
		Logger: slog.New(slog.DiscardHandler), Halt: r.halted,
	})
	if err != nil {
		return err
	}
	applied, err := r.db.DurableApplied()
	if err != nil {
		return err
	}
	r.log, err = cluster.OpenRecovery(clusterFiles(r.dir.path, r.dir.Identity, applied), snapshot.NewExchange(snapshot.Config{DB: r.db}))
	return err
}
