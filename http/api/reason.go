package api

import (
	"fmt"
	"strings"
)

func bounded[N int | int64](how string, limit N, unit string) string {
	verb := "be"
	if unit == "items" {
		verb = "have"
	}
	if limit == 1 {
		unit = strings.TrimSuffix(unit, "s")
	}
	return strings.TrimSpace(fmt.Sprintf("must %s %s %d %s", verb, how, limit, unit))
}

func atLeast[N int | int64](limit N, unit string) string { return bounded("at least", limit, unit) }
func atMost[N int | int64](limit N, unit string) string  { return bounded("at most", limit, unit) }
func exactly[N int | int64](limit N, unit string) string { return bounded("exactly", limit, unit) }

// reasons are those of the validator library's rules that requests have used.
var reasons = map[string]string{
	"required":         "is required",
	"required_if":      "is required",
	"required_with":    "is required",
	"required_without": "is required",
	"excluded_with":    "must be absent",
	"email":            "must be an e-mail address",
	"url":              "must be a URL",
	"http_url":         "must be an http or https URL",
	"uuid":             "must be a UUID",
	"numeric":          "must be digits",
	"alphanum":         "must be letters and digits",
	"hexadecimal":      "must be hexadecimal",
	"unique":           "must not repeat an item",
}

// reasonFor is the reason of a rule of the validator library.
func reasonFor(tag, param string) string {
	if reason, ok := reasons[tag]; ok {
		return reason
	}
	if param == "" {
		return "must satisfy " + tag
	}
	return "must satisfy " + tag + "=" + param
}
