package wallet

import (
	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/limits"
	"coffer/fsm/settings"
	"coffer/store"
)

// caps compares amounts of one user with the limits before KYC. It reads the
// settings once and counts what the same command has moved already.
type caps struct {
	ctx      *fsm.Context
	user     store.ID
	kyc      identity.KYCStatus
	outgoing int64 // of this month so far, in tiyin that caps count
	highest  int64 // of one transfer
	month    int64 // of a month's outgoing sum
}

func capsOf(ctx *fsm.Context, user store.ID) caps {
	c := caps{ctx: ctx, user: user, kyc: identity.KYCOf(ctx, user).Status}
	if c.kyc == identity.KYCVerified {
		return c
	}
	month, _ := limits.MonthOf(ctx.Now)
	c.outgoing = limits.VolumeOf(ctx, user, month).Outgoing
	c.highest = settings.MaxTransfer.Of(ctx) * limits.MinorPerUnit
	c.month = settings.KYCThreshold.Of(ctx) * limits.MinorPerUnit
	return c
}

func (c *caps) counted(amount ledger.Amount, currency string) int64 {
	return limits.CapAmount(c.ctx, int64(amount), currency)
}

// single refuses an amount above the cap of one transfer.
func (c *caps) single(amount ledger.Amount, currency string) error {
	if c.kyc == identity.KYCVerified {
		return nil
	}
	if c.counted(amount, currency) > c.highest {
		return ErrAboveCap.With(fsm.Number("max", c.highest))
	}
	return nil
}

// monthly refuses an amount that lifts the outgoing sum of the month above the
// KYC threshold.
func (c *caps) monthly(counted int64) error {
	if c.kyc == identity.KYCVerified {
		return nil
	}
	if c.outgoing+counted > c.month {
		return ErrKYCRequired.With(fsm.Number("threshold", c.month), fsm.Number("monthlyOutgoing", c.outgoing),
			fsm.Text("kycStatus", string(c.kyc)))
	}
	return nil
}

// daily refuses a deposit above the cap of the last 24 hours.
func (c *caps) daily(counted int64) error {
	if c.kyc == identity.KYCVerified {
		return nil
	}
	highest := settings.DailyDepositCap.Of(c.ctx) * limits.MinorPerUnit
	used := limits.Deposited(c.ctx, c.user)
	if used+counted > highest {
		return ErrDepositCap.With(fsm.Number("cap", highest), fsm.Number("used", used))
	}
	return nil
}
