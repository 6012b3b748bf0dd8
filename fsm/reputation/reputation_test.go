package reputation_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/outbox"
	"coffer/fsm/reputation"
	"coffer/store"
)

// service acts as a holder of the service key from now on.
func service(b *bank.Bank) *bank.Bank {
	b.As(fsm.Actor{Kind: fsm.Service, ID: "ztide"})
	return b
}

func ingest(b *bank.Bank, user string, weight int64) reputation.Added {
	b.Helper()
	return fsmtest.Must(b.Machine, reputation.IngestEvent, reputation.Ingest{
		User: store.ID(user), Kind: "helpful-comment", Source: "external", Weight: weight, Meta: `{"n":1}`})
}

func TestEveryRejectionOfReputationIsReached(t *testing.T) {
	bank.CheckRefusals(t, "reputation.", []bank.Refusal{
		bank.On("reputation.ingest/1", "admin_or_service_key_required", func(b *bank.Bank) error {
			b.Set("ZTIDE_ADMIN_EMAILS", "admin@example.org")
			b.Register("ann@example.org")
			return bank.Submit(b, reputation.IngestEvent, reputation.Ingest{User: "u"})
		}),
		bank.On("reputation.claim_streak/1", "auth_required", func(b *bank.Bank) error {
			return bank.Submit(service(b), reputation.ClaimStreak, fsm.Nothing{})
		}),
		bank.On("reputation.claim_streak/1", "streak_cooldown", func(b *bank.Bank) error {
			b.Register("ann@example.org")
			fsmtest.Must(b.Machine, reputation.ClaimStreak, fsm.Nothing{})
			return bank.Submit(b, reputation.ClaimStreak, fsm.Nothing{})
		}),
	})
}

func TestWhoMayIngest(t *testing.T) {
	b := bank.New(t, fsmtest.Options{})
	in := reputation.Ingest{User: "usr_any", Kind: "bureau-cert", Source: "bureau", Weight: 10}
	for _, who := range []fsm.Actor{{}, {Kind: fsm.Node, ID: "n"}, {Kind: fsm.Operator, ID: "o"}} {
		b.As(who)
		fsmtest.Rejects(b.Machine, reputation.IngestEvent, in, reputation.ErrNotAllowed)
	}
	b.As(b.Admin())
	fsmtest.Must(b.Machine, reputation.IngestEvent, in)
	fsmtest.Must(service(b).Machine, reputation.IngestEvent, in)
	b.Equal(b.Score("usr_any"), int64(20))
}

func TestTheLadder(t *testing.T) {
	b := service(bank.New(t, fsmtest.Options{}))
	score := int64(0)
	for _, step := range []struct {
		to             int64
		previous, rank string
		next           int64
	}{
		{-7, "seedling", "seedling", 50}, {0, "seedling", "seedling", 50}, {49, "seedling", "seedling", 50}, {50, "seedling", "sprout", 140},
		{139, "sprout", "sprout", 140}, {142, "sprout", "steady", 500}, {132, "steady", "sprout", 140}, {140, "sprout", "steady", 500},
		{1499, "steady", "strong", 1500}, {1500, "strong", "titan", 0}, {-1_000_000, "titan", "seedling", 50}, {2000, "seedling", "titan", 0},
	} {
		got := ingest(b, "usr_1", step.to-score)
		score = step.to
		b.Equal([]any{got.Score, got.Previous.ID, got.Rank.ID, got.Rank.Next}, []any{step.to, step.previous, step.rank, step.next})
		b.Read(func(v *store.View) {
			last := outbox.At(v, outbox.Length(v)-1)
			b.Equal(last.Kind, "reputation.scored")
			before := outbox.At(v, max(outbox.Length(v), 2)-2)
			b.Equal(before.Kind == "reputation.rank_changed" && before.At == last.At, step.previous != step.rank)
			rank, _ := last.Facts[4], 0
			b.Equal(rank, fsm.Text("newRank", step.rank))
		})
	}
}

// 139 and three more: the contract's example.
func TestAPromotionAndADemotion(t *testing.T) {
	b := service(bank.New(t, fsmtest.Options{}))
	ingest(b, "usr_1", 139)
	up := ingest(b, "usr_1", 3)
	b.Equal([]any{up.Score, up.Previous.ID, up.Rank}, []any{int64(142), "sprout", reputation.Rank{ID: "steady", Min: 140, Next: 500}})
	down := ingest(b, "usr_1", -10)
	b.Equal([]any{down.Score, down.Previous.ID, down.Rank.ID}, []any{int64(132), "steady", "sprout"})
}

