package aevion

import (
	"github.com/go-json-experiment/json/jsontext"

	"coffer/fsm"
)

// Members is a JSON object of details, in their order.
type Members []fsm.Detail

// MarshalJSONTo writes the object.
func (m Members) MarshalJSONTo(e *jsontext.Encoder) error {
	if err := e.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, d := range m {
		value := jsontext.Int(d.Number)
		if d.IsText {
			value = jsontext.String(d.Text)
		}
		if err := e.WriteToken(jsontext.String(d.Name)); err != nil {
			return err
		}
		if err := e.WriteToken(value); err != nil {
			return err
		}
	}
	return e.WriteToken(jsontext.EndObject)
}
