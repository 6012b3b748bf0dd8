package modules_test

import (
	"fmt"
	"math/rand/v2"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/reputation"
	"coffer/fsm/settings"
	"coffer/fsm/wallet"
	"coffer/store"
)

// crowd makes the random requests of a history: mostly sensible ones, some that
// are late, foreign, repeated or hostile.
type crowd struct {
	*model
	random *rand.Rand
	at     *fsmtest.Machine
	sent   []fsm.Request
}

// wish is one kind of request and how often it is made.
type wish struct {
	weight int
	make   func(c *crowd) fsm.Request
}

var wishes = []wish{
	{3, (*crowd).register}, {5, (*crowd).login}, {2, (*crowd).leave}, {1, (*crowd).delete},
	{3, (*crowd).submitKYC}, {3, (*crowd).decideKYC},
	{6, (*crowd).openWallet}, {1, (*crowd).updateWallet}, {3, (*crowd).closeWallet}, {5, (*crowd).freezeWallet},
	{14, (*crowd).deposit}, {8, (*crowd).withdraw}, {20, (*crowd).transfer}, {10, (*crowd).transferMany},
	{3, (*crowd).setting}, {4, (*crowd).reputation}, {1, (*crowd).external}, {2, (*crowd).operate}, {6, (*crowd).hold},
	{6, (*crowd).again},
}

// next makes a random request.
func (c *crowd) next() fsm.Request {
	if len(c.alarms) > 0 && c.oneIn(6) {
		return c.operate()
	}
	total := 0
	for _, w := range wishes {
		total += w.weight
	}
	at := c.random.IntN(total)
	for _, w := range wishes {
		if at -= w.weight; at < 0 {
			r := w.make(c)
			r.KeepRejection = r.KeepRejection || c.oneIn(20)
			c.sent = append(c.sent, r)
			return r
		}
	}
	panic("unreachable")
}

func (c *crowd) oneIn(n int) bool { return c.random.IntN(n) == 0 }

// as makes a request of an actor, rarely of one that may not.
func as[In, Out any](c *crowd, who fsm.Actor, command fsm.Command[In, Out], in In) fsm.Request {
	if c.oneIn(40) {
		who = []fsm.Actor{{}, {Kind: fsm.Service, ID: "key"}, {Kind: fsm.User, ID: who.ID, Session: "ses_0"}, {Kind: fsm.User, ID: "usr_0", Session: who.Session}}[c.random.IntN(4)]
	}
	c.at.As(who)
	r := fsmtest.Request(c.at, command, in)
	r.BodyHash = [32]byte{byte(len(r.Payload)), byte(c.random.IntN(256))}
	return r
}

func one[T any](c *crowd, of []T) (some T) {
	if len(of) == 0 {
		return some
	}
	return of[c.random.IntN(len(of))]
}

var node = fsm.Actor{Kind: fsm.Node, ID: "node-1"}

// open are all actors with a session that holds.
func (c *crowd) open() []fsm.Actor { return c.sessions(true) }

func (c *crowd) sessions(open bool) (actors []fsm.Actor) {
	for _, id := range sortedKeys(c.session) {
		if s := c.session[id]; s.open == open {
			actors = append(actors, fsm.Actor{Kind: fsm.User, ID: s.of.id, Session: id, Email: s.of.email, IP: "192.0.2.1", Agent: "crowd"})
		}
	}
	return actors
}

// user is somebody with a session, rarely a closed one, and rarely without a
// wallet.
func (c *crowd) user() (who fsm.Actor) {
	open := c.open()
	if len(open) == 0 || c.oneIn(50) {
		return one(c, c.sessions(false))
	}
	for range 4 {
		who = one(c, open)
		for _, w := range c.purses {
			if w.of.id == who.ID && w.status == wallet.Active {
				return who
			}
		}
	}
	return who
}

func (c *crowd) anybody() *person { return one(c, c.people) }

func (c *crowd) email() string {
	if p := c.anybody(); p != nil && p.email != "" && !c.oneIn(6) {
		return p.email
	}
	return fmt.Sprintf("user%d@example.org", c.random.IntN(14))
}

