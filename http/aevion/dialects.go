package aevion

import "slices"

// spelling is a member's name in this contract, and in the words of older
// clients.
type spelling struct{ canonical, older string }

// dialect is how older clients speak with one route.
type dialect struct {
	request []spelling // older names that are understood
	answer  []passage  // where older names are added
}

// passage is a part of an answer: its items of a list, which then also carry
// every name of several words in snake_case, or the answer itself.
type passage struct {
	list      string // name of the list, empty for the answer itself
	spellings []spelling
}

func itself(spellings ...spelling) []passage { return []passage{{"", spellings}} }

func items(list string, spellings ...spelling) []passage { return []passage{{list, spellings}} }

var (
	label   = spelling{"name", "label"}
	amounts = []spelling{
		{"amountKzt", "amount"}, {"amountCents", "amount"}, {"feeKzt", "fee"}, {"feeCents", "fee"},
	}
	walletWords      = []spelling{label, {"balanceKzt", "balance"}, {"balanceCents", "balance"}}
	transactionWords = slices.Concat(amounts, []spelling{{"memo", "description"}})
	paymentWords     = slices.Concat(amounts, []spelling{
		{"transactionId", "txId"}, {"newBalanceKzt", "newBalance"}, {"newBalanceCents", "newBalance"},
	})
	transferWords = slices.Concat(amounts, []spelling{
		{"transactionId", "txId"}, {"transactionId", "txOutId"}, {"fromBalanceKzt", "newBalance"}, {"fromBalanceCents", "newBalance"},
	})
	headWords   = []spelling{{"hash", "head"}, {"height", "length"}, {"timestamp", "tipAt"}}
	verifyWords = []spelling{{"valid", "verified"}, {"height", "length"}, {"headHash", "head"}}
)

// dialects is everything that AEVION_COMPAT=legacy spells otherwise, by method
// and pattern (contract, Alternative spellings).
var dialects = map[string]dialect{
	"POST /api/qpaynet/wallets":                  {[]spelling{label}, itself(walletWords...)},
	"GET /api/qpaynet/wallets":                   {nil, items("wallets", walletWords...)},
	"GET /api/qpaynet/wallets/{id}":              {nil, itself(walletWords...)},
	"PATCH /api/qpaynet/wallets/{id}":            {[]spelling{label}, itself(walletWords...)},
	"GET /api/qpaynet/wallets/{id}/public":       {nil, itself(label)},
	"POST /api/qpaynet/deposit":                  {nil, itself(paymentWords...)},
	"POST /api/qpaynet/withdraw":                 {nil, itself(paymentWords...)},
	"POST /api/qpaynet/transfer":                 {nil, itself(transferWords...)},
	"GET /api/qpaynet/transactions":              {nil, items("transactions", transactionWords...)},
	"GET /api/qpaynet/transactions/{id}":         {nil, itself(transactionWords...)},
	"GET /api/qpaynet/transactions/{id}/receipt": {nil, itself(slices.Concat(transactionWords, []spelling{{"transactionId", "txId"}})...)},
	"GET /api/qpaynet/me/dashboard":              {nil, items("recentTransactions", transactionWords...)},
	"GET /api/qpaynet/admin/kyc":                 {nil, items("submissions")},
	"GET /api/qpaynet/admin/wallets":             {nil, items("items", walletWords...)},
	"GET /api/veilnetx-ledger/chain/head":        {nil, itself(headWords...)},
	"GET /api/veilnetx-ledger/head":              {nil, itself(headWords...)},
	"GET /api/veilnetx/chain/head":               {nil, itself(headWords...)},
	"GET /api/veilnetx-ledger/chain/verify":      {nil, itself(verifyWords...)},
	"POST /api/ztide/events":                     {[]spelling{{"weight", "weightOverride"}}, itself(spelling{"eventId", "id"}, spelling{"newScore", "score"})},
}

// Older is a result with members that only older clients know and that no
// canonical member holds.
type Older interface{ Older() []OlderMember }

// OlderMember is one of them.
type OlderMember struct {
	Name  string
	Value any
}
