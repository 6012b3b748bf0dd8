// Package ledger keeps the books: accounts, postings, transactions and holds.
// Only this package changes balances. A posting names both sides, so it is
// balanced by construction; a transaction is stored once, as the payload of the
// chain entry that proves it.
package ledger
