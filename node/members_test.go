package node

import (
	"testing"

	"coffer/cluster"
	"coffer/fsm"
)

// What is not committed may vanish with the next leader: a node that has said it
// would look rolled back, and lose its vote.
func TestAnAnnouncementIsOfWhatIsCommitted(t *testing.T) {
	for name, c := range map[string]struct{ last, commit, before, want uint64 }{
		"a tail that is not committed":     {120, 100, 90, 100},
		"a start that knows no commit yet": {120, 0, 100, 100},
		"less than what counted":           {99, 99, 100, 99},
		"a commit ahead of the log":        {110, 130, 100, 110},
	} {
		if got := announced(&cluster.PeerStatus{Last: c.last, Commit: c.commit}, c.before).Index; got != c.want {
			t.Errorf("%s: entry %d is announced, want %d", name, got, c.want)
		}
	}
}

// A row for each entry of a busy log would make the log busier still.
func TestAnAnnouncementIsNewsWhenMoreThanTheIndexMoves(t *testing.T) {
	known := fsm.Member{ID: "b", Address: "b:1", Seen: fsm.Announced{Boots: 3, Index: 1000, Newest: 1, At: 7}}
	seen := known.Seen
	seen.At = 0
	for name, c := range map[string]struct {
		change func(*fsm.Announced)
		news   bool
	}{
		"nothing":         {func(*fsm.Announced) {}, false},
		"a few entries":   {func(a *fsm.Announced) { a.Index += farBehind - 1 }, false},
		"many entries":    {func(a *fsm.Announced) { a.Index += farBehind }, true},
		"fewer entries":   {func(a *fsm.Announced) { a.Index-- }, true},
		"another start":   {func(a *fsm.Announced) { a.Boots++ }, true},
		"a newer program": {func(a *fsm.Announced) { a.Newest++ }, true},
		"another epoch":   {func(a *fsm.Announced) { a.Epoch++ }, true},
	} {
		now := seen
		c.change(&now)
		if got := news(known, "b:1", now); got != c.news {
			t.Errorf("%s: news is %v", name, got)
		}
	}
	if !news(known, "b:2", seen) {
		t.Error("another address is no news")
	}
}
