package aevion

import (
	"net/http"

	"coffer/http/api"
)

// codes are the answers that all areas of the surface share.
var codes = api.Codes{
	api.CodeKeyReused: {Status: http.StatusConflict, Code: "idempotency_key_body_mismatch",
		Message: "The Idempotency-Key was used with another request."},
	api.CodeAuthRequired: {Status: http.StatusUnauthorized, Code: "auth_required", Message: "Sign in: a valid token is required."},
	"invalid_email":      {Status: http.StatusBadRequest, Message: "The e-mail address is not valid."},
}
