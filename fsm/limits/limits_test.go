package limits_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/limits"
	"coffer/store"
)

func TestMonthsAreOfTheCalendarInUTC(t *testing.T) {
	for text, want := range map[string][2]int64{
		"2026-01-01T00:00:00Z":        {2026 * 12, 1},
		"2026-12-31T23:59:59.999999Z": {2026*12 + 11, 31},
		"2027-01-01T00:00:00Z":        {2027 * 12, 1},
		"2028-02-29T12:00:00Z":        {2028*12 + 1, 29},
		"2026-03-01T03:00:00+05:00":   {2026*12 + 1, 28}, // still February in UTC
		"1970-01-01T00:00:00Z":        {1970 * 12, 1},
	} {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		if month, day := limits.MonthOf(store.TimeOf(at)); month != want[0] || day != want[1] {
			t.Errorf("%s is day %d of month %d, want %v", text, day, month, want)
		}
	}
}

// The largest volume that is counted; sums of two never overflow.
const most = 1 << 56

func FuzzCapAmount(f *testing.F) {
	for _, rate := range []int64{1, 500, 1 << 40, math.MaxInt64} {
		for _, amount := range []int64{1, 20_000, 1<<53 - 1, most / 500, most/500 + 1} {
			f.Add(amount, rate)
		}
	}
	b := bank.New(f, fsmtest.Options{Unchecked: true})
	b.As(fsm.Actor{Kind: fsm.Operator})
	f.Fuzz(func(t *testing.T, amount, rate int64) {
		if amount < 1 || amount > 1<<53-1 || rate < 1 {
			return
		}
		b.TB = t
		b.Set("QPAYNET_CAP_RATES", "USD:"+big.NewInt(rate).String())
		b.Read(func(v *store.View) {
			want := new(big.Int).Mul(big.NewInt(amount), big.NewInt(rate))
			if limit := big.NewInt(most); want.Cmp(limit) > 0 {
				want = limit
			}
			got := limits.CapAmount(v, amount, "USD")
			if got != want.Int64() {
				t.Fatalf("%d at a rate of %d counts %d, want %v", amount, rate, got, want)
			}
			b.Equal([]int64{limits.CapAmount(v, amount, "KZT"), limits.CapAmount(v, amount, "EUR")}, []int64{amount, amount})
		})
	})
}

func TestSumsOfVolumesStop(t *testing.T) {
	for _, c := range [][3]int64{{1, 2, 3}, {most, 1, most}, {most - 1, 1, most}, {most, most, most}, {0, 0, 0}} {
		if got := limits.Sum(c[0], c[1]); got != c[2] {
			t.Errorf("%d + %d is %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
