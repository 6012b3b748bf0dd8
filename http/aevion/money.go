package aevion

import (
	"coffer/fsm"
	"coffer/http/api"
)

// moneyDetails are the details of rejections that are amounts. On the wire they
// are named after their currency.
var moneyDetails = map[string]bool{
	"required": true, "balance": true, "max": true, "threshold": true, "monthlyOutgoing": true, "cap": true, "used": true,
}

// Money names the amounts of a rejection after their currency; other errors
// stay as they are. A rejection says its currency in a detail of that name, caps
// are in KZT.
func Money(err error) error {
	rejection, ok := fsm.AsRejection(err)
	if !ok {
		return err
	}
	suffix := "Kzt"
	if d, ok := rejection.Detail("currency"); ok && d.Text != KZT {
		suffix = "Cents"
	}
	p := &api.Problem{Kind: rejection.Kind, Code: rejection.Code}
	for _, d := range rejection.Details {
		switch {
		case moneyDetails[d.Name]:
			p.Fields = append(p.Fields, api.Field{Name: d.Name + suffix, Value: d.Number})
		case d.IsText:
			p.Fields = append(p.Fields, api.Field{Name: d.Name, Value: d.Text})
		default:
			p.Fields = append(p.Fields, api.Field{Name: d.Name, Value: d.Number})
		}
	}
	return p
}