// walletOf is a wallet of somebody, rarely of somebody else or of nobody.
func (c *crowd) walletOf(who fsm.Actor) store.ID {
	var own []store.ID
	for _, w := range c.purses {
		if w.of.id == who.ID && (w.status == wallet.Active || c.oneIn(5)) {
			own = append(own, w.id)
		}
	}
	if len(own) == 0 || c.oneIn(25) {
		return c.anyWallet()
	}
	return one(c, own)
}

func (c *crowd) anyWallet() store.ID {
	if len(c.purses) == 0 || c.oneIn(25) {
		return "wal_0"
	}
	return one(c, c.purses).id
}

// amount is small, mostly, or about as large as a cap.
func (c *crowd) amount() ledger.Amount {
	switch c.random.IntN(10) {
	case 0:
		return ledger.Amount(one(c, []int64{1, 999, 1000, 1001, 50_000, 10_000_000, 10_000_001, 50_000_000, 50_000_001, 20_000, 20_001}))
	case 1, 2:
		return ledger.Amount(1 + c.random.Int64N(20_000_000))
	}
	return ledger.Amount(1 + c.random.Int64N(100_000))
}

func (c *crowd) reference() string {
	if c.oneIn(4) {
		return fmt.Sprint("ref", c.random.IntN(6))
	}
	return ""
}

func (c *crowd) currency() string {
	if c.oneIn(8) {
		return one(c, []string{"KZT", "USD"})
	}
	return ""
}

func (c *crowd) register() fsm.Request {
	return as(c, fsm.Actor{}, identity.RegisterUser, identity.Register{Surface: identity.AEVION, Email: c.email(), Name: "Some Body", Hash: "$argon2id$"})
}

func (c *crowd) login() fsm.Request {
	in := identity.Login{Surface: identity.AEVION, User: "usr_0", Version: 1}
	if p := c.anybody(); p != nil {
		in.User, in.Version = store.ID(p.id), p.version
	}
	if c.oneIn(8) {
		return as(c, fsm.Actor{}, identity.RecordFailure, identity.Failure{User: in.User, Action: "login.failed"})
	}
	if c.oneIn(6) {
		in.Version++
	}
	return as(c, fsm.Actor{}, identity.StartSession, in)
}

func (c *crowd) leave() fsm.Request {
	who := c.user()
	switch c.random.IntN(4) {
	case 0:
		return as(c, who, identity.RevokeSession, identity.EndSession{Session: store.ID(c.user().Session), Action: "session.revoke"})
	case 1:
		return as(c, who, identity.RevokeOthers, identity.EndSessions{Surface: identity.AEVION})
	case 2:
		version := uint64(1)
		if p := c.person(who.ID); p != nil {
			version = p.version
		}
		return as(c, who, identity.SetPassword, identity.ChangePassword{Surface: identity.AEVION, Version: version, Hash: "new"})
	}
	return as(c, who, identity.RevokeSession, identity.EndSession{Session: store.ID(who.Session), Action: "logout"})
}

func (c *crowd) delete() fsm.Request {
	if c.oneIn(2) {
		return c.register()
	}
	return as(c, c.user(), identity.DeleteAccount, identity.Delete{Surface: identity.AEVION})
}

func (c *crowd) submitKYC() fsm.Request {
	return as(c, c.user(), identity.SubmitKYC, identity.Submit{FullName: "Some Body", IIN: "123456789012"})
}

// administrator is whoever the setting names, if they have a session.
func (c *crowd) administrator() fsm.Actor {
	for range 20 {
		if who := c.user(); who.Email == c.admin {
			return who
		}
	}
	return c.user()
}

func (c *crowd) decideKYC() fsm.Request {
	in := identity.Decide{User: "usr_0", Verify: !c.oneIn(3), Reason: "blurred"}
	for range 5 {
		if p := c.anybody(); p != nil && (p.kyc == identity.KYCPending || c.oneIn(10)) {
			in.User = store.ID(p.id)
		}
	}
	return as(c, c.administrator(), identity.DecideKYC, in)
}

