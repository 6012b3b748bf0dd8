package qpaynet

import (
	"time"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/limits"
	"coffer/fsm/reputation"
	"coffer/fsm/wallet"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) overviewRoutes() []api.Route {
	return []api.Route{
		api.Get("/me/dashboard", a.dashboard, api.Spec{Summary: "Aggregated snapshot", Auth: api.Bearer}),
		api.Get("/stats", a.stats, api.Spec{Summary: "Public aggregates", Auth: api.Public, Read: fsm.Stale}),
		api.Get("/health", a.health, api.Spec{Summary: "Liveness, storage, wallet count", Auth: api.Public, Read: fsm.Stale}),
	}
}

type currencyView struct {
	Count        int64  `json:"count"`
	BalanceKzt   *int64 `json:"balanceKzt,omitzero"`
	BalanceCents *int64 `json:"balanceCents,omitzero"`
}

type walletsView struct {
	ActiveCount     int64                   `json:"activeCount"`
	TotalBalanceKzt int64                   `json:"totalBalanceKzt"`
	ByCurrency      map[string]currencyView `json:"byCurrency"`
}

type monthView struct {
	InKzt   int64 `json:"inKzt"`
	OutKzt  int64 `json:"outKzt"`
	NetKzt  int64 `json:"netKzt"`
	TxCount int64 `json:"txCount"`
}

type dayView struct {
	Day    string `json:"day"`
	InKzt  int64  `json:"inKzt"`
	OutKzt int64  `json:"outKzt"`
}

type requestsView struct {
	Pending   int64 `json:"pending"`
	Paid      int64 `json:"paid"`
	Cancelled int64 `json:"cancelled"`
	Expired   int64 `json:"expired"`
}

type dashboardResponse struct {
	Wallets   walletsView       `json:"wallets"`
	ThisMonth monthView         `json:"thisMonth"`
	Last7Days []dayView         `json:"last7days"`
	Recent    []transactionView `json:"recentTransactions"`
	Requests  requestsView      `json:"paymentRequests"`
	Payouts   struct{}          `json:"payouts"`
	KYC       struct {
		Status identity.KYCStatus `json:"status"`
	} `json:"kyc"`
	Reputation struct {
		Score int64  `json:"score"`
		Rank  string `json:"rank"`
	} `json:"reputation"`
	Unread int64 `json:"unreadNotifications"`
}

// recentTransactions is how many a dashboard shows.
const recentTransactions = 5

func (a *Area) dashboard(c *api.Call, _ api.Empty) (out dashboardResponse, err error) {
	owner, now := user(c), c.Time().UTC()
	err = c.Read(func(v *store.View) error {
		out.Wallets = walletSums(v, owner)
		out.ThisMonth = monthOf(v, owner, now)
		out.Last7Days = lastDays(v, owner, now)
		page, _, err := ledger.HistoryOfOwner(v, owner).Page(nil, recentTransactions, func(*ledger.Movement) bool { return true })
		if err != nil {
			return err
		}
		out.Recent = make([]transactionView, len(page))
		for i := range page {
			out.Recent[i] = transactionOf(&page[i])
		}
		out.KYC.Status = identity.KYCOf(v, owner).Status
		out.Reputation.Score = reputation.Of(v, owner).Score
		out.Reputation.Rank = reputation.RankOf(reputation.Ladder(v), out.Reputation.Score).ID
		return nil
	})
	return out, err
}

func walletSums(v *store.View, owner store.ID) walletsView {
	sums := walletsView{ByCurrency: map[string]currencyView{}}
	for _, w := range wallet.ByOwner(v, owner, nil) {
		if w.Status == wallet.Closed {
			continue
		}
		if w.Status == wallet.Active {
			sums.ActiveCount++
		}
		balance := int64(wallet.Balance(v, w.ID))
		view := sums.ByCurrency[w.Currency]
		view.Count++
		if w.Currency == aevion.KZT {
			sums.TotalBalanceKzt += balance
			view.BalanceKzt = plus(view.BalanceKzt, balance)
		} else {
			view.BalanceCents = plus(view.BalanceCents, balance)
		}
		sums.ByCurrency[w.Currency] = view
	}
	return sums
}

func plus(sum *int64, amount int64) *int64 {
	if sum != nil {
		amount += *sum
	}
	return &amount
}

func monthOf(v *store.View, owner store.ID, now time.Time) monthView {
	month, _ := limits.MonthOf(store.TimeOf(now))
	volume := limits.VolumeOf(v, owner, month)
	sum := monthView{TxCount: volume.Moves}
	for _, day := range volume.Days {
		sum.InKzt += day.In
		sum.OutKzt += day.Out
	}
	sum.NetKzt = sum.InKzt - sum.OutKzt
	return sum
}

// lastDays are seven days, oldest first, in UTC.
func lastDays(v *store.View, owner store.ID, now time.Time) []dayView {
	days := make([]dayView, 0, 7)
	for back := 6; back >= 0; back-- {
		at := now.AddDate(0, 0, -back)
		month, number := limits.MonthOf(store.TimeOf(at))
		view := dayView{Day: at.Format(time.DateOnly)}
		for _, day := range limits.VolumeOf(v, owner, month).Days {
			if day.Day == number {
				view.InKzt, view.OutKzt = day.In, day.Out
			}
		}
		days = append(days, view)
	}
	return days
}

type statsResponse struct {
	Service        string        `json:"service"`
	ActiveWallets  int64         `json:"activeWallets"`
	TotalWallets   int64         `json:"totalWallets"`
	Transactions   int64         `json:"totalTransactions"`
	TotalDeposited ledger.Amount `json:"totalDepositedKzt"`
	TotalVolume    ledger.Amount `json:"totalVolumeKzt"`
}

func (a *Area) stats(c *api.Call, _ api.Empty) (out statsResponse, err error) {
	err = c.Read(func(v *store.View) error {
		s := wallet.StatsOf(v)
		out = statsResponse{"qpaynet", s.Active, s.Total, s.Transactions, s.Deposited, s.Transferred}
		return nil
	})
	return out, err
}

type healthResponse struct {
	aevion.ModuleHealth
	Wallets    int64     `json:"wallets"`
	Pool       *struct{} `json:"pool"`
	Encryption string    `json:"encryption"`
	Stuck      int64     `json:"stuckWebhookDeliveries"`
}

func (a *Area) health(c *api.Call, _ api.Empty) (out healthResponse, err error) {
	out.Encryption = "disabled"
	if a.Fields.Enabled() {
		out.Encryption = "enabled"
	}
	out.ModuleHealth, err = aevion.Alive(c, "qpaynet", func(v *store.View) error {
		out.Wallets = wallet.StatsOf(v).Active
		return nil
	})
	return out, err
}
