package ledgerchain

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Balance is one account's sum in one currency, in minor units, as a balances tree commits to it.
type Balance struct {
	Account  string
	Amount   int64
	Currency string
}

// AppendLine appends the canonical line of the balance, without a newline.
func (b Balance) AppendLine(dst []byte) []byte {
	dst = AppendString(append(dst, `{"account":`...), b.Account)
	dst = AppendInt(append(dst, `,"amount":`...), b.Amount)
	dst = AppendString(append(dst, `,"currency":`...), b.Currency)
	return append(dst, '}')
}

// Leaf returns the balance's leaf: keyed, so that nobody can try out accounts and amounts against a proof.
func (b Balance) Leaf(sealKey *[32]byte) Hash {
	message := append([]byte(b.Currency), 0)
	keyed := hmac.New(sha256.New, sealKey[:])
	keyed.Write(append(message, b.Account...))
	blind := keyed.Sum(nil)[:BlindSize]
	return Leaf(b.AppendLine(blind))
}
