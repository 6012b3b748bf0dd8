// Package limits keeps the volumes that caps compare and dashboards show: what
// a user sent and received per month and day, and what was deposited in the
// last 24 hours.
package limits
