package api

import "strings"

// IsID tells whether text is an id: two to five lower-case letters, "_" and 8 to
// 64 lower-case hexadecimal digits, or a UUID.
func IsID(text string) bool {
	letters := 0
	for letters < len(text) && text[letters] >= 'a' && text[letters] <= 'z' {
		letters++
	}
	if letters < 2 || letters > 5 || letters == len(text) || text[letters] != '_' {
		return isUUID(text)
	}
	digits := text[letters+1:]
	if len(digits) < 8 || len(digits) > 64 {
		return false
	}
	for i := range len(digits) {
		if c := digits[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isUUID accepts upper-case digits too (RFC 9562, section 4).
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
			continue
		}
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// maxMail is the longest e-mail address (RFC 5321, section 4.5.3.1.3).
const maxMail = 254

// IsMail tells whether text may be an e-mail address: one @, a dot inside the
// domain, no white space or control character, at most 254 bytes.
func IsMail(text string) bool {
	local, domain, split := strings.Cut(text, "@")
	if !split || local == "" || len(text) > maxMail || strings.IndexByte(domain, '@') >= 0 {
		return false
	}
	dot := strings.IndexByte(domain, '.')
	if dot <= 0 || domain[len(domain)-1] == '.' {
		return false
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] == 0x7f {
			return false
		}
	}
	return true
}
