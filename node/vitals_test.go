package node

import (
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/cluster"
	"coffer/fsm"
	coffer "coffer/http"
	"coffer/http/admin"
)

// wellFollower is a follower against which nothing speaks.
func wellFollower() vitals {
	return vitals{node: "b", leader: "a", silence: time.Second, heartbeat: time.Second, looked: true, behind: maxBehind, clock: maxClock - 1}
}

// TestReadinessOfEachRole goes through every reason and says for which roles it
// counts.
func TestReadinessOfEachRole(t *testing.T) {
	const usual, leading, stale = coffer.RoleAny, coffer.RoleLeader, coffer.RoleStaleRead
	alarm := func(kind, node string) func(*vitals) {
		return func(v *vitals) { v.alarms = append(v.alarms, fsm.Alarm{Kind: kind, Node: node}) }
	}
	lead := func(v *vitals) { v.leads, v.prepared, v.leader = true, true, v.node }
	for name, c := range map[string]struct {
		change func(*vitals)
		reason string
		counts []coffer.Role // for which it must be a reason, and for no other
	}{
		"well":              {func(*vitals) {}, "does not lead", []coffer.Role{leading}},
		"leads":             {lead, "", nil},
		"has not begun":     {func(v *vitals) { lead(v); v.prepared = false }, "not begun its term", []coffer.Role{usual, leading}},
		"drains":            {func(v *vitals) { lead(v); v.draining = true }, "draining", []coffer.Role{usual, leading, stale}},
		"broken":            {func(v *vitals) { lead(v); v.broken = errors.New("disk") }, "stopped: disk", []coffer.Role{usual, leading, stale}},
		"nobody leads":      {func(v *vitals) { v.leader = "" }, "no leader", []coffer.Role{usual, leading}},
		"silence":           {func(v *vitals) { v.silence = 3*time.Second + 1 }, "silent for 3s", []coffer.Role{usual, leading, stale}},
		"silence of itself": {func(v *vitals) { lead(v); v.silence = time.Hour }, "", nil},
		"no look":           {func(v *vitals) { v.looked = false }, "has not said yet", []coffer.Role{usual, leading, stale}},
		"behind":            {func(v *vitals) { v.behind++ }, "1001 entries behind", []coffer.Role{usual, leading, stale}},
		"a fast clock":      {func(v *vitals) { lead(v); v.clock = maxClock }, "clock is 500ms off", []coffer.Role{usual, leading}},
		"a slow clock":      {func(v *vitals) { lead(v); v.clock = -maxClock }, "clock is -500ms off", []coffer.Role{usual, leading}},
		"no space":          {func(v *vitals) { lead(v); alarm(fsm.NoSpace, "c")(v) }, "alarm no_space of c", []coffer.Role{usual, leading}},
		"another diverged":  {func(v *vitals) { lead(v); alarm(fsm.Diverged, "c")(v) }, "alarm diverged of c", []coffer.Role{usual, leading}},
		"diverged":          {func(v *vitals) { lead(v); alarm(fsm.Diverged, "b")(v) }, "alarm diverged of b", []coffer.Role{usual, leading, stale}},
		"rolled back":       {func(v *vitals) { lead(v); alarm(fsm.RolledBack, "b")(v) }, "alarm rolled_back of b", []coffer.Role{usual, leading, stale}},
		"a peer's clock":    {func(v *vitals) { lead(v); alarm(fsm.ClockSkew, "c")(v) }, "", nil},
		"its clock":         {func(v *vitals) { lead(v); alarm(fsm.ClockSkew, "b")(v) }, "alarm clock_skew of b", []coffer.Role{usual, leading}},
	} {
		v := wellFollower()
		c.change(&v)
		for _, role := range []coffer.Role{usual, leading, stale} {
			reasons := slices.DeleteFunc(v.reasons(role), func(reason string) bool {
				return name != "well" && role == leading && reason == "this node does not lead"
			})
			if !slices.Contains(c.counts, role) {
				if len(reasons) > 0 {
					t.Errorf("%s: not ready for %q: %v", name, role, reasons)
				}
			} else if len(reasons) != 1 || !strings.Contains(reasons[0], c.reason) {
				t.Errorf("%s: for %q the reasons are %q, want %q", name, role, reasons, c.reason)
			}
		}
	}
}

