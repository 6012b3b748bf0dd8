package identity_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/identity"
	"coffer/fsm/outbox"
	"coffer/store"
)

func kyc(b *bank.Bank, user string) (k identity.KYC) {
	b.Read(func(v *store.View) { k = identity.KYCOf(v, store.ID(user)) })
	return k
}

func decide(b *bank.Bank, user string, verify bool, reason string, want *fsm.Rejection) {
	b.Helper()
	who := b.Actor
	b.As(b.Admin())
	in := identity.Decide{User: store.ID(user), Verify: verify, Reason: reason}
	if want == nil {
		fsmtest.Must(b.Machine, identity.DecideKYC, in)
	} else {
		fsmtest.Rejects(b.Machine, identity.DecideKYC, in, want)
	}
	b.As(who)
}

func TestTheStatesOfKYC(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	b.Equal(kyc(b, ann.ID), identity.KYC{User: store.ID(ann.ID), Status: identity.KYCNone})
	decide(b, ann.ID, true, "", identity.ErrNotPending)

	in := identity.Submit{FullName: "Ann Example", IIN: "123456789012", Address: "1 Street", Documents: []identity.Document{{Type: "id", Reference: "r"}}}
	got := fsmtest.Must(b.Machine, identity.SubmitKYC, in)
	b.Equal(got, identity.Submitted{Status: identity.KYCPending})
	first := kyc(b, ann.ID)
	b.Equal([]any{first.FullName, first.IIN, first.Address, len(first.Documents), first.VerifiedAt}, []any{in.FullName, in.IIN, in.Address, 1, store.Time(0)})

	decide(b, ann.ID, false, "blurred", nil)
	rejected := kyc(b, ann.ID)
	b.Equal([]any{rejected.Status, rejected.Reason, rejected.RejectedAt > first.SubmittedAt}, []any{identity.KYCRejected, "blurred", true})
	decide(b, ann.ID, true, "", identity.ErrNotPending)
	decide(b, ann.ID, false, "again", identity.ErrNotPending)

	in.FullName, in.Documents = "Ann B. Example", nil
	fsmtest.Must(b.Machine, identity.SubmitKYC, in)
	again := kyc(b, ann.ID)
	b.Equal([]any{again.Status, again.Reason, again.RejectedAt, again.FullName, len(again.Documents)}, []any{identity.KYCPending, "", store.Time(0), "Ann B. Example", 0})
	fsmtest.Must(b.Machine, identity.SubmitKYC, in) // replaces a pending one

	decide(b, ann.ID, true, "ignored", nil)
	verified := kyc(b, ann.ID)
	b.Equal([]any{verified.Status, verified.Reason, verified.VerifiedAt > 0}, []any{identity.KYCVerified, "", true})
	decide(b, ann.ID, false, "too late", identity.ErrNotPending)
	in.FullName = "Eve"
	b.Equal(fsmtest.Must(b.Machine, identity.SubmitKYC, in), identity.Submitted{Status: identity.KYCVerified}) // stays as it is
	b.Equal(kyc(b, ann.ID), verified)
	b.Equal(actions(b, identity.QPayNetTrail, ann.ID), []string{"kyc_verified", "kyc_submitted", "kyc_submitted", "kyc_rejected", "kyc_submitted"})
}

func TestAutoVerifyVerifiesOnSubmission(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	fsmtest.Must(b.Machine, identity.SubmitKYC, identity.Submit{FullName: "Ann"})
	b.Set("QPAYNET_KYC_AUTO_VERIFY", "1")
	b.Equal(kyc(b, ann.ID).Status, identity.KYCPending) // not by itself
	b.Equal(fsmtest.Must(b.Machine, identity.SubmitKYC, identity.Submit{FullName: "Ann"}), identity.Submitted{Status: identity.KYCVerified, AutoVerified: true})
	b.Equal(kyc(b, ann.ID).VerifiedAt, b.Clock)
	b.Read(func(v *store.View) { b.Equal(outbox.At(v, outbox.Length(v)-1).Kind, "identity.kyc_verified") })
	// A second time it is verified already, which nobody did by itself.
	b.Equal(fsmtest.Must(b.Machine, identity.SubmitKYC, identity.Submit{}), identity.Submitted{Status: identity.KYCVerified})
}

// The outside hears of every decision: webhooks and notifications are made from
// these events.
func TestADecisionIsQueued(t *testing.T) {
	b := newBank(t)
	for email, verify := range map[string]bool{"ann@example.org": true, "bob@example.org": false} {
		who := b.Register(email)
		fsmtest.Must(b.Machine, identity.SubmitKYC, identity.Submit{FullName: email})
		decide(b, who.ID, verify, "blurred", nil)
		want := "identity.kyc_rejected"
		if verify {
			want = "identity.kyc_verified"
		}
		b.Read(func(v *store.View) {
			e := outbox.At(v, outbox.Length(v)-1)
			b.Equal([]any{e.Kind, e.Users}, []any{want, []store.ID{store.ID(who.ID)}})
		})
	}
}

func TestSubmissionsThatWaitComeFirst(t *testing.T) {
	b := newBank(t)
	var users []string
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		who := b.Register(name + "@example.org")
		fsmtest.Must(b.Machine, identity.SubmitKYC, identity.Submit{FullName: name})
		users = append(users, who.ID)
	}
	decide(b, users[1], true, "", nil)
	decide(b, users[3], false, "x", nil)
	names := func(status identity.KYCStatus) (list []string) {
		b.Read(func(v *store.View) {
			rows := identity.Submissions(v, nil)
			if status != "" {
				rows = identity.SubmissionsIn(v, status, nil)
			}
			for _, k := range rows {
				list = append(list, k.FullName)
			}
		})
		return list
	}
	b.Equal(names(""), []string{"e", "c", "a", "b", "d"})
	b.Equal(names(identity.KYCPending), []string{"e", "c", "a"})
	b.Equal(names(identity.KYCVerified), []string{"b"})
	b.Equal(names(identity.KYCRejected), []string{"d"})
}
