// Package wallet keeps customers' wallets and moves money between them:
// deposits, withdrawals, transfers one by one and in bulk. A wallet's balance
// is its account in the ledger, under the same id.
package wallet
