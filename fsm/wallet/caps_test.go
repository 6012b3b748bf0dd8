package wallet_test

import (
	"strings"
	"testing"
	"time"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/fsm/limits"
	"coffer/fsm/wallet"
	"coffer/store"
)

// feeTable is the contract's: a thousandth, rounded up.
var feeTable = map[ledger.Amount]ledger.Amount{1: 1, 999: 1, 1000: 1, 1001: 2, 50_000: 50, 9_999_999: 10_000, 10_000_000: 10_000}

func TestFeesAreAThousandthRoundedUp(t *testing.T) {
	b := newBank(t)
	b.Register("bob@example.org")
	to := b.Open("KZT", "", 0)
	b.Register("ann@example.org")
	b.Set("QPAYNET_DAILY_DEPOSIT_CAP", "10000000")
	from := b.Open("KZT", "", 900_000_000)
	balance, fees := ledger.Amount(900_000_000), ledger.Amount(0)
	for amount, fee := range feeTable {
		sent := fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: amount})
		out := fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: amount})
		balance, fees = balance-2*(amount+fee), fees+2*fee
		b.Equal([]ledger.Amount{sent.Fee, out.Fee}, []ledger.Amount{fee, fee})
		b.Equal(out.Balance, balance)
		b.Equal(sent.FromBalance, balance+amount+fee)
	}
	b.Read(func(v *store.View) {
		a, _ := ledger.Get(v, ledger.System(ledger.Fees, "KZT"))
		b.Equal(a.Balance(), fees)
	})
}

func TestAFeeOfZeroIsNoPosting(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	b.Set("QPAYNET_FEE_PPM", "0")
	free := fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 100})
	b.Set("QPAYNET_FEE_PPM", "1000000")
	double := fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 100})
	b.Equal([]ledger.Amount{free.Fee, double.Fee}, []ledger.Amount{0, 100})
	b.Equal(b.Balance(from), ledger.Amount(50_000_000-300))
	b.Read(func(v *store.View) {
		m, ok := ledger.Find(v, free.Out)
		b.Equal(ok, true)
		b.Equal(len(m.Legs), 2)
		m, _ = ledger.Find(v, double.Out)
		b.Equal(len(m.Legs), 3)
		b.Equal(m.PublicNumber("fee"), int64(100))
	})
}

func TestTransfersUpToTheCapPass(t *testing.T) {
	b := newBank(t)
	bob := b.Register("bob@example.org")
	to, toDollars := b.Open("KZT", "", 0), b.Open("USD", "", 0)
	b.Register("ann@example.org")
	from := b.Open("KZT", "", 30_000_000)
	dollars := b.Open("USD", "", 40_000) // counts for 20,000,000 tiyin
	send := func(from, to store.ID, amount ledger.Amount) wallet.Transfer {
		return wallet.Transfer{From: from, To: to, Amount: amount}
	}
	fsmtest.Must(b.Machine, wallet.TransferFunds, send(from, to, 10_000_000))
	refused := fsmtest.Rejects(b.Machine, wallet.TransferFunds, send(from, to, 10_000_001), wallet.ErrAboveCap)
	highest, _ := refused.Detail("max")
	b.Equal(highest.Number, int64(10_000_000))
	fsmtest.Must(b.Machine, wallet.TransferFunds, send(dollars, toDollars, 20_000))
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, send(dollars, toDollars, 20_001), wallet.ErrAboveCap)
	b.Set("QPAYNET_CAP_RATES", "USD:400")
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, send(dollars, toDollars, 20_001), ledger.ErrInsufficient)
	b.Set("QPAYNET_CAP_RATES", "EUR:9") // a currency without a rate counts as it is
	fsmtest.Must(b.Machine, wallet.TransferFunds, send(dollars, toDollars, 19_000))
	fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 10_000_001}) // no cap of its own
	b.Verify()
	b.Set("QPAYNET_MAX_TRANSFER", "0")
	fsmtest.Must(b.Machine, wallet.TransferFunds, send(from, to, 1_000_000))
	b.As(bob)
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, send(to, from, 1), wallet.ErrAboveCap)
}

