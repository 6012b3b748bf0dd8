package auth

import (
	"errors"
	"net/http"
	"strings"

	"coffer/http/api"
)

var (
	errAuthorization = errors.New("more than one Authorization header")
	errBearer        = errors.New("the bearer token is empty or too long")
)

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 4096

// Bearer returns the bearer token of a request, or api.ErrNoCredential. It reads
// the Authorization header and nothing else.
func Bearer(r *http.Request) (string, error) {
	values := r.Header["Authorization"]
	switch len(values) {
	case 0:
		return "", api.ErrNoCredential
	case 1:
		return cutBearer(values[0])
	}
	return "", errAuthorization
}

// cutBearer cuts the scheme off, whose letters have no case (RFC 9110, 11.1).
func cutBearer(value string) (string, error) {
	const scheme = "Bearer "
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", api.ErrNoCredential
	}
	token := strings.TrimLeft(value[len(scheme):], " ")
	if token == "" || len(token) > maxToken {
		return "", errBearer
	}
	return token, nil
}
