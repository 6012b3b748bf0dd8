// Package http is the server: it joins the surfaces to one handler, adds what
// belongs to no surface (liveness, metrics, documents, the API browser) and
// knows the admin listener.
package http
