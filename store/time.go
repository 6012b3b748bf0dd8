package store

import "time"

// Time is an instant in whole microseconds since 1970, UTC. Zero means "not
// set".
type Time int64

// Durations in the unit of Time.
const (
	Microsecond int64 = 1
	Millisecond       = 1000 * Microsecond
	Second            = 1000 * Millisecond
	Minute            = 60 * Second
	Hour              = 60 * Minute
	Day               = 24 * Hour
)

// TimeOf converts a wall clock reading; what is below a microsecond is cut.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Std converts t to the standard library's type, in UTC.
func (t Time) Std() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Add moves t by a number of microseconds.
func (t Time) Add(microseconds int64) Time { return t + Time(microseconds) }

// String prints t as RFC 3339 with three decimals, the form of the public APIs.
func (t Time) String() string { return t.Std().Format("2006-01-02T15:04:05.000Z") }
