package ledger_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"coffer/fsm/ledger"
)

// shareOf is Share with numbers that have no end.
func shareOf(amount, rate int64, rounding ledger.Rounding) (*big.Int, bool) {
	if amount < 0 || rate < 0 {
		return nil, false
	}
	share, rest := new(big.Int).DivMod(new(big.Int).Mul(big.NewInt(amount), big.NewInt(rate)), big.NewInt(ledger.Million), new(big.Int))
	if rounding == ledger.Up && rest.Sign() > 0 {
		share.Add(share, big.NewInt(1))
	}
	return share, share.IsInt64()
}

func checkShare(t *testing.T, amount, rate int64) {
	t.Helper()
	for _, rounding := range []ledger.Rounding{ledger.Down, ledger.Up} {
		got, err := ledger.Share(ledger.Amount(amount), rate, rounding)
		want, ok := shareOf(amount, rate, rounding)
		if ok != (err == nil) || ok && int64(got) != want.Int64() || err != nil && !errors.Is(err, ledger.ErrOverflow) {
			t.Fatalf("%d ppm of %d, rounded up %v: got %d, %v, want %v", rate, amount, rounding, got, err, want)
		}
	}
}

func FuzzShare(f *testing.F) {
	edges := []int64{0, 1, 999, 1000, 1001, 999_999, ledger.Million, ledger.Million + 1, int64(ledger.MaxAmount), math.MaxInt64, math.MaxInt64 - 1, -1, math.MinInt64}
	for _, amount := range edges {
		for _, rate := range edges {
			f.Add(amount, rate)
		}
	}
	f.Add(int64(6_148_914_691_236_517_205), int64(3*ledger.Million)) // a quotient of 2^64 - 1
	f.Fuzz(func(t *testing.T, amount, rate int64) { checkShare(t, amount, rate) })
}

// Around a quotient of 2^64 the last step of rounding up must not start again
// at zero.
func TestShareDoesNotWrapAround(t *testing.T) {
	limit := new(big.Int).Mul(new(big.Int).Lsh(big.NewInt(1), 64), big.NewInt(ledger.Million))
	tried := 0
	for rate := int64(2*ledger.Million + 1); rate < 2*ledger.Million+5000; rate++ {
		amount := new(big.Int).Div(new(big.Int).Sub(limit, big.NewInt(1)), big.NewInt(rate)).Int64()
		for step := range int64(3) {
			checkShare(t, amount-1+step, rate)
		}
		tried++
	}
	if tried == 0 {
		t.Fatal("nothing was tried")
	}
}

func FuzzPlus(f *testing.F) {
	for _, a := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64, int64(ledger.MaxAmount)} {
		for _, b := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, a, b int64) {
		got, err := ledger.Amount(a).Plus(ledger.Amount(b))
		want := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		if want.IsInt64() != (err == nil) || err == nil && int64(got) != want.Int64() {
			t.Fatalf("%d + %d: got %d, %v, want %v", a, b, got, err, want)
		}
	})
}
