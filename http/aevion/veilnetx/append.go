package veilnetx

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"coffer/fsm/ledger"
	"coffer/http/api"
)

// modules are the modules of the platform; users write entries of the last one.
var modules = []string{
	"qpaynet", "qgood", "qmaskcard", "qchaingov", "bureau", "qbuild", "qsign", "qright", "aev", "qcontract", "qtrade",
	ledger.ExternalModule,
}

// externalKinds are the kinds of entries that users may write.
var externalKinds = []string{
	"transfer", "deposit", "withdrawal", "fee", "refund", "donation", "escrow-lock", "escrow-release", "mint", "burn", "settlement",
}

// errReserved answers an entry of the platform's own modules.
var errReserved = &api.Problem{Kind: forbidden, Code: "module_reserved"}

type appendRequest struct {
	what
	sides
	sum
	meta
}

// what is the module and kind of an entry.
type what struct {
	Module string `json:"module" validate:"required" doc:"Only external"`
	Kind   string `json:"kind" validate:"required"`
}

// Check wants a known module and kind.
func (w *what) Check() *api.Violation {
	if !slices.Contains(modules, w.Module) {
		return &api.Violation{Field: "module", Reason: "is not known", Code: "invalid_module",
			Fields: []api.Field{{Name: "allowed", Value: modules}}}
	}
	if w.Module == ledger.ExternalModule && !slices.Contains(externalKinds, w.Kind) {
		return &api.Violation{Field: "kind", Reason: "is not known", Code: "invalid_kind",
			Fields: []api.Field{{Name: "allowed", Value: externalKinds}}}
	}
	return nil
}

// sides are the two parties of an entry, of which one may be left out.
type sides struct {
	FromIdentifier string `json:"fromIdentifier,omitempty" validate:"max=500"`
	ToIdentifier   string `json:"toIdentifier,omitempty" validate:"max=500"`
}

// Check wants at least one side.
func (s *sides) Check() *api.Violation {
	if strings.TrimSpace(s.FromIdentifier) == "" && strings.TrimSpace(s.ToIdentifier) == "" {
		return &api.Violation{Field: "fromIdentifier", Reason: "give fromIdentifier, toIdentifier or both"}
	}
	return nil
}

// sum is the amount of an entry. It may be negative, but not zero.
type sum struct {
	AmountCents api.Integer `json:"amountCents" validate:"required,min=-1000000000000,max=1000000000000"`
	Currency    string      `json:"currency,omitempty" mod:"trim,upper" doc:"Three letters, default USD"`
}

// Check wants an amount and a currency of three letters.
func (s *sum) Check() *api.Violation {
	if s.AmountCents.Value == 0 {
		return &api.Violation{Field: "amountCents", Reason: "must not be 0"}
	}
	if s.Currency == "" {
		s.Currency = "USD"
	}
	letters := strings.IndexFunc(s.Currency, func(r rune) bool { return r < 'A' || r > 'Z' }) < 0
	if len(s.Currency) != 3 || !letters {
		return &api.Violation{Field: "currency", Reason: "must be three letters", Code: "invalid_currency"}
	}
	return nil
}

// maxMeta is how many bytes of canonical JSON the meta of an entry may have.
const maxMeta = 4096

// meta is any object without null and fractions.
type meta struct {
	Meta      jsontext.Value `json:"meta,omitzero" validate:"object" doc:"Any object of at most 4096 bytes; no null, no fractions"`
	canonical []byte
}

// Check brings the object into its canonical form.
func (m *meta) Check() *api.Violation {
	m.canonical = []byte("{}")
	if len(m.Meta) == 0 {
		return nil
	}
	canonical, err := ledger.Canonical(m.Meta)
	if err != nil {
		return &api.Violation{Field: "meta", Reason: strings.TrimPrefix(err.Error(), "canonicalize: ")}
	}
	if len(canonical) > maxMeta {
		return &api.Violation{Field: "meta", Reason: "must have at most 4096 bytes", Code: "meta_too_large",
			Fields: []api.Field{{Name: "maxBytes", Value: int64(maxMeta)}}}
	}
	m.canonical = canonical
	return nil
}

func (a *Area) appendRoute() api.Route {
	return api.Post("/entries", a.append, api.Spec{
		Summary: "Append an entry (module external only)", Auth: api.Bearer, Status: http.StatusCreated,
		Rejections: ledger.AppendExternal.Rejects,
		Codes:      []string{"module_reserved", "invalid_module", "invalid_kind", "invalid_currency", "meta_too_large"},
	})
}

func (a *Area) append(c *api.Call, in appendRequest) (entryView, error) {
	if in.Module != ledger.ExternalModule {
		return entryView{}, errReserved
	}
	done, err := ledger.AppendExternal.Submit(c, a.Proposer, ledger.External{
		Kind: in.Kind, From: in.FromIdentifier, To: in.ToIdentifier,
		Amount: in.AmountCents.Value, Currency: in.Currency, Meta: in.canonical,
	})
	if err != nil {
		return entryView{}, err
	}
	return entryView{
		ID: done.ID, SequenceNumber: done.Height, Height: done.Height, Module: in.Module, Kind: in.Kind,
		BlindedFrom: done.From, BlindedTo: done.To, AmountCents: in.AmountCents.Value, Currency: in.Currency,
		Meta: done.Meta, PrevHash: done.PrevHash, EntryHash: done.Hash, CreatedAt: api.Time(done.At),
	}, nil
}
