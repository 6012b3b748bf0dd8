package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func TestRaftErrorsAreClassified(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind error
	}{
		{raft.ErrNotLeader, ErrNotApplied},
		{raft.ErrLeadershipTransferInProgress, ErrNotApplied},
		{raft.ErrEnqueueTimeout, ErrNotApplied},
		{raft.ErrLeadershipLost, ErrUnknown},
		{raft.ErrRaftShutdown, ErrUnknown}, // raft also answers so after the commit
		{raft.ErrAbortedByRestore, ErrUnknown},
		{errors.New("anything else"), ErrUnknown},
	} {
		got := classify(c.err)
		if !errors.Is(got, c.kind) || errors.Is(got, ErrNotApplied) == errors.Is(got, ErrUnknown) {
			t.Errorf("%v is classified %v, want exactly %v", c.err, got, c.kind)
		}
	}
}

func TestWhichErrorsAreTriedAgain(t *testing.T) {
	for _, c := range []struct {
		err              error
		certain, inDoubt bool
	}{
		{errNotLeader, true, true},
		{unknown(raft.ErrLeadershipLost), true, true},
		{errOverloaded, false, true}, // shed at once, unless an earlier attempt may have been applied
		{errStopping, false, false},
		{notApplied(context.DeadlineExceeded), false, false},
		{unknown(context.Canceled), false, false},
		{unknown(raft.ErrAbortedByRestore), false, false},
		{notApplied(fmt.Errorf("seal request: %w", errors.New("x"))), false, false},
	} {
		if got := retryable(c.err, false); got != c.certain {
			t.Errorf("%v: retry %v, want %v", c.err, got, c.certain)
		}
		if got := retryable(c.err, true); got != c.inDoubt {
			t.Errorf("%v in doubt: retry %v, want %v", c.err, got, c.inDoubt)
		}
	}
}

func TestRefusedNamesReasonAndCause(t *testing.T) {
	cause := errors.New("page 7: referenced twice")
	err := refuse(cause, "raft.db is damaged")
	var refused *Refused
	if !errors.As(err, &refused) || refused.Reason != "raft.db is damaged" || !errors.Is(err, cause) {
		t.Errorf("refusal %#v", err)
	}
	if got, want := err.Error(), "refused to start: raft.db is damaged: page 7: referenced twice"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}