// The same answer whether a wallet is unknown or somebody else's, in whatever
// currency: nobody finds out which ids exist.
func TestAForeignWalletAnswersLikeAnUnknownOne(t *testing.T) {
	b := newBank(t)
	b.Register("bob@example.org")
	foreign := []store.ID{b.Open("USD", "", 0), b.Open("KZT", "", 0), "wal_0"}
	b.Register("ann@example.org")
	own := b.Open("KZT", "", 0)
	for _, amount := range []ledger.Amount{1, 20_001, 10_000_000, 10_000_001} {
		want := wallet.ErrSenderNotFound
		if amount > 10_000_000 {
			want = wallet.ErrAboveCap
		}
		for _, from := range foreign {
			fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: own, Amount: amount}, want)
			fsmtest.Rejects(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: amount, Currency: "KZT"}, wallet.ErrNotFound)
			fsmtest.Rejects(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: from, Amount: amount, Currency: "KZT"}, wallet.ErrNotFound)
			fsmtest.Rejects(b.Machine, wallet.CloseWallet, wallet.Close{ID: from}, wallet.ErrNotFound)
			fsmtest.Rejects(b.Machine, wallet.UpdateWallet, wallet.Update{ID: from, Name: "x"}, wallet.ErrNotFound)
		}
	}
}

// at makes the next request's log time exactly this.
func at(b *bank.Bank, t time.Time) { b.Clock = store.TimeOf(t) - 1 }

func TestOutgoingMoneyIsCappedByCalendarMonth(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	b.Set("QPAYNET_KYC_THRESHOLD", "1000")
	at(b, time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC))
	fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 60_000})
	fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 40_000}) // equal to the threshold
	at(b, time.Date(2026, 10, 31, 23, 59, 59, 999_999_000, time.UTC))
	refused := fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 1}, wallet.ErrKYCRequired)
	for name, want := range map[string]int64{"threshold": 100_000, "monthlyOutgoing": 100_000} {
		d, ok := refused.Detail(name)
		b.Equal(ok, true)
		b.Equal(d.Number, want)
	}
	status, _ := refused.Detail("kycStatus")
	b.Equal(status.Text, "none")

	at(b, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	refused = fsmtest.Rejects(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 100_001}, wallet.ErrKYCRequired)
	outgoing, _ := refused.Detail("monthlyOutgoing")
	b.Equal(outgoing.Number, int64(0))
	fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 100_000})
	b.Read(func(v *store.View) {
		october, november := limits.VolumeOf(v, store.ID(b.Actor.ID), 2026*12+9), limits.VolumeOf(v, store.ID(b.Actor.ID), 2026*12+10)
		b.Equal(october.Outgoing, int64(100_000))
		b.Equal(october.Days, []limits.Day{{Day: 31, Out: 100_100}})
		b.Equal(november.Days, []limits.Day{{Day: 1, Out: 100_100}})
	})
}

func TestAnotherCurrencyCountsForTheMonthByItsRate(t *testing.T) {
	b := newBank(t)
	b.Register("ann@example.org")
	dollars := b.Open("USD", "", 10_000)
	b.Set("QPAYNET_KYC_THRESHOLD", "1000") // 100,000 tiyin are 200 cents
	fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: dollars, Amount: 200})
	fsmtest.Rejects(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: dollars, Amount: 1}, wallet.ErrKYCRequired)
	b.Read(func(v *store.View) {
		month, _ := limits.MonthOf(b.Clock)
		volume := limits.VolumeOf(v, store.ID(b.Actor.ID), month)
		b.Equal(volume.Outgoing, int64(100_000))
		b.Equal(volume.Moves, int64(2)) // with the deposit
		b.Equal(len(volume.Days), 0)    // sums by day are of KZT only
	})
}

