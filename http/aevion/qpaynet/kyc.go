package qpaynet

import (
	"iter"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/limits"
	"coffer/fsm/settings"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) kycRoutes() []api.Route {
	admin := fsm.Rejections{identity.ErrNotAdmin}
	return []api.Route{
		api.Post("/kyc/submit", a.submitKYC, api.Spec{
			Summary: "Submit KYC data", Auth: api.Bearer, Rejections: identity.SubmitKYC.Rejects,
			Codes: []string{"full_name_required", "iin_must_be_12_digits"},
		}),
		api.Get("/kyc/status", a.kycStatus, api.Spec{Summary: "Own KYC state and limits", Auth: api.Bearer}),
		api.Get("/admin/kyc", a.submissions, api.Spec{Summary: "List KYC submissions", Auth: api.Bearer, Rejections: admin}),
		api.Post("/admin/kyc/{ownerId}/verify", a.verifyKYC, api.Spec{
			Summary: "Verify KYC", Auth: api.Bearer,
			Rejections: identity.DecideKYC.Rejects, NotFound: identity.ErrNotPending,
		}),
		api.Post("/admin/kyc/{ownerId}/reject", a.rejectKYC, api.Spec{
			Summary: "Reject KYC", Auth: api.Bearer,
			Rejections: identity.DecideKYC.Rejects, NotFound: identity.ErrNotPending, Codes: []string{"reason_required"},
		}),
	}
}

type documentRequest struct {
	Type      string `json:"type" validate:"required,max=50"`
	Reference string `json:"reference" validate:"required,max=200"`
}

type kycRequest struct {
	FullName string `json:"fullName" mod:"trim" validate:"required,min=5,max=200" code:"full_name_required"`
	number
	Address   string            `json:"address,omitempty" mod:"trim" validate:"max=500"`
	Documents []documentRequest `json:"documents,omitempty" validate:"max=10"`
}

// number is an individual identification number: 12 digits.
type number struct {
	IIN string `json:"iin" doc:"12 digits"`
}

// Check wants 12 digits.
func (n *number) Check() *api.Violation {
	valid := len(n.IIN) == 12
	for i := range len(n.IIN) {
		valid = valid && n.IIN[i] >= '0' && n.IIN[i] <= '9'
	}
	if !valid {
		return &api.Violation{Field: "iin", Reason: "must be 12 digits", Code: "iin_must_be_12_digits"}
	}
	return nil
}

type kycResponse struct {
	OK           bool               `json:"ok"`
	Status       identity.KYCStatus `json:"status"`
	AutoVerified bool               `json:"autoVerified"`
}

// submitKYC encrypts personal data here: it must not enter the log in the clear
// when a key is configured.
func (a *Area) submitKYC(c *api.Call, in kycRequest) (kycResponse, error) {
	sealed := personal{fields: a.Fields, user: user(c)}
	request := identity.Submit{
		FullName: sealed.encrypt("fullName", in.FullName), IIN: sealed.encrypt("iin", in.IIN),
		Address: sealed.encrypt("address", in.Address),
	}
	for _, d := range in.Documents {
		request.Documents = append(request.Documents, identity.Document{Type: d.Type, Reference: sealed.encrypt("document", d.Reference)})
	}
	if sealed.err != nil {
		return kycResponse{}, sealed.err
	}
	done, err := identity.SubmitKYC.Submit(c, a.Proposer, request)
	return kycResponse{OK: true, Status: done.Status, AutoVerified: done.AutoVerified}, err
}

type kycStatusResponse struct {
	Status       identity.KYCStatus `json:"status"`
	Threshold    int64              `json:"thresholdKzt"`
	Outgoing     int64              `json:"monthlyOutgoingKzt"`
	Remaining    int64              `json:"remainingKztBeforeKycRequired"`
	AutoVerify   bool               `json:"autoVerifyEnabled"`
	FullName     string             `json:"fullName,omitzero"`
	IINMasked    string             `json:"iinMasked,omitzero"`
	Address      string             `json:"address,omitzero"`
	SubmittedAt  api.Time           `json:"submittedAt,omitzero"`
	VerifiedAt   api.Time           `json:"verifiedAt,omitzero"`
	RejectedAt   api.Time           `json:"rejectedAt,omitzero"`
	RejectReason string             `json:"rejectedReason,omitzero"`
}

