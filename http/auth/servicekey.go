package auth

import (
	"errors"
	"net/http"

	"coffer/fsm"
	"coffer/http/api"
	"coffer/http/secret"
)

// ServiceKey is a fixed key that another service sends in a header of its own.
type ServiceKey struct {
	name    string
	header  string
	secrets func() []string // hidden from fmt and encoders
	wrong   error
}

// NewServiceKey makes a key from one secret, or several during a rotation. Empty
// secrets are left out; without any the key matches nothing. Wrong is the error
// for a key that does not match, such as an *api.Problem.
func NewServiceKey(name, header string, secrets []string, wrong error) (*ServiceKey, error) {
	if name == "" || header != http.CanonicalHeaderKey(header) || wrong == nil {
		return nil, errors.New("a service key needs a name, a header in canonical form and an error")
	}
	var kept []string
	for _, s := range secrets {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return &ServiceKey{name: name, header: header, secrets: func() []string { return kept }, wrong: wrong}, nil
}

// Identify is the service itself, if its key is right. Every secret is compared
// in constant time, whether an earlier one matched or not.
func (k *ServiceKey) Identify(r *http.Request) (fsm.Actor, error) {
	values := r.Header[k.header]
	if len(values) == 0 {
		return fsm.Actor{}, api.ErrNoCredential
	}
	matches := 0
	for _, s := range k.secrets() {
		if secret.Equal(values[0], s) {
			matches++
		}
	}
	if matches == 0 || len(values) > 1 {
		return fsm.Actor{}, k.wrong
	}
	return fsm.Actor{Kind: fsm.Service, ID: k.name}, nil
}

// Scheme describes the key under a name of the surface, such as "serviceKey".
func (k *ServiceKey) Scheme(name string) api.Scheme {
	return api.Scheme{Name: name, Identify: k.Identify, Header: k.header, Description: "Fixed key of the service " + k.name + "."}
}
