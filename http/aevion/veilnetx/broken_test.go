package veilnetx_test

import (
	"testing"

	"coffer/fsm/fsmtest"
	"coffer/fsm/ledger"
)

const (
	verifyPath = "/api/veilnetx-ledger/chain/verify"
	healthPath = "/api/veilnetx-ledger/health"
)

func TestAChangedEntryBreaksTheChain(t *testing.T) {
	c := newChain(t)
	c.Equal(c.get(verifyPath)["valid"], true)
	c.change(3, `"amountCents":5`, `"amountCents":6`)
	answer := c.get(verifyPath)
	c.Equal([]any{answer["valid"], answer["brokenAt"], answer["reason"], answer["height"]}, []any{false, 3.0, "entry_hash_mismatch", 4.0})
	for _, member := range []string{"headHash", "rootHash", "treeSize", "expectedPrevHash"} {
		if answer[member] != nil {
			t.Errorf("a broken chain has %s %v", member, answer[member])
		}
	}
	expected, _ := answer["expectedHash"].(string)
	found, _ := answer["foundHash"].(string)
	if len(expected) != 64 || len(found) != 64 || expected == found {
		t.Errorf("expected %q, found %q", expected, found)
	}
	// Only the stretch that holds the entry is broken, and only that entry.
	c.Equal(c.get(verifyPath + "?to=2")["valid"], true)
	c.Equal(c.get(verifyPath + "?from=3&to=3")["brokenAt"], 3.0)
	for i, id := range c.ids {
		entry := c.get("/api/veilnetx-ledger/entries/" + id)
		want := "ok"
		if i == 2 {
			want = "broken"
		}
		c.Equal(entry["integrity"], want)
	}
}

func TestAScanThatFoundAFaultIsTold(t *testing.T) {
	c := newChain(t)
	c.Equal(c.get(healthPath)["status"], "ok")
	record := func(s ledger.Scan) { c.AsNode(func() { fsmtest.Must(c.Machine, ledger.RecordScan, s) }) }
	record(ledger.Scan{To: 4, BrokenAt: 2, Reason: "commitment_mismatch"})
	// The copy that was scanned is another node's; this one is good.
	answer := c.get(verifyPath)
	c.Equal([]any{answer["valid"], answer["brokenAt"], answer["reason"]}, []any{false, 2.0, "entry_hash_mismatch"})
	c.Equal([]any{answer["headHash"], answer["treeSize"], answer["expectedHash"]}, []any{nil, nil, nil})
	c.Equal(c.get(healthPath)["status"], "degraded")
	c.Equal(c.get("/api/veilnetx/health")["status"], "degraded")
	// This one has the fault as well.
	c.change(2, `"kind":"mint"`, `"kind":"burn"`)
	answer = c.get(verifyPath)
	c.Equal([]any{answer["valid"], answer["brokenAt"], answer["from"], answer["to"]}, []any{false, 2.0, 1.0, 2.0})
	if expected, _ := answer["expectedHash"].(string); len(expected) != 64 {
		t.Errorf("expected %q", expected)
	}
}
