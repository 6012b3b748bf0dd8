package qpaynet

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) walletRoutes() []api.Route {
	return []api.Route{
		api.Post("/wallets", a.openWallet, api.Spec{
			Summary:     "Create a wallet",
			Description: "Without a name it is the primary wallet of its currency, of which there is one.",
			Auth:        api.Bearer, Status: http.StatusCreated, Rejections: wallet.OpenWallet.Rejects,
			Codes: []string{"metadata_too_large"},
		}),
		api.Get("/wallets", a.wallets, api.Spec{Summary: "List own wallets with balances", Auth: api.Bearer}),
		api.Get("/wallets/{id}", a.wallet, api.Spec{
			Summary: "One own wallet", Auth: api.Bearer,
			Rejections: fsm.Rejections{wallet.ErrNotFound}, NotFound: wallet.ErrNotFound,
		}),
		api.Patch("/wallets/{id}", a.updateWallet, api.Spec{
			Summary: "Rename, metadata, charge policy", Auth: api.Bearer,
			Rejections: wallet.UpdateWallet.Rejects, NotFound: wallet.ErrNotFound,
			Codes: []string{"name_required_max_80", "metadata_too_large", "no_fields_to_update"},
		}),
		api.Get("/wallets/{id}/public", a.publicWallet, api.Spec{
			Summary: "Public-safe wallet card for receive links", Auth: api.Public, Rate: api.RatePublic,
			Rejections: fsm.Rejections{wallet.ErrNotFound}, NotFound: wallet.ErrNotFound,
		}),
		api.Post("/wallets/{id}/close", a.closeWallet, api.Spec{
			Summary: "Close an empty wallet for good", Auth: api.Bearer,
			Rejections: wallet.CloseWallet.Rejects, NotFound: wallet.ErrNotFound,
		}),
	}
}

// maxMetadata is how many bytes of compact JSON a wallet's metadata may have.
const maxMetadata = 4096

// metadata is an optional JSON object of the owner's.
type metadata struct {
	Metadata api.Optional[jsontext.Value] `json:"metadata,omitzero" doc:"Any object of at most 4096 bytes"`
}

// Check refuses what is no object or too large.
func (m *metadata) Check() *api.Violation {
	raw := m.Metadata.Value
	if m.Metadata.Given() && (len(raw) == 0 || raw[0] != '{') {
		return &api.Violation{Field: "metadata", Reason: "must be an object"}
	}
	if len(raw) > maxMetadata {
		return &api.Violation{Field: "metadata", Reason: "must have at most 4096 bytes", Code: "metadata_too_large",
			Fields: []api.Field{{Name: "maxBytes", Value: int64(maxMetadata)}}}
	}
	return nil
}

type walletView struct {
	ID              store.ID       `json:"id"`
	Name            string         `json:"name"`
	Currency        string         `json:"currency"`
	BalanceKzt      *int64         `json:"balanceKzt,omitzero"`
	BalanceCents    *int64         `json:"balanceCents,omitzero"`
	Status          wallet.Status  `json:"status"`
	Primary         bool           `json:"primary"`
	MerchantCharges string         `json:"merchantCharges"`
	Metadata        jsontext.Value `json:"metadata,omitzero"`
	CreatedAt       api.Time       `json:"createdAt"`
}

func viewOf(w wallet.Wallet, balance ledger.Amount) walletView {
	view := walletView{
		ID: w.ID, Name: w.Name, Currency: w.Currency, Status: w.Status, Primary: w.Primary,
		BalanceKzt: aevion.Kzt(int64(balance), w.Currency), BalanceCents: aevion.Cents(int64(balance), w.Currency),
		MerchantCharges: "allow", CreatedAt: api.Time(w.CreatedAt),
	}
	if w.DenyCharges {
		view.MerchantCharges = "deny"
	}
	if w.Metadata != "" {
		view.Metadata = jsontext.Value(w.Metadata)
	}
	return view
}

type openRequest struct {
	Currency string               `json:"currency,omitempty" mod:"trim,upper" validate:"omitempty,max=16" doc:"ISO 4217, default KZT"`
	Name     api.Optional[string] `json:"name,omitzero" mod:"trim" validate:"min=1,max=80"`
	metadata
}

func (a *Area) openWallet(c *api.Call, in openRequest) (walletView, error) {
	if in.Currency == "" {
		in.Currency = aevion.KZT
	}
	w, err := wallet.OpenWallet.Submit(c, a.Proposer, wallet.Open{
		Currency: in.Currency, Name: in.Name.Value, Metadata: string(in.Metadata.Value),
	})
	return viewOf(w, 0), err
}

