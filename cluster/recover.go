package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// Create makes the raft.db of a node whose state was restored: it is bound to the ids, has no entries, and has promised
// nothing below the term of cfg.State. It refuses a directory that has one. Of cfg it needs the ids, Dir and State.
func Create(cfg Config) error {
	cfg.Observe = cfg.Observe.complete()
	path := filepath.Join(cfg.Dir, fileName)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(refuse(nil, "raft.db exists: it is never overwritten"), err)
	}
	if err := os.Remove(filepath.Join(cfg.Dir, tempName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("create raft.db: %w", err)
	}
	if err := createFile(cfg); err != nil {
		return fmt.Errorf("create raft.db: %w", err)
	}
	bolt, err := openBolt(path)
	if err != nil {
		return fmt.Errorf("create raft.db: %w", err)
	}
	files, err := wrap(bolt, extent{}, cfg, newFailure(func(error) {}), seams{})
	if err != nil {
		return errors.Join(err, bolt.Close())
	}
	if err := files.votes.SetUint64([]byte(keyCurrentTerm), max(1, cfg.State.Term)); err != nil {
		return errors.Join(fmt.Errorf("create raft.db: %w", err), files.close())
	}
	return files.close()
}

// Remains is what a stopped node has left: how far its log reaches and what its state holds.
type Remains struct {
	First, Last uint64     // entries of the log, 0 if there are none
	LastIndex   uint64     // newest entry of log and state
	LastTerm    uint64     // of that entry
	CurrentTerm uint64     // of the newest election that the node has heard of
	Torn        bool       // the last write never finished, as after a power cut
	Membership  Membership // newest one behind the state; of index 0 if it is that of the state
}

// Examine reads a stopped node's raft.db and changes nothing. It returns *Refused for what Open would refuse.
// Of cfg it needs the ids, Dir and State.
func Examine(cfg Config, snapshots raft.SnapshotStore) (Remains, error) {
	r, err := openRecovery(cfg, snapshots)
	if err != nil {
		return Remains{}, err
	}
	return r.remains, r.files.close()
}

// Recovery makes a stopped node the sole voter of its cluster, when the others are lost for good. Everything in its log
// becomes committed. The steps are Replay, then the caller's record of the new membership, then Finish; a crash before
// Finish leaves a node that the same recovery, or a start, goes on with.
type Recovery struct {
	cfg     Config
	files   *storage // open for reading
	held    extent
	remains Remains
}

// OpenRecovery opens a stopped node's raft.db and changes nothing yet, or refuses with *Refused what Open would refuse.
// Of cfg it needs the ids, Dir and State.
func OpenRecovery(cfg Config, snapshots raft.SnapshotStore) (*Recovery, error) {
	r, err := openRecovery(cfg, snapshots)
	if err != nil {
		return nil, err
	}
	if r.remains.LastIndex == 0 {
		return nil, errors.Join(refuse(nil, "this node holds neither a state nor a log: there is nothing to recover"), r.files.close())
	}
	return r, nil
}

// Remains tells what the node has left.
func (r *Recovery) Remains() Remains { return r.remains }

// Replay hands every entry behind the state to the machine, whether it was committed or not. It returns how many of them
// were commands.
func (r *Recovery) Replay(ctx context.Context, machine raft.FSM, progress func(done, total uint64)) (commands uint64, err error) {
	from := max(r.remains.First, r.cfg.State.Index+1)
	total := r.remains.LastIndex - min(r.remains.LastIndex, from-1)
	for index := from; index <= r.remains.LastIndex && total > 0; index++ {
		if err := ctx.Err(); err != nil {
			return commands, err
		}
		entry := new(raft.Log)
		if err := r.files.logs.GetLog(index, entry); err != nil {
			return commands, fmt.Errorf("replay the log: %w", err)
		}
		switch entry.Type {
		case raft.LogCommand:
			commands++
			machine.Apply(entry)
		case raft.LogConfiguration:
			machine.Apply(entry)
		}
		if progress != nil {
			progress(index-from+1, total)
		}
	}
	return commands, nil
}

// SoleVoter is the membership of a cluster of one node, as raft encodes it.
func SoleVoter(nodeID, address string) []byte {
	return raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{
		ID: raft.ServerID(nodeID), Address: raft.ServerAddress(address),
	}}})
}

// DecodeMembership reads what raft encoded; nil bytes are no members.
func DecodeMembership(index uint64, encoded []byte) (m Membership, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the membership cannot be read: %v", fault)
		}
	}()
	m.Index = index
	if len(encoded) == 0 {
		return m, nil
	}
	for _, server := range raft.DecodeConfiguration(encoded).Servers {
		m.Members = append(m.Members, Member{string(server.ID), string(server.Address), server.Suffrage == raft.Voter})
	}
	return m, nil
}

// Finish drops the log, whose membership entries would contradict the state. The state must durably hold all of it.
func (r *Recovery) Finish(state State) error {
	if state.Index != r.remains.LastIndex || state.Term != r.remains.LastTerm || !state.Installed {
		return errors.Join(fmt.Errorf("the state is at entry %d of term %d, the log ends at entry %d of term %d",
			state.Index, state.Term, r.remains.LastIndex, r.remains.LastTerm), r.files.close())
	}
	if err := r.files.close(); err != nil {
		return err
	}
	bolt, err := openBolt(filepath.Join(r.cfg.Dir, fileName))
	if err != nil {
		return fmt.Errorf("open raft.db: %w", err)
	}
	files, err := wrapForWriting(bolt, r.held, r.cfg, newFailure(func(error) {}), seams{})
	if err != nil {
		return err
	}
	if err := files.logs.DeleteRange(r.remains.First, r.remains.Last); err != nil {
		return errors.Join(fmt.Errorf("drop raft log: %w", err), files.close())
	}
	return files.close()
}

// Close ends a recovery without its last step.
func (r *Recovery) Close() error { return r.files.close() }
