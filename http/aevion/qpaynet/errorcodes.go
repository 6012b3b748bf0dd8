package qpaynet

import "coffer/http/api"

// groups sorts codes for people who read the OpenAPI document.
var groups = map[string][]string{
	"validation": {api.CodeValidation, api.CodeInvalidCursor, "unsupported_currency", "metadata_too_large", "name_required_max_80",
		"no_fields_to_update", "full_name_required", "iin_must_be_12_digits", "reason_required", api.CodePayloadTooLarge, api.CodeMediaType},
	"auth": {api.CodeAuthRequired, "not_admin", "kyc_required", "stub_deposit_disabled"},
	"money": {"insufficient_balance", "currency_mismatch", "transfer_amount_exceeds_max", "daily_deposit_cap_exceeded",
		"cannot_transfer_to_same_wallet", "recipient_not_found", "recipient_has_no_wallet", "from_wallet_not_found", "to_wallet_not_found"},
	"idempotency": {api.CodeKeyReused, "payment_ref_conflict"},
	"lifecycle": {"wallet_not_found", "wallet_inactive", "from_wallet_inactive", "to_wallet_inactive", "wallet_exists", "already_closed",
		"wallet_frozen", "balance_must_be_zero", "tx_not_found", "tx_already_refunded"},
	"rate": {api.CodeRateLimit},
}

// ErrorCodes explains the area's codes, by group and wire code.
func ErrorCodes(area api.Area) map[string]map[string]string {
	explained := map[string]map[string]string{}
	for group, members := range groups {
		explained[group] = map[string]string{}
		for _, code := range members {
			answer := area.Codes.Answer(&api.Problem{Code: code})
			explained[group][answer.Code] = answer.Message
		}
	}
	return explained
}

// Webhooks is the contract of deliveries as partners read it. Nothing is
// delivered yet, so all of it is empty.
func Webhooks() map[string]any {
	return map[string]any{"eventTypes": []string{}, "headers": map[string]string{}, "retries": []string{}, "verification": ""}
}
