package qpaynet

import (
	"coffer/http/secret"
	"coffer/store"
)

// personal encrypts and decrypts one user's data and keeps the first error.
type personal struct {
	fields *secret.Fields
	user   store.ID
	err    error
}

// place binds a text to where it is kept: it decrypts nowhere else.
func (p *personal) place(name string) string { return "identity.kyc/" + string(p.user) + "/" + name }

func (p *personal) encrypt(name, text string) string {
	if text == "" || p.err != nil {
		return ""
	}
	var sealed string
	sealed, p.err = p.fields.Encrypt(text, p.place(name))
	return sealed
}

func (p *personal) decrypt(name, sealed string) string {
	if sealed == "" || p.err != nil {
		return ""
	}
	var text string
	text, p.err = p.fields.Decrypt(sealed, p.place(name))
	return text
}
