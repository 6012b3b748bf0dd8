package node

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coffer/cluster"
)

// TestAStrangerFindsANodeThatStarts knocks with a token that nobody made, from
// before the port listens: the node that is asked may have no cluster yet.
func TestAStrangerFindsANodeThatStarts(t *testing.T) {
	dir, address := filepath.Join(t.TempDir(), "data"), freeAddress(t)
	id, err := Init(InitFlags{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	d := &dataDir{path: dir, Identity: id}
	trusted, err := d.readSecret(authorityFile)
	if err != nil {
		t.Fatal(err)
	}
	token, err := cluster.NewToken(id.ClusterID, trusted)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		answer := make(chan error, 1)
		go func() { answer <- knock(t.Context(), token, address) }()
		h := hostPeer(t, dir, address)
		if err := <-answer; err == nil || !strings.Contains(err.Error(), errTokenInvalid.Error()) {
			t.Errorf("the answer is %v", err)
		}
		h.end(t)
	}
}

// knock asks a node to let this one in, again and again until it answers.
func knock(ctx context.Context, token cluster.Token, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	key, err := cluster.NewKey()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		_, err = cluster.Join(ctx, token, address, "stranger", "127.0.0.1:1", key)
		if errors.Is(err, cluster.ErrJoinRefused) {
			return err
		}
	}
	return err
}
