package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// invite makes a token for a newcomer, at a member that runs meanwhile.
func (b *bench) invite(t *testing.T) {
	if b.member == nil {
		b.member = &Node{ID: "member", Dir: filepath.Join(filepath.Dir(b.dir), "member"), t: t,
			HTTP: host + "241:4001", Port: host + "241:7001"}
		check(t, os.RemoveAll(b.member.Dir))
		check(t, os.CopyFS(b.member.Dir, os.DirFS(b.sole)))
		b.member.Start()
		t.Cleanup(b.member.Kill)
	}
	b.dismiss(t) // who was invited before
	b.names++
	b.token = b.newToken(t)
}

func (b *bench) newToken(t *testing.T) string {
	return strings.TrimSpace(mustRun(t, "token", "create", "--data-dir", b.member.Dir, "--node-id", b.newcomer()))
}

func (b *bench) newcomer() string { return fmt.Sprint("newcomer-", b.names) }

func (b *bench) join() []string {
	return []string{"join", "--data-dir", b.dir, "--token", b.token, "--peer", b.member.Port,
		"--cluster-addr", host + "240:7001", "--node-id", b.newcomer()}
}

// joined starts a newcomer that has become one. Until node.json is there the
// directory is nobody's, and the same node joins it with another token.
func (b *bench) joined(t *testing.T) {
	if _, err := os.Stat(filepath.Join(b.dir, "node.json")); err != nil {
		b.token = b.newToken(t)
		mustRun(t, b.join()...)
	}
	n := &Node{ID: b.newcomer(), Dir: b.dir, HTTP: host + "240:4001", Port: host + "240:7001", t: t}
	defer n.Kill()
	n.Start()
	n.Stop()
	VerifyFiles(t, n)
}

// dismiss removes a newcomer from the cluster, if it was admitted.
func (b *bench) dismiss(t *testing.T) {
	members, err := b.member.Operator().Members(t.Context())
	check(t, err)
	for _, m := range members.Members {
		if m.ID == b.newcomer() {
			mustRun(t, "cluster", "remove", "--data-dir", b.member.Dir, m.ID)
		}
	}
}
