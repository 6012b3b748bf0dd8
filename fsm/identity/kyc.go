package identity

import (
	"iter"

	"coffer/fsm"
	"coffer/fsm/settings"
	"coffer/store"
)

// KYCStatus is how far a user's identification has come.
type KYCStatus string

// The states of KYC.
const (
	KYCNone     KYCStatus = "none"
	KYCPending  KYCStatus = "pending"
	KYCVerified KYCStatus = "verified"
	KYCRejected KYCStatus = "rejected"
)

// KYC is a user's latest submission. Personal data is as the door stored it,
// encrypted where a key is configured.
type KYC struct {
	User        store.ID   `cbor:"1,keyasint"`
	Status      KYCStatus  `cbor:"2,keyasint"`
	FullName    string     `cbor:"3,keyasint,omitempty"`
	IIN         string     `cbor:"4,keyasint,omitempty"`
	Address     string     `cbor:"5,keyasint,omitempty"`
	Documents   []Document `cbor:"6,keyasint,omitempty"`
	SubmittedAt store.Time `cbor:"7,keyasint,omitempty"`
	VerifiedAt  store.Time `cbor:"8,keyasint,omitempty"`
	RejectedAt  store.Time `cbor:"9,keyasint,omitempty"`
	Reason      string     `cbor:"10,keyasint,omitempty"` // of a rejection
}

// Document is a reference to a paper kept elsewhere.
type Document struct {
	Type      string `cbor:"1,keyasint"`
	Reference string `cbor:"2,keyasint"`
}

// kycOrder puts submissions that wait first.
var kycOrder = map[KYCStatus]store.Uint64{KYCPending: 0, KYCVerified: 1, KYCRejected: 2}

var (
	submissions  = store.NewTable("identity.kyc", func(k *KYC) store.ID { return k.User })
	kycsByStatus = store.AddIndex(submissions, "status", func(k *KYC) (store.Pair[store.Uint64, store.Newest], bool) {
		return store.PairOf(kycOrder[k.Status], store.Newest(k.SubmittedAt)), true
	})
)

// KYCOf returns a user's KYC state; without a submission it is KYCNone.
func KYCOf(r store.Reader, user store.ID) KYC {
	k, ok := submissions.Get(r, user)
	if !ok {
		return KYC{User: user, Status: KYCNone}
	}
	return k
}

// Verified tells whether a user's KYC is complete.
func Verified(r store.Reader, user store.ID) bool { return KYCOf(r, user).Status == KYCVerified }

// Submissions visits all KYC submissions, pending ones first, then newest
// first.
func Submissions(r store.Reader, after store.Cursor) iter.Seq2[store.Cursor, KYC] {
	return kycsByStatus.Scan(r, store.All{}, after)
}

// SubmissionsIn visits the submissions of one state, newest first.
func SubmissionsIn(r store.Reader, status KYCStatus, after store.Cursor) iter.Seq2[store.Cursor, KYC] {
	return kycsByStatus.Scan(r, kycOrder[status], after)
}

// Submit is the input of SubmitKYC.
type Submit struct {
	FullName  string     `cbor:"1,keyasint"`
	IIN       string     `cbor:"2,keyasint"`
	Address   string     `cbor:"3,keyasint,omitempty"`
	Documents []Document `cbor:"4,keyasint,omitempty"`
}

// Submitted says what became of a submission.
type Submitted struct {
	Status       KYCStatus `cbor:"1,keyasint"`
	AutoVerified bool      `cbor:"2,keyasint,omitempty"`
}

// Rejections of the KYC commands.
var (
	ErrNotPending = fsm.Reject(fsm.NotFound, "not_found_or_not_pending")
	ErrNotAdmin   = fsm.Reject(fsm.Forbidden, "not_admin")
)

// SubmitKYC hands in or replaces the acting user's data. A verified user stays
// as it is.
var SubmitKYC = fsm.Command[Submit, Submitted]{Name: "identity.submit_kyc/1", Rejects: fsm.Rejections{ErrAuthRequired}}

func submitKYC(ctx *fsm.Context, c Submit) (Submitted, error) {
	u, err := actor(ctx)
	if err != nil {
		return Submitted{}, err
	}
	if Verified(ctx, u.ID) {
		return Submitted{Status: KYCVerified}, nil
	}
	k := KYC{User: u.ID, Status: KYCPending, FullName: c.FullName, IIN: c.IIN, Address: c.Address,
		Documents: c.Documents, SubmittedAt: ctx.Now}
	auto := settings.AutoVerify.Of(ctx)
	if auto {
		k.Status, k.VerifiedAt = KYCVerified, ctx.Now
	}
	submissions.Put(ctx, k)
	Audit(ctx, QPayNetTrail, u.ID, "kyc_submitted")
	done := Submitted{Status: k.Status, AutoVerified: auto}
	if !auto {
		return done, nil
	}
	return done, KYCDecided.Fire(ctx, k)
}

// Decide is the input of DecideKYC.
type Decide struct {
	User   store.ID `cbor:"1,keyasint"`
	Verify bool     `cbor:"2,keyasint,omitempty"`
	Reason string   `cbor:"3,keyasint,omitempty"` // of a rejection
}

// DecideKYC verifies or rejects a pending submission. Only administrators of
// QPayNet may.
var DecideKYC = fsm.Command[Decide, fsm.Nothing]{
	Name: "identity.decide_kyc/1", Rejects: fsm.Rejections{ErrNotAdmin, ErrNotPending},
}

// KYCDecided tells other domains in the same batch.
var KYCDecided = fsm.NewHook[KYC]("identity.kyc_decided")

func decideKYC(ctx *fsm.Context, c Decide) (fsm.Nothing, error) {
	if !IsAdmin(ctx, ctx.Actor, settings.QPayNetAdmins) {
		return fsm.Nothing{}, ErrNotAdmin
	}
	k := KYCOf(ctx, c.User)
	if k.Status != KYCPending {
		return fsm.Nothing{}, ErrNotPending
	}
	action := "kyc_rejected"
	k.Status, k.RejectedAt, k.Reason = KYCRejected, ctx.Now, c.Reason
	if c.Verify {
		action = "kyc_verified"
		k.Status, k.VerifiedAt, k.RejectedAt, k.Reason = KYCVerified, ctx.Now, 0, ""
	}
	submissions.Put(ctx, k)
	Audit(ctx, QPayNetTrail, k.User, action)
	return fsm.Nothing{}, KYCDecided.Fire(ctx, k)
}