func TestTheLadderIsASetting(t *testing.T) {
	b := service(bank.New(t, fsmtest.Options{}))
	ingest(b, "usr_1", 10)
	b.Set("ZTIDE_RANKS", "drop:0,river:10")
	b.Read(func(v *store.View) {
		b.Equal(reputation.Ladder(v), []reputation.Rank{{ID: "drop", Next: 10}, {ID: "river", Min: 10}})
		b.Equal(reputation.RankOf(reputation.Ladder(v), 10).ID, "river")
		b.Equal(reputation.RankOf(reputation.Ladder(v), -5).ID, "drop")
	})
	service(b)
	b.Equal(ingest(b, "usr_1", 1).Previous.ID, "river")
	b.Set("ZTIDE_RANKS", "only:0")
	service(b)
	b.Equal(ingest(b, "usr_1", 1).Rank, reputation.Rank{ID: "only"})
}

func TestOlderClientsSeeTheirLadder(t *testing.T) {
	b := service(bank.New(t, fsmtest.Options{}))
	b.Set("AEVION_COMPAT", "legacy")
	service(b)
	b.Equal(ingest(b, "usr_1", 250).Rank, reputation.Rank{ID: "wave", Min: 200, Next: 750})
	b.Set("ZTIDE_RANKS", "drop:0,river:10") // what an operator sets wins
	service(b)
	b.Equal(ingest(b, "usr_1", 1).Rank, reputation.Rank{ID: "river", Min: 10})
}

func TestTheLoginStreakHasACooldown(t *testing.T) {
	b := bank.New(t, fsmtest.Options{})
	ann := b.Register("ann@example.org")
	first := fsmtest.Must(b.Machine, reputation.ClaimStreak, fsm.Nothing{})
	b.Equal([]any{first.Score, first.At}, []any{int64(1), b.Clock})
	next := b.Clock + store.Time(20*store.Hour)
	b.Clock = next - 2
	refused := fsmtest.Rejects(b.Machine, reputation.ClaimStreak, fsm.Nothing{}, reputation.ErrCooldown)
	at, _ := refused.Detail("nextAvailableAt")
	b.Equal(at.Text, next.String())
	second := fsmtest.Must(b.Machine, reputation.ClaimStreak, fsm.Nothing{})
	b.Equal([]any{second.Score, second.At}, []any{int64(2), next})
	bob := b.Register("bob@example.org") // everybody has their own
	fsmtest.Must(b.Machine, reputation.ClaimStreak, fsm.Nothing{})
	b.Equal([]int64{b.Score(ann.ID), b.Score(bob.ID)}, []int64{2, 1})
	service(b)
	ingest(b, ann.ID, 5) // other events do not start it again
	b.As(ann)
	b.Clock = next + store.Time(20*store.Hour)
	fsmtest.Must(b.Machine, reputation.ClaimStreak, fsm.Nothing{})
	b.Read(func(v *store.View) {
		e := reputation.Recent(v, store.ID(ann.ID), 1)[0]
		b.Equal([]any{e.Kind, e.Source, e.Weight}, []any{"login-streak", "auth", int64(1)})
	})
}

func TestDefaultWeights(t *testing.T) {
	for kind, want := range map[string]int64{
		"qpaynet-deposit": 2, "qpaynet-payout": 3, "qpaynet-active": 1, "qmaskcard-risk-flag": -2, "qchaingov-author": 5, "qchaingov-voter": 1,
		"qgood-donor": 4, "qgood-organizer": 2, "login-streak": 1, "helpful-comment": 2, "bureau-cert": 10, "build-hire": 15, "qgood-donation": 5,
		"qcontract-share": 3, "qsign-sign": 2, "qright-protect": 5, "referral-success": 20,
	} {
		if got, ok := reputation.Weight(kind); !ok || got != want {
			t.Errorf("%s weighs %d, %v", kind, got, ok)
		}
	}
	kinds := reputation.Kinds()
	if len(kinds) != 17 || !slices.IsSorted(kinds) {
		t.Errorf("kinds %v", kinds)
	}
	if _, ok := reputation.Weight("unknown"); ok {
		t.Error("an unknown kind has a weight")
	}
}

// standing is what the leaderboard orders by.
type standing struct {
	user   string
	score  int64
	lastAt store.Time
}

