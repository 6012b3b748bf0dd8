// Package openapi turns the routes of a surface into OpenAPI 3.1 documents. Go
// types become schemas through swaggest/openapi-go; what is ours is the way from
// routes, tags, envelopes and rejections to operations. Equal routes give equal
// bytes.
package openapi
