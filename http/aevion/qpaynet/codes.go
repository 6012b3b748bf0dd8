package qpaynet

import (
	"net/http"

	"coffer/http/api"
)

const (
	refused    = http.StatusBadRequest // what a state or limit does not allow
	forbidden  = http.StatusForbidden
	missing    = http.StatusNotFound
	conflict   = http.StatusConflict
	unsuitable = http.StatusUnprocessableEntity
)

// codes is the wire form of every refusal of this area (contract, envelopes).
var codes = api.Codes{
	"wallet_not_found":               {Status: missing, Message: "There is no such wallet."},
	"wallet_inactive":                {Status: refused, Message: "The wallet is frozen or closed."},
	"from_wallet_not_found":          {Status: missing, Message: "You have no such wallet to send from."},
	"from_wallet_inactive":           {Status: refused, Message: "The sending wallet is frozen or closed."},
	"to_wallet_not_found":            {Status: missing, Message: "There is no such wallet to send to."},
	"to_wallet_inactive":             {Status: refused, Message: "The receiving wallet is frozen or closed."},
	"recipient_not_found":            {Status: missing, Message: "Nobody is registered with this e-mail."},
	"recipient_has_no_wallet":        {Status: unsuitable, Message: "The recipient has no wallet in this currency."},
	"cannot_transfer_to_same_wallet": {Status: refused, Message: "Both wallets are the same."},
	"transfer_amount_exceeds_max":    {Status: refused, Message: "The amount is above the limit before KYC."},
	"insufficient_balance":           {Status: refused, Message: "The wallet does not hold the amount and its fee."},
	"currency_mismatch":              {Status: unsuitable, Message: "The currencies do not match."},
	"kyc_required":                   {Status: forbidden, Message: "This month's outgoing sum needs a completed KYC."},
	"daily_deposit_cap_exceeded":     {Status: refused, Message: "The deposits of the last 24 hours are at the limit before KYC."},
	"stub_deposit_disabled":          {Status: forbidden, Message: "Deposits without a payment provider are switched off."},
	"payment_ref_conflict":           {Status: conflict, Message: "The paymentRef was used for another payment."},
	"amount_overflow":                {Status: refused, Message: "The account cannot hold such a sum."},
	"wallet_exists":                  {Status: conflict, Message: "You have a primary wallet in this currency; give a name for another one."},
	"unsupported_currency":           {Status: refused, Message: "Wallets of this currency are not offered."},
	"already_closed":                 {Status: refused, Message: "The wallet is closed already."},
	"wallet_frozen":                  {Status: refused, Code: "wallet_frozen_contact_support", Message: "The wallet is frozen; contact support."},
	"balance_must_be_zero":           {Status: refused, Message: "The wallet is not empty."},
	"wallet_not_found_or_not_active": {Status: missing, Message: "There is no such active wallet."},
	"wallet_not_found_or_not_frozen": {Status: missing, Message: "There is no such frozen wallet."},
	"not_admin":                      {Status: forbidden, Message: "This needs an administrator of QPayNet."},
	"not_found_or_not_pending":       {Status: missing, Message: "There is no such pending submission."},
	"tx_already_refunded":            {Status: conflict, Message: "The transaction was refunded already."},
	"tx_not_found":                   {Status: missing, Message: "There is no such transaction."},
	"ledger_not_founded":             {Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "The ledger is not founded yet."},

	"metadata_too_large":    {Status: refused, Message: "metadata is larger than 4096 bytes."},
	"name_required_max_80":  {Status: refused, Message: "name must have 1 to 80 characters."},
	"no_fields_to_update":   {Status: refused, Message: "Nothing to change was given."},
	"full_name_required":    {Status: refused, Message: "fullName must have 5 to 200 characters."},
	"iin_must_be_12_digits": {Status: refused, Message: "iin must be 12 digits."},
	"reason_required":       {Status: refused, Message: "reason must have 1 to 500 characters."},
}
