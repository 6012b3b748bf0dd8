package api

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
)

const headerTrace = "X-Request-Id"

// maxTrace is the longest request id taken from a client, in characters.
const maxTrace = 64

// traceOf is the id of a request: the client's if it is plain, else a new one.
// It is no secret.
func traceOf(h http.Header) string {
	if values := h[headerTrace]; len(values) == 1 && isTrace(values[0]) {
		return values[0]
	}
	var bits [16]byte
	a, b := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		bits[i], bits[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	var digits [32]byte
	hex.Encode(digits[:], bits[:])
	return string(digits[:])
}

func isTrace(text string) bool {
	return len(text) > 0 && len(text) <= maxTrace && isUnreserved(text) && strings.IndexByte(text, '~') < 0
}

// toValid replaces invalid UTF-8, which state cannot hold.
func toValid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
