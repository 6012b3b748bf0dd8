package node

import (
	"context"
	"encoding/hex"
	"fmt"

	"coffer/cluster"
	"coffer/ledgerchain"
	"coffer/snapshot"
	"coffer/store"
)

// run replays the whole log, records the new membership and drops the log. Each
// step is durable before the next; the last one alone makes the node another.
func (r *rescue) run(ctx context.Context, done *Recovered) error {
	if err := r.before(done); err != nil {
		return err
	}
	bar := newBar(r.flags.Terminal)
	commands, err := r.log.Replay(ctx, r.machine, func(replayed, all uint64) { bar.show("replay", replayed, all) })
	bar.clear()
	if err == nil {
		err = r.failure(nil)
	}
	if err != nil {
		return err
	}
	return r.record(done, commands)
}

// before describes the node as it is and makes sure that it has lost a quorum.
func (r *rescue) before(done *Recovered) (err error) {
	v := r.db.Latest()
	defer v.Close()
	applied, id := v.Applied(), r.dir.Identity
	if done.Before, err = survivor(r.dir.path, id, v, r.log.Remains()); err != nil {
		return err
	}
	members, err := newestMembers(applied, r.log.Remains())
	if err != nil {
		return err
	}
	otherVoters := 0
	for _, m := range members.Members {
		if m.Voter && m.ID != id.NodeID {
			otherVoters++
		}
		if m.ID == id.NodeID {
			done.Address = m.Address
			continue
		}
		done.Lost = append(done.Lost, m.ID)
	}
	if r.flags.Advertise != "" {
		done.Address = r.flags.Advertise
	}
	switch {
	case otherVoters == 0 && done.Address != "":
		return refused("%s is the only voter of its cluster: it has lost no quorum, just start it", id.NodeID)
	case done.Address == "":
		return refused("the membership does not say where %s is reached: give --cluster-addr", id.NodeID)
	}
	return nil
}

// record makes the state that of a sole voter in a new epoch, then drops the log.
func (r *rescue) record(done *Recovered, commands uint64) error {
	remains := r.log.Remains()
	v := r.db.Latest()
	applied, ledgerEnd := v.Applied(), ledgerchain.Size(v)
	v.Close()
	applied.Index, applied.Term = remains.LastIndex, remains.LastTerm
	applied.Epoch = max(snapshot.FirstEpoch, applied.Epoch) + 1
	applied.Membership, applied.MembershipIndex = cluster.SoleVoter(r.dir.Identity.NodeID, done.Address), remains.LastIndex
	applied.Installed = true
	done.Epoch, done.Commands, done.Digest = applied.Epoch, commands, hex.EncodeToString(applied.Digest[:])
	if remains.LastIndex > done.Before.Applied {
		done.From, done.To = done.Before.Applied+1, remains.LastIndex
	}
	if ledgerEnd > done.Before.LedgerEnd {
		done.LedgerFrom, done.LedgerTo = done.Before.LedgerEnd+1, ledgerEnd
	}
	// The note counts only once the state is in this epoch, so it may come first.
	r.dir.Identity.Epoch = &EpochNote{Number: applied.Epoch, Reason: done.reason()}
	if err := r.dir.save(); err != nil {
		return err
	}
	if err := r.persist(applied); err != nil {
		return err
	}
	log := r.log
	r.log = nil
	return log.Finish(cluster.State{Index: applied.Index, Term: applied.Term, Installed: true})
}

// persist writes the new record into state.db. It may be of the very entry that
// the file holds already, so its index does not tell when it is there.
func (r *rescue) persist(applied store.Applied) error {
	r.db.Commit(applied)
	for {
		if err := r.db.Flush(); err != nil {
			return r.failure(err)
		}
		held, err := r.db.DurableApplied()
		if err != nil {
			return r.failure(err)
		}
		if held.Epoch == applied.Epoch && held.Index == applied.Index {
			return nil
		}
		select {
		case <-r.flushed:
		case err := <-r.failed:
			return err
		}
	}
}

// failure is what went wrong in the background, else the error itself.
func (r *rescue) failure(err error) error {
	select {
	case cause := <-r.failed:
		return cause
	default:
		return err
	}
}

// reason is what the permanent record says.
func (d *Recovered) reason() string {
	if d.To == 0 {
		return fmt.Sprintf("quorum lost; recovered at entry %d of term %d, all of it proven", d.Before.LastIndex, d.Before.LastTerm)
	}
	return fmt.Sprintf("quorum lost; entries %d to %d became committed without proof", d.From, d.To)
}
