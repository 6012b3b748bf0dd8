package ledger

import (
	"errors"
	"math"
	"math/bits"
)

// Amount is money in minor units of its currency.
type Amount int64

// MaxAmount is the largest amount of one movement: what JSON numbers hold
// exactly.
const MaxAmount Amount = 1<<53 - 1

// ErrOverflow is returned where a sum leaves int64. Amounts are bounded, so it
// takes about a thousand of the largest movements on one account.
var ErrOverflow = errors.New("amount overflows")

// Plus adds with a check.
func (a Amount) Plus(b Amount) (Amount, error) {
	sum := a + b
	if (b > 0 && sum < a) || (b < 0 && sum > a) {
		return 0, ErrOverflow
	}
	return sum, nil
}

// Million is one in parts per million.
const Million = 1_000_000

// Rounding says what happens to a remainder.
type Rounding bool

// The ways to round.
const (
	Down Rounding = false
	Up   Rounding = true
)

// Share returns rate parts per million of a non-negative amount. It multiplies
// in 128 bits, so it never overflows for rates up to one.
func Share(amount Amount, rate int64, rounding Rounding) (Amount, error) {
	if amount < 0 || rate < 0 {
		return 0, ErrOverflow
	}
	high, low := bits.Mul64(uint64(amount), uint64(rate))
	if high >= Million {
		return 0, ErrOverflow
	}
	quotient, remainder := bits.Div64(high, low, Million)
	if remainder > 0 && rounding == Up && quotient < math.MaxUint64 {
		quotient++
	}
	if quotient > math.MaxInt64 {
		return 0, ErrOverflow
	}
	return Amount(quotient), nil
}
