package qpaynet

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/settings"
	"coffer/fsm/wallet"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

type ledgerView struct {
	EntryID   string `json:"entryId"`
	Height    uint64 `json:"height"`
	EntryHash string `json:"entryHash"`
	PrevHash  string `json:"prevHash"`
}

type counterpartyView struct {
	Name string `json:"name"`
}

type receiptView struct {
	ReceiptNumber string            `json:"receiptNumber"`
	TransactionID string            `json:"transactionId"`
	Type          string            `json:"type"`
	Status        string            `json:"status"`
	AmountKzt     *int64            `json:"amountKzt,omitzero"`
	AmountCents   *int64            `json:"amountCents,omitzero"`
	FeeKzt        *int64            `json:"feeKzt,omitzero"`
	FeeCents      *int64            `json:"feeCents,omitzero"`
	Currency      string            `json:"currency"`
	Memo          string            `json:"memo"`
	WalletID      store.ID          `json:"walletId"`
	Counterparty  *counterpartyView `json:"counterparty"`
	IssuedAt      api.Time          `json:"issuedAt"`
	ReceiptURL    string            `json:"receiptUrl"`
	Ledger        *ledgerView       `json:"ledger"`
}

// receiptResponse is a receipt as JSON, or as a page when a browser asks.
type receiptResponse struct {
	receiptView
	envelope    aevion.Envelope
	amount, fee int64
	html        bool
}

func (a *Area) receipt(c *api.Call, in transactionRequest) (out receiptResponse, err error) {
	out.envelope, out.html = a.Envelope(prefix), wantsHTML(c.Header("Accept"))
	err = c.Read(func(v *store.View) error {
		m, err := ownMovement(v, user(c), in.ID)
		if err != nil {
			return err
		}
		t := transactionOf(&m)
		f := ledger.FactAt(v, m.Height-1)
		out.amount, out.fee = m.Amount, feeOf(&m)
		out.receiptView = receiptView{
			ReceiptNumber: "R-" + m.At.Std().Format("20060102") + "-" + m.ID[len(m.ID)-8:],
			TransactionID: m.ID, Type: t.Type, Status: t.Status, AmountKzt: t.AmountKzt, AmountCents: t.AmountCents,
			FeeKzt: t.FeeKzt, FeeCents: t.FeeCents, Currency: t.Currency, Memo: t.Memo, WalletID: t.WalletID,
			IssuedAt: t.CreatedAt, ReceiptURL: receiptURL(settings.FrontendURL.Of(v), m.ID),
			Ledger: &ledgerView{m.Entry, m.Height, f.Entry.Chain.String(), f.Entry.Prev.String()},
		}
		if t.CounterpartyWalletID != nil {
			out.Counterparty = counterparty(v, *t.CounterpartyWalletID)
		}
		return nil
	})
	return out, err
}

func counterparty(v *store.View, id store.ID) *counterpartyView {
	w, ok := wallet.Get(v, id)
	if !ok {
		return nil
	}
	u, _ := identity.Get(v, w.Owner)
	return &counterpartyView{Name: u.Name}
}

// wantsHTML tells that a page is asked for before JSON.
func wantsHTML(accept string) bool {
	page, data := strings.Index(accept, "text/html"), strings.Index(accept, "application/json")
	return page >= 0 && (data < 0 || page < data)
}

//go:embed receipt.html
var receiptPage string

var receiptTemplate = template.Must(template.New("receipt").Parse(receiptPage))

// Respond writes the receipt in the form that was asked for.
func (r receiptResponse) Respond(c *api.Call, w http.ResponseWriter) error {
	w.Header().Add("Vary", "Accept")
	if !r.html {
		body, err := r.envelope.Result(nil, c, &r.receiptView)
		if err != nil {
			return err
		}
		return api.Content{Media: "application/json; charset=utf-8", Body: body}.Respond(c, w)
	}
	var page bytes.Buffer
	if err := receiptTemplate.Execute(&page, map[string]any{
		"Receipt": r.receiptView, "Amount": units(r.amount), "Fee": units(r.fee), "IssuedAt": store.Time(r.IssuedAt).String(),
	}); err != nil {
		return fmt.Errorf("render receipt: %w", err)
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	return api.Content{Media: "text/html; charset=utf-8", Body: page.Bytes()}.Respond(c, w)
}

// units prints minor units as whole ones with two decimals.
func units(minor int64) string { return fmt.Sprintf("%d.%02d", minor/100, minor%100) }