func (c *crowd) openWallet() fsm.Request {
	return as(c, c.user(), wallet.OpenWallet, wallet.Open{Currency: one(c, []string{"KZT", "KZT", "USD", "EUR"}), Name: one(c, []string{"", "savings"})})
}

func (c *crowd) updateWallet() fsm.Request {
	who := c.user()
	return as(c, who, wallet.UpdateWallet, wallet.Update{ID: c.walletOf(who), Name: "renamed", SetMetadata: true, Metadata: "{}"})
}

func (c *crowd) closeWallet() fsm.Request {
	who := c.user()
	id := c.walletOf(who)
	for _, w := range c.purses {
		if w.of.id == who.ID && w.balance == 0 && c.oneIn(2) {
			id = w.id
		}
	}
	return as(c, who, wallet.CloseWallet, wallet.Close{ID: id})
}

func (c *crowd) freezeWallet() fsm.Request {
	for _, w := range c.purses {
		if w.status == wallet.Frozen && c.oneIn(3) {
			return as(c, c.administrator(), wallet.UnfreezeWallet, wallet.Freeze{ID: w.id, Reason: "all good"})
		}
	}
	if c.oneIn(3) {
		return as(c, c.administrator(), wallet.FreezeWallet, wallet.Freeze{ID: c.anyWallet(), Reason: "check it"})
	}
	return as(c, c.administrator(), wallet.UnfreezeWallet, wallet.Freeze{ID: c.anyWallet(), Reason: "all good"})
}

func (c *crowd) deposit() fsm.Request {
	who := c.user()
	return as(c, who, wallet.DepositFunds, wallet.Payment{Wallet: c.walletOf(who), Amount: c.amount(), Currency: c.currency(), Memo: "m", Reference: c.reference()})
}

func (c *crowd) withdraw() fsm.Request {
	who := c.user()
	return as(c, who, wallet.WithdrawFunds, wallet.Payment{Wallet: c.walletOf(who), Amount: c.amount(), Currency: c.currency(), Reference: c.reference()})
}

func (c *crowd) row(who fsm.Actor) wallet.Transfer {
	t := wallet.Transfer{From: c.walletOf(who), Amount: c.amount(), Currency: c.currency(), Memo: one(c, []string{"", "rent", "\u0007\"\\"}), Reference: c.reference()}
	if c.oneIn(3) {
		t.ToEmail = c.email()
		return t
	}
	for range 4 { // mostly one that money may go to
		t.To = c.anyWallet()
		from, to := c.purse(t.From), c.purse(t.To)
		if from != nil && to != nil && from != to && from.currency == to.currency && to.status == wallet.Active {
			break
		}
	}
	return t
}

func (c *crowd) transfer() fsm.Request {
	who := c.user()
	return as(c, who, wallet.TransferFunds, c.row(who))
}

func (c *crowd) transferMany() fsm.Request {
	who := c.user()
	in := wallet.Transfers{Atomic: c.oneIn(3)}
	for range 1 + c.random.IntN(12) {
		in.Rows = append(in.Rows, c.row(who))
	}
	return as(c, who, wallet.TransferMany, in)
}

