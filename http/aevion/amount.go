package aevion

import (
	"coffer/http/api"
)

// Amount is the amount of a request under any one of its three names. All mean
// minor units; amountKzt also says which currency is meant.
type Amount struct {
	AmountKzt   api.Integer `json:"amountKzt,omitzero" validate:"min=1" doc:"Minor units (tiyin) of a KZT wallet"`
	AmountCents api.Integer `json:"amountCents,omitzero" validate:"min=1" doc:"Minor units of any currency"`
	Amount      api.Integer `json:"amount,omitzero" validate:"min=1" doc:"Minor units of any currency"`
}

// Check wants exactly one of the names.
func (a *Amount) Check() *api.Violation {
	given := 0
	for _, amount := range [...]api.Integer{a.AmountKzt, a.AmountCents, a.Amount} {
		if amount.Set {
			given++
		}
	}
	switch given {
	case 0:
		return &api.Violation{Field: "amount", Reason: "is required"}
	case 1:
		return nil
	}
	return &api.Violation{Field: "amount", Reason: "conflicting amount fields"}
}

// Minor is the amount in minor units.
func (a *Amount) Minor() int64 { return a.AmountKzt.Value + a.AmountCents.Value + a.Amount.Value }

// Currency is the one the name of the amount says, empty for any.
func (a *Amount) Currency() string {
	if a.AmountKzt.Set {
		return KZT
	}
	return ""
}

// KZT is the currency whose amounts are called ...Kzt; all others are ...Cents.
const KZT = "KZT"

// Memo is the free text of a payment under either of its names.
type Memo struct {
	Memo        string `json:"memo,omitempty" validate:"max=200" doc:"Free text for both sides"`
	Description string `json:"description,omitempty" validate:"max=200" doc:"The same as memo"`
}

// Text is the text that was given.
func (m *Memo) Text() string {
	if m.Memo != "" {
		return m.Memo
	}
	return m.Description
}

// Kzt returns the amount for a member called ...Kzt: only in KZT.
func Kzt(amount int64, currency string) *int64 {
	if currency != KZT {
		return nil
	}
	return &amount
}

// Cents returns the amount for a member called ...Cents: in all other
// currencies.
func Cents(amount int64, currency string) *int64 {
	if currency == KZT {
		return nil
	}
	return &amount
}