func TestTheLeaderboardIsInOrder(t *testing.T) {
	seed := fsmtest.RandomSeed()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := service(bank.New(t, fsmtest.Options{FlushBytes: 16 << 10}))
	model := map[string]standing{}
	var weights []int64
	for range 250 {
		user, weight := fmt.Sprint("usr_", random.IntN(25)), int64(random.IntN(9)-4)
		ingest(b, user, weight)
		weights = append(weights, weight)
		s := model[user]
		model[user] = standing{user, s.score + weight, b.Clock}
	}
	var want []standing
	for _, s := range model {
		want = append(want, s)
	}
	slices.SortFunc(want, func(a, b standing) int {
		if a.score != b.score {
			return int(b.score - a.score)
		}
		if a.lastAt != b.lastAt {
			return int(a.lastAt - b.lastAt)
		}
		return strings.Compare(a.user, b.user)
	})
	b.Read(func(v *store.View) {
		var got []standing
		var plain []int64
		var cursor store.Cursor
		for {
			page, next := store.Collect(reputation.Leaders(v, cursor), 4)
			for _, s := range page {
				got = append(got, standing{string(s.User), s.Score, s.LastAt})
			}
			if next == nil {
				break
			}
			cursor = next
		}
		for i := range want {
			b.Equal([]any{got[i].user, got[i].score, got[i].lastAt}, []any{want[i].user, want[i].score, want[i].lastAt})
		}
		b.Equal(len(got), len(want))
		var sum int64
		for score := range reputation.AllScores(v) {
			plain = append(plain, score)
		}
		for i := range want {
			b.Equal(plain[i], want[i].score)
			sum += want[i].score
		}
		b.Equal(reputation.TotalsOf(v), reputation.Totals{Users: int64(len(want)), Events: 250, Weight: sum})
		b.Equal(reputation.EventCount(v), uint64(250))
		for i, weight := range weights {
			b.Equal(reputation.EventAt(v, uint64(i)).Weight, weight)
		}
	})
}

func TestEventsSinceATime(t *testing.T) {
	b := service(bank.New(t, fsmtest.Options{}))
	var times []store.Time
	for range 20 {
		ingest(b, "usr_1", 1)
		times = append(times, b.Clock)
		b.Advance(store.Minute)
	}
	b.Read(func(v *store.View) {
		b.Equal(reputation.Since(v, 0), uint64(0))
		for i, at := range times {
			b.Equal(reputation.Since(v, at), uint64(i))
			b.Equal(reputation.Since(v, at+1), uint64(i+1))
			b.Equal(reputation.Since(v, at-1), uint64(i))
		}
		b.Equal(reputation.Since(v, 1<<62), uint64(20))
	})
	empty := bank.New(t, fsmtest.Options{Unchecked: true})
	empty.Read(func(v *store.View) { b.Equal(reputation.Since(v, 5), uint64(0)) })
}

func TestRecentEventsAreTheUsersOwn(t *testing.T) {
	b := service(bank.New(t, fsmtest.Options{}))
	for i := range int64(10) {
		ingest(b, fmt.Sprint("usr_", i%2), i)
	}
	b.Read(func(v *store.View) {
		var weights []int64
		for _, e := range reputation.Recent(v, "usr_1", 3) {
			b.Equal([]any{e.User, e.Kind, e.Source, e.Meta}, []any{store.ID("usr_1"), "helpful-comment", "external", `{"n":1}`})
			weights = append(weights, e.Weight)
		}
		b.Equal(weights, []int64{9, 7, 5})
		b.Equal(len(reputation.Recent(v, "usr_0", 50)), 5)
		b.Equal(len(reputation.Recent(v, "usr_9", 50)), 0)
		b.Equal(reputation.Of(v, "usr_9"), reputation.Score{User: "usr_9"})
	})
}

// A score is a number without end for its users: it stops at the ends of int64.
func TestScoresStopAtTheirEnds(t *testing.T) {
	b := service(bank.New(t, fsmtest.Options{}))
	ingest(b, "usr_1", 1<<63-1)
	b.Equal(ingest(b, "usr_1", 5).Score, int64(1<<63-1))
	b.Equal(ingest(b, "usr_1", -(1<<63-1)).Score, int64(0))
	b.Equal(ingest(b, "usr_1", -(1<<63-1)).Score, int64(-(1<<63 - 1)))
	b.Equal(ingest(b, "usr_1", -9).Score, int64(-(1 << 63)))
}