type walletsRequest struct {
	aevion.Page
	Status   string `query:"status"`
	Currency string `query:"currency" mod:"upper"`
}

type walletsResponse struct {
	Wallets []walletView `json:"wallets"`
	Next    api.Cursor   `json:"nextCursor,omitzero"`
}

func (a *Area) wallets(c *api.Call, in walletsRequest) (walletsResponse, error) {
	out := walletsResponse{Wallets: []walletView{}}
	err := c.Read(func(v *store.View) error {
		var last store.Cursor
		for cursor, w := range wallet.ByOwner(v, user(c), in.After()) {
			if in.Status != "" && string(w.Status) != in.Status || in.Currency != "" && w.Currency != in.Currency {
				continue
			}
			if len(out.Wallets) == in.Limit {
				out.Next = api.Cursor(last)
				break
			}
			last = append(last[:0], cursor...)
			out.Wallets = append(out.Wallets, viewOf(w, wallet.Balance(v, w.ID)))
		}
		return nil
	})
	return out, err
}

type walletRequest struct {
	ID store.ID `path:"id" validate:"id"`
}

type ownWalletView struct {
	walletView
	KYCStatus identity.KYCStatus `json:"kycStatus"`
}

func (a *Area) wallet(c *api.Call, in walletRequest) (out ownWalletView, err error) {
	err = c.Read(func(v *store.View) error {
		w, ok := wallet.Owned(v, user(c), in.ID)
		if !ok {
			return wallet.ErrNotFound
		}
		out = ownWalletView{viewOf(w, wallet.Balance(v, w.ID)), identity.KYCOf(v, w.Owner).Status}
		return nil
	})
	return out, err
}

type updateRequest struct {
	ID   store.ID             `path:"id" validate:"id"`
	Name api.Optional[string] `json:"name,omitzero" mod:"trim" validate:"min=1,max=80" code:"name_required_max_80"`
	metadata
	MerchantCharges string `json:"merchantCharges,omitempty" validate:"omitempty,oneof=allow deny"`
}

// Check wants something to change.
func (r *updateRequest) Check() *api.Violation {
	if r.Name.Null {
		return &api.Violation{Field: "name", Reason: "must have 1 to 80 characters", Code: "name_required_max_80"}
	}
	if !r.Name.Set && !r.Metadata.Set && r.MerchantCharges == "" {
		return &api.Violation{Field: "body", Reason: "names nothing to change", Code: "no_fields_to_update"}
	}
	return nil
}

type updateResponse struct {
	OK bool `json:"ok"`
	walletView
}

func (a *Area) updateWallet(c *api.Call, in updateRequest) (updateResponse, error) {
	done, err := wallet.UpdateWallet.Submit(c, a.Proposer, wallet.Update{
		ID: in.ID, Name: in.Name.Value,
		SetMetadata: in.Metadata.Set, Metadata: string(in.Metadata.Value),
		SetCharges: in.MerchantCharges != "", DenyCharges: in.MerchantCharges == "deny",
	})
	return updateResponse{OK: true, walletView: viewOf(done.Wallet, done.Balance)}, err
}

type publicView struct {
	ID         store.ID `json:"id"`
	Name       string   `json:"name"`
	Currency   string   `json:"currency"`
	Active     bool     `json:"active"`
	IsMerchant bool     `json:"isMerchant"`
}

func (a *Area) publicWallet(c *api.Call, in walletRequest) (out publicView, err error) {
	err = c.Read(func(v *store.View) error {
		w, ok := wallet.Get(v, in.ID)
		if !ok {
			return wallet.ErrNotFound
		}
		out = publicView{ID: w.ID, Name: w.Name, Currency: w.Currency, Active: w.Status == wallet.Active, IsMerchant: w.Merchant}
		return nil
	})
	return out, err
}

type closeResponse struct {
	OK       bool          `json:"ok"`
	WalletID store.ID      `json:"walletId"`
	Status   wallet.Status `json:"status"`
}

func (a *Area) closeWallet(c *api.Call, in walletRequest) (closeResponse, error) {
	_, err := wallet.CloseWallet.Submit(c, a.Proposer, wallet.Close{ID: in.ID})
	return closeResponse{OK: true, WalletID: in.ID, Status: wallet.Closed}, err
}
