package qpaynet

import (
	"strings"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/wallet"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) adminRoutes() []api.Route {
	return []api.Route{
		api.Get("/admin/wallets", a.searchWallets, api.Spec{
			Summary: "Search wallets", Auth: api.Bearer, Rejections: fsm.Rejections{identity.ErrNotAdmin},
			Description: "A call examines at most 20,000 wallets, so a page may be short and still carry nextCursor.",
		}),
		api.Post("/admin/wallets/{id}/freeze", a.freeze, api.Spec{
			Summary: "Freeze a wallet", Auth: api.Bearer, Rejections: wallet.FreezeWallet.Rejects, NotFound: wallet.ErrNotActive,
		}),
		api.Post("/admin/wallets/{id}/unfreeze", a.unfreeze, api.Spec{
			Summary: "Unfreeze a wallet", Auth: api.Bearer, Rejections: wallet.UnfreezeWallet.Rejects, NotFound: wallet.ErrNotFrozen,
		}),
	}
}

type searchRequest struct {
	aevion.Page
	Query  string        `query:"q" mod:"trim,lower" validate:"max=200" doc:"Part of a wallet id, owner id, owner e-mail or name"`
	Status wallet.Status `query:"status" validate:"omitempty,oneof=active frozen closed"`
	Before api.Time      `query:"before" doc:"Only wallets opened earlier"`
}

type foundView struct {
	ID           store.ID      `json:"id"`
	OwnerID      store.ID      `json:"ownerId"`
	OwnerEmail   string        `json:"ownerEmail"`
	Name         string        `json:"name"`
	Status       wallet.Status `json:"status"`
	BalanceKzt   *int64        `json:"balanceKzt,omitzero"`
	BalanceCents *int64        `json:"balanceCents,omitzero"`
	Currency     string        `json:"currency"`
	CreatedAt    api.Time      `json:"createdAt"`
}

type searchResponse struct {
	Items []foundView `json:"items"`
	Next  api.Cursor  `json:"nextCursor,omitzero"`
}

// maxSearched is how many wallets one call looks at.
const maxSearched = 20_000

func (a *Area) searchWallets(c *api.Call, in searchRequest) (searchResponse, error) {
	out := searchResponse{Items: []foundView{}}
	err := c.Read(func(v *store.View) error {
		if err := mayAdminister(v, c); err != nil {
			return err
		}
		var last store.Cursor
		searched := 0
		for cursor, w := range wallet.All(v, in.After()) {
			if len(out.Items) == in.Limit || searched == maxSearched {
				out.Next = api.Cursor(last)
				break
			}
			searched++
			last = append(last[:0], cursor...)
			owner, _ := identity.Get(v, w.Owner)
			if in.matches(w, owner) {
				out.Items = append(out.Items, found(w, owner, int64(wallet.Balance(v, w.ID))))
			}
		}
		return nil
	})
	return out, err
}

func (r *searchRequest) matches(w wallet.Wallet, owner identity.User) bool {
	if r.Status != "" && w.Status != r.Status || !r.Before.IsZero() && w.CreatedAt >= r.Before.Store() {
		return false
	}
	for _, text := range []string{string(w.ID), string(w.Owner), owner.Email, strings.ToLower(w.Name)} {
		if strings.Contains(text, r.Query) {
			return true
		}
	}
	return false
}

func found(w wallet.Wallet, owner identity.User, balance int64) foundView {
	return foundView{
		ID: w.ID, OwnerID: w.Owner, OwnerEmail: owner.Email, Name: w.Name, Status: w.Status, Currency: w.Currency,
		BalanceKzt: aevion.Kzt(balance, w.Currency), BalanceCents: aevion.Cents(balance, w.Currency), CreatedAt: api.Time(w.CreatedAt),
	}
}

type freezeRequest struct {
	ID     store.ID `path:"id" validate:"id"`
	Reason string   `json:"reason" mod:"trim" validate:"required,min=5,max=500"`
}

type freezeResponse struct {
	OK       bool          `json:"ok"`
	WalletID store.ID      `json:"walletId"`
	Status   wallet.Status `json:"status"`
}

func (a *Area) freeze(c *api.Call, in freezeRequest) (freezeResponse, error) {
	_, err := wallet.FreezeWallet.Submit(c, a.Proposer, wallet.Freeze{ID: in.ID, Reason: in.Reason})
	return freezeResponse{OK: true, WalletID: in.ID, Status: wallet.Frozen}, err
}

func (a *Area) unfreeze(c *api.Call, in freezeRequest) (freezeResponse, error) {
	_, err := wallet.UnfreezeWallet.Submit(c, a.Proposer, wallet.Freeze{ID: in.ID, Reason: in.Reason})
	return freezeResponse{OK: true, WalletID: in.ID, Status: wallet.Active}, err
}