func (c *crowd) setting() fsm.Request {
	changes := []settings.Change{one(c, []settings.Change{
		{Name: "QPAYNET_FEE_PPM", Text: "0"}, {Name: "QPAYNET_FEE_PPM", Text: "1000"}, {Name: "QPAYNET_FEE_PPM", Text: "25000"},
		{Name: "QPAYNET_MAX_TRANSFER", Text: "100000"}, {Name: "QPAYNET_MAX_TRANSFER", Text: "500"}, {Name: "QPAYNET_DAILY_DEPOSIT_CAP", Text: "500000"},
		{Name: "QPAYNET_DAILY_DEPOSIT_CAP", Text: "3000"}, {Name: "QPAYNET_KYC_THRESHOLD", Text: "1000000"}, {Name: "QPAYNET_KYC_THRESHOLD", Text: "4000"},
		{Name: "QPAYNET_STUB_DEPOSIT", Text: "0"}, {Name: "QPAYNET_STUB_DEPOSIT", Text: "1"}, {Name: "QPAYNET_STUB_DEPOSIT", Text: "1"},
		{Name: "QPAYNET_KYC_AUTO_VERIFY", Text: "1"}, {Name: "QPAYNET_KYC_AUTO_VERIFY", Text: "0"}, {Name: "NO_SUCH", Text: "1"},
	})}
	if p := c.anybody(); p != nil && !p.deleted && c.oneIn(3) {
		changes = append(changes, settings.Change{Name: "QPAYNET_ADMIN_EMAILS", Text: p.email})
	}
	if c.oneIn(10) {
		changes = append(changes, settings.Change{Name: "QPAYNET_FEE_PPM", Text: "x"})
	}
	return as(c, node, settings.UpdateSettings, settings.Update{By: "crowd", Changes: changes})
}

func (c *crowd) reputation() fsm.Request {
	if c.oneIn(2) {
		return as(c, c.user(), reputation.ClaimStreak, fsm.Nothing{})
	}
	in := reputation.Ingest{User: "usr_elsewhere", Kind: "helpful-comment", Source: "external", Weight: c.random.Int64N(200) - 60}
	if p := c.anybody(); p != nil {
		in.User = store.ID(p.id)
	}
	return as(c, one(c, []fsm.Actor{{Kind: fsm.Service, ID: "key"}, {Kind: fsm.Service, ID: "key"}, c.user()}), reputation.IngestEvent, in)
}

func (c *crowd) external() fsm.Request {
	return as(c, c.user(), ledger.AppendExternal, ledger.External{Kind: "mint", From: "somewhere", Amount: c.random.Int64N(1000) - 500, Currency: "USD", Meta: []byte(`{"n":1}`)})
}

func (c *crowd) operate() fsm.Request {
	alarm := fsm.AlarmChange{Kind: fsm.NoSpace, Node: "node-1"}
	switch {
	case len(c.alarms) > 0:
		return as(c, node, fsm.DisarmAlarm, alarm)
	case c.oneIn(4):
		return as(c, node, fsm.RaiseAlarm, alarm)
	case c.oneIn(4):
		return as(c, node, fsm.DisarmAlarm, alarm)
	}
	index, digest, _ := c.at.Machine().Digest()
	return as(c, node, fsm.Assert, fsm.Assertion{Index: index, Digest: digest})
}

func (c *crowd) hold() fsm.Request {
	id, h := store.ID("hld_0"), (*reserved)(nil)
	if keys := sortedKeys(c.holds); len(keys) > 0 && !c.oneIn(20) {
		id = keys[c.random.IntN(len(keys))]
		h = c.holds[id]
	}
	switch c.random.IntN(5) {
	case 0:
		return as(c, node, releaseSum, capture{ID: id})
	case 1:
		return as(c, node, ledger.ExpireHold, ledger.Expire{ID: id})
	case 2:
		amount := int64(1)
		if h != nil {
			amount = max(1, h.amount-c.random.Int64N(h.amount)+c.random.Int64N(2))
		}
		return as(c, node, captureSum, capture{ID: id, Amount: ledger.Amount(amount)})
	}
	if len(c.purses) == 0 {
		return as(c, node, releaseSum, capture{ID: id})
	}
	in := reserve{Account: one(c, c.purses).id, Amount: ledger.Amount(1 + c.random.Int64N(20_000))}
	if c.oneIn(2) {
		in.ExpiresAt = c.last + store.Time(c.random.Int64N(2*store.Day))
	}
	return as(c, node, reserveSum, in)
}

// again repeats an earlier request, rarely with another body.
func (c *crowd) again() fsm.Request {
	if len(c.sent) == 0 {
		return c.register()
	}
	r := one(c, c.sent[max(0, len(c.sent)-60):])
	if c.oneIn(8) {
		r.BodyHash[31]++
	}
	return r
}
