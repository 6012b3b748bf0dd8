package limits

import (
	"fmt"

	"coffer/fsm"
	"coffer/fsm/settings"
	"coffer/store"
)

// Volume is one calendar month (UTC) of a user.
type Volume struct {
	User     store.ID `cbor:"1,keyasint"`
	Month    int64    `cbor:"2,keyasint"` // year * 12 + month - 1
	Outgoing int64    `cbor:"3,keyasint"` // without fees, in tiyin that caps count
	Moves    int64    `cbor:"4,keyasint"` // transactions in wallets of any currency
	Days     []Day    `cbor:"5,keyasint"` // with movements in KZT wallets, ascending
}

// Day is what moved in KZT wallets on one day of the month; out is with fees.
type Day struct {
	Day int64 `cbor:"1,keyasint"` // 1 to 31
	In  int64 `cbor:"2,keyasint,omitempty"`
	Out int64 `cbor:"3,keyasint,omitempty"`
}

// Sum adds two volumes and stops at the largest one that is counted.
func Sum(a, b int64) int64 { return min(a+b, maxCounted) }

// CapCurrency is the currency in which caps are stated.
const CapCurrency = "KZT"

// MinorPerUnit is what one whole KZT of a setting means in tiyin.
const MinorPerUnit = 100

var volumes = store.NewTable("limits.volumes", func(v *Volume) store.Pair[store.ID, store.Uint64] {
	return store.PairOf(v.User, store.Uint64(v.Month))
})

// MonthOf is the calendar month of a time, and its day.
func MonthOf(at store.Time) (month, day int64) {
	year, m, d := at.Std().Date()
	return int64(year)*12 + int64(m) - 1, int64(d)
}

// VolumeOf returns a user's month.
func VolumeOf(r store.Reader, user store.ID, month int64) Volume {
	v, ok := volumes.Get(r, store.PairOf(user, store.Uint64(month)))
	if !ok {
		return Volume{User: user, Month: month}
	}
	return v
}

// CapAmount converts minor units of a currency to what caps count. A currency
// without a rate counts as it is.
func CapAmount(r store.Reader, amount int64, currency string) int64 {
	if currency == CapCurrency {
		return amount
	}
	rate, ok := settings.CapRates.Number(r, currency)
	if !ok {
		return amount
	}
	if amount > maxCounted/rate {
		return maxCounted
	}
	return amount * rate
}

// maxCounted keeps sums of volumes far from overflow.
const maxCounted = 1 << 56

// Move is one change of a user's volume.
type Move struct {
	User     store.ID
	Currency string
	In, Out  int64 // minor units, Out with fees
	Counted  int64 // of Out, what the outgoing cap counts, from CapAmount
	Count    int64 // transactions
}

// Record adds a movement to the month and day of Now.
func Record(ctx *fsm.Context, m Move) {
	month, day := MonthOf(ctx.Now)
	v := VolumeOf(ctx, m.User, month)
	v.Outgoing = Sum(v.Outgoing, m.Counted)
	v.Moves += m.Count
	if m.Currency == CapCurrency {
		v.Days = addDay(v.Days, day, m.In, m.Out)
	}
	volumes.Put(ctx, v)
}

// addDay returns days with one more movement; rows share no memory.
func addDay(days []Day, day, in, out int64) []Day {
	grown := make([]Day, len(days), len(days)+1)
	copy(grown, days)
	if n := len(grown); n == 0 || grown[n-1].Day != day {
		grown = append(grown, Day{Day: day})
	}
	last := &grown[len(grown)-1]
	last.In, last.Out = Sum(last.In, in), Sum(last.Out, out)
	return grown
}

func daysAscend(v *store.View) error {
	for _, volume := range volumes.Scan(v, store.All{}, nil) {
		for i, day := range volume.Days {
			if day.Day < 1 || day.Day > 31 || i > 0 && volume.Days[i-1].Day >= day.Day {
				return fmt.Errorf("month %d of %s: day %d stands wrong", volume.Month, volume.User, day.Day)
			}
		}
	}
	return nil
}