// TestTheClockOfMostNodesIsRight asks whose clock is off.
func TestTheClockOfMostNodesIsRight(t *testing.T) {
	peer := func(id string, offset, roundTrip time.Duration) cluster.Peer {
		return cluster.Peer{Member: cluster.Member{ID: id}, Status: &cluster.PeerStatus{}, ClockOffset: offset, RoundTrip: roundTrip}
	}
	own, silent := peer("b", 0, 0), cluster.Peer{Member: cluster.Member{ID: "c"}}
	const s = time.Second
	for name, c := range map[string]struct {
		peers  []cluster.Peer
		leader string
		want   time.Duration
	}{
		"alone":                     {[]cluster.Peer{own}, "b", 0},
		"a peer's":                  {[]cluster.Peer{peer("a", 0, 0), own, peer("c", 9*s, 0)}, "a", 0},
		"the leader's":              {[]cluster.Peer{peer("a", 9*s, 0), own, peer("c", 0, 0)}, "a", 0},
		"its own":                   {[]cluster.Peer{peer("a", 9*s, 0), own, peer("c", 8*s, 0)}, "a", -8 * s},
		"its own, which leads":      {[]cluster.Peer{peer("a", -9*s, 0), own, peer("c", -9*s, 0)}, "b", 9 * s},
		"of two the follower's":     {[]cluster.Peer{peer("a", 2*s, 0), own, silent}, "a", -2 * s},
		"of two not the leader's":   {[]cluster.Peer{peer("a", 2*s, 0), own, silent}, "b", 0},
		"of four not one":           {[]cluster.Peer{own, peer("a", 0, 0), peer("c", 0, 0), peer("d", 7*s, 0)}, "a", 0},
		"of four not the follower":  {[]cluster.Peer{own, peer("a", 0, 0), peer("c", -7*s, 0), peer("d", 7*s, 0)}, "a", 0},
		"a slow answer is no proof": {[]cluster.Peer{peer("a", 2*s, 4*s), own}, "a", 0},
		"half of it is":             {[]cluster.Peer{peer("a", 2*s, 2*s), own}, "a", -s},
	} {
		if got := clockOff(c.peers, "b", c.leader); got != c.want {
			t.Errorf("%s: %v off, want %v", name, got, c.want)
		}
	}
}

// readiness asks the public listener of a node.
func readiness(t *testing.T, h *hosted, query string) (status int, reasons []string) {
	t.Helper()
	response, err := http.Get(h.URL() + "/readyz" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct{ Reasons []string }
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body.Reasons
}

// wantReadiness waits for a status of /readyz with a reason, "" for none.
func wantReadiness(t *testing.T, h *hosted, query string, want int, reason string) {
	t.Helper()
	eventually(t, "/readyz"+query+" of "+h.dir.Identity.NodeID+" says "+reason, func() bool {
		status, reasons := readiness(t, h, query)
		return status == want && strings.Contains(strings.Join(reasons, "; "), reason)
	})
}

// TestReadinessOfACluster lets a node join far behind, which must not be ready
// before it has caught up, and then asks leader and follower in each role.
func TestReadinessOfACluster(t *testing.T) {
	t.Parallel()
	root, address := t.TempDir(), freeAddress(t)
	first, second := filepath.Join(root, "a"), filepath.Join(root, "b")
	if _, err := initAs(InitFlags{DataDir: first}, "a"); err != nil {
		t.Fatal(err)
	}
	leader := hostPeer(t, first, address)
	defer leader.end(t)
	for range 2 * maxBehind {
		if _, err := fsm.Assert.Submit(leader.self(t.Context()), leader, fsm.Assertion{}); err != nil {
			t.Fatal(err)
		}
	}
	far := leader.cluster.Status().Commit
	c := operators{t, NewOperator(first)}
	var made admin.TokenMade
	if err := json.Unmarshal(c.done("POST", "/admin/v1/tokens", `{"seconds":60}`), &made); err != nil {
		t.Fatal(err)
	}
	own := freeAddress(t)
	if _, err := Join(t.Context(), JoinFlags{DataDir: second, Token: made.Token, Peer: address, Advertise: own, NodeID: "b"}); err != nil {
		t.Fatal(err)
	}
	follower := mustHost(t, second, func(c *Config) { c.Cluster, c.Secrets = own, Secrets{} })
	defer follower.end(t)
	eventually(t, "the follower is ready", func() bool { return len(follower.Reasons(coffer.RoleStaleRead)) == 0 })
	if at := follower.machine.Applied(); at+maxBehind < far {
		t.Errorf("the follower is ready at entry %d, the leader has committed %d", at, far)
	}
	askRoles(t, c, leader, follower)
}

// askRoles asks a leader and a follower in each role, without an alarm and with.
func askRoles(t *testing.T, c operators, leader, follower *hosted) {
	t.Helper()
	for _, query := range []string{"?role=follower", "?role=leader&role=leader", "?role=Leader"} {
		wantReadiness(t, leader, query, http.StatusBadRequest, "role must be")
	}
	for _, query := range []string{"", "?role=leader", "?role=stale-read"} {
		wantReadiness(t, leader, query, http.StatusOK, "")
	}
	wantReadiness(t, follower, "", http.StatusOK, "")
	wantReadiness(t, follower, "?role=stale-read", http.StatusOK, "")
	wantReadiness(t, follower, "?role=leader", http.StatusServiceUnavailable, "does not lead")
	if !leader.raise(fsm.NoSpace, "a test") {
		t.Fatal("no alarm")
	}
	wantReadiness(t, follower, "", http.StatusServiceUnavailable, "alarm no_space of a")
	wantReadiness(t, follower, "?role=stale-read", http.StatusOK, "")
	c.done("POST", "/admin/v1/alarms/disarm", `{"kind":"no_space","node":"a"}`)
	wantReadiness(t, follower, "", http.StatusOK, "")
}
