package modules_test

import (
	"strings"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/fsm/modules"
	"coffer/fsm/wallet"
	"coffer/store"
)

// anvil is a machine that takes any bytes.
type anvil struct {
	*bank.Bank
	from, to store.ID
	users    []fsm.Actor
	halted   error
}

func newAnvil(t testing.TB) *anvil {
	a := &anvil{}
	a.Bank = bank.New(t, fsmtest.Options{Unchecked: true, Lenient: true, Halt: func(err error) { a.halted = err }})
	a.users = []fsm.Actor{{}, {Kind: fsm.Service, ID: "key"}, {Kind: fsm.Node, ID: "node-1"}, {Kind: fsm.Operator, ID: "root"}, a.Admin()}
	bob := a.Register("bob@example.org")
	a.to = a.Open("KZT", "", 1000)
	a.users = append(a.users, bob, a.Register("ann@example.org"))
	a.from = a.Open("KZT", "", 1_000_000)
	return a
}

// strike applies any payload to a command and looks at what comes of it.
func (a *anvil) strike(t *testing.T, command string, who fsm.Actor, payload []byte) {
	a.TB = t
	a.As(who)
	h := a.Machine.Machine().Handlers()[command]
	r := fsm.Request{Command: command, Actor: who, RequestID: a.Caller().From.RequestID, Payload: payload}
	before := a.Digest()
	response := a.Deliver(a.Sealed(r))[0]
	if a.halted != nil {
		if response != nil || a.Digest() != before || store.Decode(payload, h.Input()) == nil {
			t.Fatalf("%s halted with %v, response %v", command, a.halted, response)
		}
		a.Abandon()
		return
	}
	o := a.Outcomes(response)[0]
	if o.Rejection != nil && !declared(o.Rejection.Code, h.Rejects(), a.Machine.Machine().Refusals()) {
		t.Fatalf("%s answers %s, which it does not declare", command, o.Rejection.Code)
	}
	a.Read(func(v *store.View) {
		for _, failure := range fsmtest.Broken(v, modules.All()) {
			if !leftToTheDoor(failure) {
				t.Fatalf("%s: %s", command, failure)
			}
		}
	})
}

// leftToTheDoor tells that a statement holds only for requests in form: users
// have an e-mail, and a single event weighs no more than a thousand.
func leftToTheDoor(failure string) bool {
	return strings.Contains(failure, `with e-mail ""`) || strings.Contains(failure, "totals are the sums of all scores")
}

// carried tells that a request can hold a payload at all.
func carried(payload []byte) (ok bool) {
	defer func() { ok = recover() == nil }()
	store.Encode(&fsm.Request{Payload: payload})
	return true
}

func declared(code string, lists ...fsm.Rejections) bool {
	for _, list := range lists {
		for _, r := range list {
			if r.Code == code {
				return true
			}
		}
	}
	return false
}

// FuzzAnyPayload gives any bytes to any command: it answers, refuses or stops
// the machine, but it never panics out of it and never breaks the books.
func FuzzAnyPayload(f *testing.F) {
	a := newAnvil(f)
	names := sortedKeys(a.Machine.Machine().Handlers())
	for i, name := range names {
		f.Add(uint8(i), uint8(6), store.Encode(example(a.Machine.Machine().Handlers()[name])))
		f.Add(uint8(i), uint8(i), store.Encode(a.Machine.Machine().Handlers()[name].Input()))
	}
	for _, payload := range [][]byte{{0xf6}, {0xa0}, {0xa1, 0x01, 0xf6}, {0xa1, 0x01, 0x61, 0x00}, {0xa1, 0x01, 0x61, 0xff}, {0x80}, {0x9f, 0xff}} {
		f.Add(uint8(0), uint8(2), payload)
		f.Add(uint8(len(names)-1), uint8(6), payload)
	}
	for _, amount := range []ledger.Amount{0, -1, -1 << 63, 1<<63 - 1, ledger.MaxAmount, ledger.MaxAmount + 1} {
		f.Add(indexOf(names, wallet.TransferFunds.Name), uint8(6), store.Encode(&wallet.Transfer{From: a.from, To: a.to, Amount: amount, Memo: "m", Reference: "r\x00"}))
		f.Add(indexOf(names, wallet.DepositFunds.Name), uint8(6), store.Encode(&wallet.Payment{Wallet: a.from, Amount: amount}))
		f.Add(indexOf(names, wallet.WithdrawFunds.Name), uint8(6), store.Encode(&wallet.Payment{Wallet: a.from, Amount: amount, Currency: "\x00"}))
		f.Add(indexOf(names, wallet.TransferMany.Name), uint8(6), store.Encode(&wallet.Transfers{Rows: []wallet.Transfer{{From: a.from, To: a.to, Amount: 5}, {From: a.from, To: a.to, Amount: amount}}}))
	}
	f.Fuzz(func(t *testing.T, command, who uint8, payload []byte) {
		if len(payload) == 0 || len(payload) > 8<<10 || !carried(payload) {
			return
		}
		name, struck := names[int(command)%len(names)], a
		if store.Decode(payload, a.Machine.Machine().Handlers()[name].Input()) != nil {
			struck = newAnvil(t) // it will halt
		}
		struck.strike(t, name, struck.users[int(who)%len(struck.users)], payload)
	})
}

func indexOf(names []string, name string) uint8 {
	for i := range names {
		if names[i] == name {
			return uint8(i)
		}
	}
	panic(name)
}
