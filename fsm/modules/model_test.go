package modules_test

import (
	"fmt"
	"strings"
	"testing"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/store"
)

// model is what the platform must do, in plain maps and without any of its
// code. It reads the contract, not the handlers.
type model struct {
	testing.TB
	last    store.Time // tick of the log time
	entry   store.Time // clock of the entry being applied
	texts   map[string]int64
	admin   string
	alarms  map[string]bool
	people  []*person
	session map[string]*session
	purses  []*purse
	holds   map[store.ID]*reserved
	system  map[string]int64 // balance of the operator's accounts
	refs    map[string]*reference
	known   map[fsm.RequestID]*answered
	rejects func(command string) fsm.Rejections
	chain   uint64
	mute    bool
	answers map[string]int // how often each command was answered so, by code
}

type person struct {
	id, email string
	version   uint64
	deleted   bool
	kyc       identity.KYCStatus
	deposits  []deposited
	outgoing  map[int64]int64 // by month
	moves     map[int64]int64
	score     int64
	streak    store.Time
}

type deposited struct {
	at      store.Time
	counted int64
}

type session struct {
	of   *person
	open bool
}

type purse struct {
	id               store.ID
	of               *person
	currency         string
	status           wallet.Status
	primary          bool
	balance, pending int64
}

type reserved struct {
	in      *purse
	amount  int64
	status  ledger.HoldStatus
	expires store.Time
}

type reference struct {
	amount int64
	to     *purse
	email  string
	result []byte
}

type answered struct {
	at      store.Time
	body    [32]byte
	outcome fsm.Outcome
}

func newModel(t testing.TB, last store.Time, rejects func(command string) fsm.Rejections) *model {
	return &model{TB: t, last: last, texts: map[string]int64{
		"QPAYNET_DAILY_DEPOSIT_CAP": 500_000, "QPAYNET_MAX_TRANSFER": 100_000, "QPAYNET_KYC_THRESHOLD": 1_000_000,
		"QPAYNET_FEE_PPM": 1000, "QPAYNET_STUB_DEPOSIT": 1, "QPAYNET_KYC_AUTO_VERIFY": 0,
	}, alarms: map[string]bool{}, session: map[string]*session{}, holds: map[store.ID]*reserved{}, system: map[string]int64{},
		refs: map[string]*reference{}, known: map[fsm.RequestID]*answered{}, answers: map[string]int{}, rejects: rejects}
}

// step takes one request of an entry with what the machine answered.
func (m *model) step(r fsm.Request, got fsm.Outcome, index uint64) {
	m.Helper()
	now := max(m.entry, m.last+1)
	m.last = now
	if before := m.known[r.RequestID]; before != nil && before.at+store.Time(store.Day) > now {
		m.replayed(before, r, got)
		return
	}
	m.mute = got.Rejection != nil // there is no result to compare
	code, entries := m.predict(r, now, got)
	m.mute = false
	if code != codeOf(got) || got.Replayed || got.Index != index {
		m.Fatalf("entry %d, %s by %v: answered %v, want %q\n%s", index, r.Command, r.Actor, got.Rejection, code, diagnose(r.Payload))
	}
	m.last = max(now, now+store.Time(entries)-1)
	m.answers[r.Command+" "+code]++
	if code == "" {
		m.chain += uint64(entries)
	}
	if code == "" || r.KeepRejection && declared(code, m.rejects(r.Command)) {
		m.known[r.RequestID] = &answered{at: now, body: r.BodyHash, outcome: got}
	}
}

func (m *model) replayed(before *answered, r fsm.Request, got fsm.Outcome) {
	m.Helper()
	if before.body != r.BodyHash {
		if codeOf(got) != "idempotency_key_reused" {
			m.Fatalf("another body of %s: %+v", r.Command, got)
		}
		return
	}
	want := before.outcome
	want.Replayed = true
	if !equal(got, want) {
		m.Fatalf("a replay of %s: %+v, want %+v", r.Command, got, want)
	}
}

func codeOf(o fsm.Outcome) string {
	if o.Rejection == nil {
		return ""
	}
	return o.Rejection.Code
}

// predict says how a request must be answered, and how many chain entries it
// took, those of a batch that was taken back included.
func (m *model) predict(r fsm.Request, now store.Time, got fsm.Outcome) (code string, entries int) {
	system := strings.HasPrefix(r.Command, "system.") || strings.HasPrefix(r.Command, "settings.")
	if len(m.alarms) > 0 && !system {
		return "no_space", 0 // the only alarm of the crowd
	}
	actor := m.person(r.Actor.ID)
	if r.Actor.Kind == fsm.User {
		if s := m.session[r.Actor.Session]; s == nil || !s.open || s.of != actor {
			return "auth_required", 0
		}
	}
	area, _, _ := strings.Cut(r.Command, ".")
	switch area {
	case "identity":
		return m.identity(r, actor, now, got), 0
	case "wallet":
		return m.wallet(r, actor, now, got)
	case "vault", "ledger":
		return m.vault(r, now, got)
	}
	return m.platform(r, actor, now, got), 0
}

func (m *model) person(id string) *person {
	for _, p := range m.people {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (m *model) byEmail(email string) *person {
	for _, p := range m.people {
		if !p.deleted && p.email == email {
			return p
		}
	}
	return nil
}

func (m *model) purse(id store.ID) *purse {
	for _, p := range m.purses {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (m *model) owned(p *person, id store.ID) *purse {
	if found := m.purse(id); found != nil && found.of == p {
		return found
	}
	return nil
}

func (m *model) primary(p *person, currency string) *purse {
	for _, found := range m.purses {
		if found.of == p && found.currency == currency && found.primary {
			return found
		}
	}
	return nil
}

func (m *model) isAdmin(r fsm.Request) bool {
	p := m.person(r.Actor.ID)
	return r.Actor.Kind == fsm.User && p != nil && !p.deleted && p.email == m.admin
}

// input decodes a payload.
func input[T any](m *model, r fsm.Request) (in T) {
	m.Helper()
	if err := store.Decode(r.Payload, &in); err != nil {
		m.Fatalf("%s: %v", r.Command, err)
	}
	return in
}

// output decodes a result; the zero value where there is none.
func output[T any](m *model, o fsm.Outcome) (out T) {
	m.Helper()
	if o.Rejection != nil {
		return out
	}
	if err := store.Decode(o.Result, &out); err != nil {
		m.Fatal(err)
	}
	return out
}

// want compares one member of a result.
func (m *model) want(what string, got, want any) {
	m.Helper()
	if !m.mute && fmt.Sprint(got) != fmt.Sprint(want) {
		m.Fatalf("%s is %v, want %v", what, got, want)
	}
}