func (a *Area) kycStatus(c *api.Call, _ api.Empty) (out kycStatusResponse, err error) {
	err = c.Read(func(v *store.View) error {
		month, _ := limits.MonthOf(store.Time(aevion.Now(c)))
		k := identity.KYCOf(v, user(c))
		opened := personal{fields: a.Fields, user: k.User}
		out = kycStatusResponse{
			Status: k.Status, Threshold: settings.KYCThreshold.Of(v) * limits.MinorPerUnit,
			Outgoing: limits.VolumeOf(v, k.User, month).Outgoing, AutoVerify: settings.AutoVerify.Of(v),
			FullName: opened.decrypt("fullName", k.FullName), IINMasked: masked(opened.decrypt("iin", k.IIN)),
			Address: opened.decrypt("address", k.Address), SubmittedAt: api.Time(k.SubmittedAt),
			VerifiedAt: api.Time(k.VerifiedAt), RejectedAt: api.Time(k.RejectedAt), RejectReason: k.Reason,
		}
		out.Remaining = max(0, out.Threshold-out.Outgoing)
		return opened.err
	})
	return out, err
}

// masked shows the first four digits only.
func masked(number string) string {
	if len(number) < 4 {
		return ""
	}
	return number[:4] + "********"
}

type submissionView struct {
	OwnerID      store.ID           `json:"ownerId"`
	Status       identity.KYCStatus `json:"status"`
	FullName     string             `json:"fullName"`
	IIN          string             `json:"iin"`
	Address      string             `json:"address"`
	SubmittedAt  api.Time           `json:"submittedAt"`
	VerifiedAt   api.Time           `json:"verifiedAt" nullable:"true"`
	RejectedAt   api.Time           `json:"rejectedAt" nullable:"true"`
	RejectReason *string            `json:"rejectedReason"`
}

type submissionsRequest struct {
	aevion.Page
	Status identity.KYCStatus `query:"status" validate:"omitempty,oneof=pending verified rejected"`
	Before api.Time           `query:"before" doc:"Only submissions made earlier"`
}

type submissionsResponse struct {
	Submissions []submissionView `json:"submissions"`
	Next        api.Cursor       `json:"nextCursor,omitzero"`
}

func (a *Area) submissions(c *api.Call, in submissionsRequest) (submissionsResponse, error) {
	out := submissionsResponse{Submissions: []submissionView{}}
	err := c.Read(func(v *store.View) error {
		if err := mayAdminister(v, c); err != nil {
			return err
		}
		rows := identity.Submissions(v, in.After())
		if in.Status != "" {
			rows = identity.SubmissionsIn(v, in.Status, in.After())
		}
		if !in.Before.IsZero() {
			rows = submittedBefore(rows, in.Before.Store())
		}
		page, next := store.Collect(rows, in.Limit)
		for _, k := range page {
			view, err := a.submission(k)
			if err != nil {
				return err
			}
			out.Submissions = append(out.Submissions, view)
		}
		out.Next = api.Cursor(next)
		return nil
	})
	return out, err
}

// submittedBefore leaves out what was submitted at a time or later.
func submittedBefore(rows iter.Seq2[store.Cursor, identity.KYC], at store.Time) iter.Seq2[store.Cursor, identity.KYC] {
	return func(yield func(store.Cursor, identity.KYC) bool) {
		for cursor, k := range rows {
			if k.SubmittedAt < at && !yield(cursor, k) {
				return
			}
		}
	}
}

func (a *Area) submission(k identity.KYC) (submissionView, error) {
	opened := personal{fields: a.Fields, user: k.User}
	view := submissionView{
		OwnerID: k.User, Status: k.Status, FullName: opened.decrypt("fullName", k.FullName),
		IIN: opened.decrypt("iin", k.IIN), Address: opened.decrypt("address", k.Address),
		SubmittedAt: api.Time(k.SubmittedAt), VerifiedAt: api.Time(k.VerifiedAt), RejectedAt: api.Time(k.RejectedAt),
	}
	if k.Reason != "" {
		view.RejectReason = &k.Reason
	}
	return view, opened.err
}

type ownerRequest struct {
	OwnerID store.ID `path:"ownerId" validate:"id"`
}

type okResponse struct {
	OK bool `json:"ok"`
}

func (a *Area) verifyKYC(c *api.Call, in ownerRequest) (okResponse, error) {
	_, err := identity.DecideKYC.Submit(c, a.Proposer, identity.Decide{User: in.OwnerID, Verify: true})
	return okResponse{OK: true}, err
}

type rejectRequest struct {
	ownerRequest
	Reason string `json:"reason" mod:"trim" validate:"required,min=1,max=500" code:"reason_required"`
}

func (a *Area) rejectKYC(c *api.Call, in rejectRequest) (okResponse, error) {
	_, err := identity.DecideKYC.Submit(c, a.Proposer, identity.Decide{User: in.OwnerID, Reason: in.Reason})
	return okResponse{OK: true}, err
}
