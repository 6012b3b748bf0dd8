package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// plan is what a start does with the log it found.
type plan int

const (
	planReplay plan = iota // adopt the state, replay what follows
	planEmpty              // nothing yet: bootstrap, or wait to be added
	planClear              // the state was installed and the log does not lead to it: drop the log, keep term and vote
)

// decide judges whether a log from entry first to last, 0 and 0 if empty, leads to the state.
// termAt returns the term of an entry of the log, raft.ErrLogNotFound if there is none.
func decide(s State, first, last uint64, termAt func(uint64) (uint64, error)) (plan, error) {
	switch {
	case s.Index == 0 && last == 0:
		return planEmpty, nil
	case s.Index == 0 && first > 1:
		return 0, refuse(nil, "the log begins at entry %d but the state is empty", first)
	case s.Index == 0:
		return planReplay, nil
	case last < s.Index && s.Installed:
		return planClear, nil
	case last < s.Index:
		return 0, refuse(nil, "the log ends at entry %d but the state is at entry %d: entries are lost", last, s.Index)
	case first == s.Index+1:
		return planReplay, nil
	case first > s.Index+1:
		return 0, refuse(nil, "the log begins at entry %d but the state is at entry %d: entries are lost", first, s.Index)
	}
	term, err := termAt(s.Index)
	switch {
	case errors.Is(err, raft.ErrLogNotFound):
		return 0, refuse(nil, "the log has no entry %d although it reaches from %d to %d", s.Index, first, last)
	case err != nil:
		return 0, refuse(err, "the log is damaged at entry %d", s.Index)
	case term == s.Term:
		return planReplay, nil
	case s.Installed:
		return planClear, nil
	}
	return 0, refuse(nil, "entry %d has term %d in the log but term %d in the state: they do not belong together", s.Index, term, s.Term)
}

// finding is what a start knows about raft.db before it writes to it.
type finding struct {
	held extent
	torn bool
	plan plan
}

// judgeFile reads raft.db and decides what the start does with it, or refuses. It runs before raft sees any file.
func judgeFile(cfg Config, path string, snapshots raft.SnapshotStore, f *failure) (found finding, err error) {
	if err := checkSnapshot(cfg.State, snapshots); err != nil {
		return finding{}, err
	}
	bolt, held, torn, err := openInspected(path)
	if err != nil {
		return finding{}, err
	}
	defer func() { err = errors.Join(err, bolt.Close()) }()
	if err := checkIdentity(bolt, cfg); err != nil {
		return finding{}, err
	}
	files, err := wrap(bolt, held, cfg, f, seams{})
	if err != nil {
		return finding{}, err
	}
	if err := files.reaches(cfg.Dir); err != nil {
		return finding{}, err
	}
	decided, err := files.judge(cfg)
	return finding{held, torn, decided}, err
}

// reaches refuses a log without an entry that is known to have been in it.
func (s *storage) reaches(dir string) error {
	end, err := readEnd(dir)
	if err != nil {
		return err
	}
	first, last, _ := s.logs.measure()
	if end.index > last {
		return refuse(nil, "the log ends at entry %d but has reached entry %d: entries are lost", last, end.index)
	}
	if end.term == 0 || end.index < first {
		return nil
	}
	switch term, err := s.logs.termAt(end.index); {
	case err != nil:
		return refuse(err, "the log is damaged at entry %d", end.index)
	case term != end.term:
		return refuse(nil, "entry %d has term %d but had term %d: the log is an older one", end.index, term, end.term)
	}
	return nil
}

// judge applies the table to the log of an inspected file and verifies the entries that count.
func (s *storage) judge(cfg Config) (plan, error) {
	first, last, _ := s.logs.measure()
	for _, end := range []uint64{first, last} {
		if _, err := s.logs.termAt(end); err != nil && end > 0 {
			return 0, refuse(err, "the log is damaged at entry %d", end)
		}
	}
	decided, err := decide(cfg.State, first, last, s.logs.termAt)
	switch {
	case err != nil:
		return 0, err
	case decided == planReplay:
		return decided, s.scan(max(first, cfg.State.Index+1), last, cfg.State)
	case decided == planEmpty && cfg.Bootstrap && (s.votes.term > 1 || s.votes.vote.candidate != nil):
		return 0, refuse(nil, "this node took part in elections of another cluster, up to term %d", s.votes.term)
	}
	return decided, s.checkTerm(cfg.State.Term)
}

// carryOut does what was decided.
func (s *storage) carryOut(decided plan, cfg Config) error {
	first, last, _ := s.logs.measure()
	switch {
	case decided == planClear:
		cfg.Logger.Warn("dropping a log that does not lead to the installed state", "first", first, "last", last, "state", cfg.State.Index)
		if err := s.logs.DeleteRange(first, last); err != nil {
			return fmt.Errorf("drop raft log: %w", err)
		}
	case decided == planEmpty && cfg.Bootstrap:
		return s.bootstrap(cfg)
	}
	return nil
}

// scan verifies every entry that raft will replay: a missing or damaged one would make raft panic.
func (s *storage) scan(from, last uint64, state State) error {
	term := state.Term
	for index := from; index <= last; index++ {
		found, err := s.logs.termAt(index)
		if err != nil {
			return refuse(err, "the log is damaged at entry %d", index)
		}
		if found < term {
			return refuse(nil, "the log falls from term %d to term %d at entry %d", term, found, index)
		}
		term = found
	}
	return s.checkTerm(term)
}

// checkTerm refuses a node whose current term is older than what it holds: its promises are lost.
func (s *storage) checkTerm(held uint64) error {
	if s.votes.term < held {
		return refuse(nil, "raft.db is in term %d but holds term %d: this node has forgotten its votes", s.votes.term, held)
	}
	return nil
}

// termAt returns the term of a verified entry.
func (s *logStore) termAt(index uint64) (uint64, error) {
	var log raft.Log
	if err := s.GetLog(index, &log); err != nil {
		return 0, err
	}
	if log.Type > raft.LogConfiguration {
		return 0, fmt.Errorf("entry %d has the unknown type %d", index, log.Type)
	}
	return log.Term, nil
}

// checkSnapshot makes sure that raft will adopt the very state that the log was judged by.
func checkSnapshot(s State, snapshots raft.SnapshotStore) error {
	list, err := snapshots.List()
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	if s.Index == 0 && len(list) == 0 {
		return nil
	}
	if s.Index == 0 || len(list) != 1 || list[0].Index != s.Index || list[0].Term != s.Term {
		return fmt.Errorf("snapshot store does not offer the state at entry %d of term %d", s.Index, s.Term)
	}
	return nil
}

// bootstrap makes this node the sole voter of a new cluster. A crash between the two writes leaves term 1 and an
// empty log, and the next start does both again; raft's own function would refuse that for ever.
func (s *storage) bootstrap(cfg Config) error {
	voters := raft.Configuration{Servers: []raft.Server{{
		ID: raft.ServerID(cfg.NodeID), Address: raft.ServerAddress(cfg.Stream.Addr().String()),
	}}}
	if err := s.votes.SetUint64([]byte(keyCurrentTerm), 1); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	first := &raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(voters)}
	if err := s.logs.StoreLog(first); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return nil
}
