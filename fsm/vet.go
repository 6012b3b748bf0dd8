package fsm

import "coffer/store"

// Vet says why a request that another program has encoded must not enter the
// log: a node stops at an entry with a command or a field that it does not know.
func (m *Machine) Vet(encoded []byte) error {
	if err := store.WellFormed(encoded); err != nil {
		return err
	}
	var r Request
	if err := store.Decode(encoded, &r); err != nil {
		return err
	}
	h, err := m.Handler(r.Command)
	if err != nil {
		return err
	}
	return store.Decode(r.Payload, h.Input())
}