func TestDepositsAreCappedOverADay(t *testing.T) {
	b := newBank(t)
	b.Register("ann@example.org")
	tenge, dollars := b.Open("KZT", "", 0), b.Open("USD", "", 0)
	first := time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)
	deposit := func(when time.Time, id store.ID, amount ledger.Amount, want *fsm.Rejection) {
		t.Helper()
		at(b, when)
		err := bank.Submit(b, wallet.DepositFunds, wallet.Payment{Wallet: id, Amount: amount})
		if got, _ := fsm.AsRejection(err); got == nil && want != nil || got != nil && !got.Is(want) {
			t.Fatalf("at %v: got %v, want %v", when, err, want)
		}
	}
	deposit(first, tenge, 20_000_000, nil)
	deposit(first.Add(time.Hour), dollars, 60_000, nil) // 30,000,000 tiyin: equal to the cap
	deposit(first.Add(2*time.Hour), tenge, 1, wallet.ErrDepositCap)
	day := 24 * time.Hour
	deposit(first.Add(day-time.Microsecond), tenge, 1, wallet.ErrDepositCap)
	deposit(first.Add(day), tenge, 20_000_001, wallet.ErrDepositCap)
	deposit(first.Add(day+time.Microsecond), tenge, 20_000_000, nil)
	deposit(first.Add(day+time.Hour-time.Microsecond), tenge, 1, wallet.ErrDepositCap)
	deposit(first.Add(day+time.Hour), tenge, 30_000_000, nil)
	refused := fsmtest.Rejects(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: tenge, Amount: 1}, wallet.ErrDepositCap)
	for name, want := range map[string]int64{"cap": 50_000_000, "used": 50_000_000} {
		d, _ := refused.Detail(name)
		b.Equal(d.Number, want)
	}
}

// Deposits of verified users are not capped, but what is kept of them must not
// grow for ever.
func TestOldDepositsOfVerifiedUsersAreForgotten(t *testing.T) {
	b := newBank(t)
	b.Register("ann@example.org")
	b.Verify()
	id := b.Open("KZT", "", 0)
	for range 10 {
		fsmtest.Must(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: id, Amount: 90_000_000})
		b.Advance(13 * store.Hour)
	}
	kept := 0
	for _, row := range b.Dump() {
		if strings.HasPrefix(row, "limits.deposits ") {
			kept++
		}
	}
	b.Equal(kept, 2)
}

// Volumes are for caps and dashboards: huge ones stop growing, they do not turn
// negative.
func TestHugeVolumesDoNotOverflow(t *testing.T) {
	b := bank.New(t, fsmtest.Options{}, treasury())
	b.Register("ann@example.org")
	b.Verify()
	var ids []store.ID
	for _, name := range []string{"a", "b", "c"} {
		id := b.Open("KZT", name, 0)
		fsmtest.Must(b.Machine, floodAccount, flood{ledger.System(ledger.Payout, "KZT"), id, "KZT", 300})
		ids = append(ids, id)
	}
	b.Set("QPAYNET_FEE_PPM", "0")
	rows := make([]wallet.Transfer, 1200)
	for i := range rows {
		rows[i] = wallet.Transfer{From: ids[i%3], To: ids[(i+1)%3], Amount: ledger.MaxAmount}
	}
	for _, verdict := range fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{Rows: rows}).Rows {
		b.Equal(verdict.Code, "")
	}
	b.Read(func(v *store.View) {
		month, _ := limits.MonthOf(b.Clock)
		volume := limits.VolumeOf(v, store.ID(b.Actor.ID), month)
		b.Equal(volume.Outgoing, int64(1)<<56)
		b.Equal(volume.Days[0].In, int64(1)<<56)
		b.Equal(volume.Days[0].Out, int64(1)<<56)
		b.Equal(wallet.StatsOf(v).Transferred, ledger.Amount(1<<63-1))
	})
}
