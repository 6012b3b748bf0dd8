package bench

import (
	"bytes"
	"fmt"
)

// head is what the first lines of an answer say about its body.
type head struct {
	status  int
	length  int // bytes of the body, -1 when not stated
	chunked bool
	close   bool
}

// parseHead reads the status line and the three headers that frame a body.
func parseHead(lines []byte) (head, error) {
	if bytes.Count(lines, []byte("\n")) != bytes.Count(lines, []byte("\r\n")) {
		return head{}, fmt.Errorf("%w: bare line feed in %.40q", errMalformedResponse, lines)
	}
	line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return head{}, fmt.Errorf("%w: status line %.40q", errMalformedResponse, line)
	}
	status, ok := parseDecimal(line[9:12])
	if !ok || status < 100 || len(line) > 12 && line[12] != ' ' {
		return head{}, fmt.Errorf("%w: status line %.40q", errMalformedResponse, line)
	}
	h := head{status: status, length: -1, close: line[7] == '0'}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if err := h.add(line); err != nil {
			return head{}, err
		}
	}
	return h, nil
}

func (h *head) add(line []byte) error {
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found || len(name) == 0 {
		return fmt.Errorf("%w: header %.40q", errMalformedResponse, line)
	}
	switch {
	case foldEqual(name, "content-length"):
		length, ok := parseDecimal(bytes.TrimSpace(value))
		if !ok || length > maxBodyBytes || h.length >= 0 && h.length != length {
			return fmt.Errorf("%w: content length %.40q", errMalformedResponse, value)
		}
		h.length = length
	case foldEqual(name, "transfer-encoding"):
		if !foldEqual(bytes.TrimSpace(value), "chunked") {
			return fmt.Errorf("%w: transfer encoding %.40q", errMalformedResponse, value)
		}
		h.chunked = true
	case foldEqual(name, "connection"):
		h.close = h.close || foldEqual(bytes.TrimSpace(value), "close")
	}
	return nil
}

// foldEqual compares with a lower-case ASCII word, ignoring case.
func foldEqual(text []byte, word string) bool {
	if len(text) != len(word) {
		return false
	}
	for i := range text {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

func parseDecimal(digits []byte) (int, bool) {
	if len(digits) == 0 || len(digits) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// parseChunkSize reads the hexadecimal size before any chunk extension.
func parseChunkSize(line []byte) (int, error) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 || len(digits) > 8 {
		return 0, fmt.Errorf("%w: chunk size %.40q", errMalformedResponse, line)
	}
	n := 0
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | int(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | int(c-'a'+10)
		case 'A' <= c && c <= 'F':
			n = n<<4 | int(c-'A'+10)
		default:
			return 0, fmt.Errorf("%w: chunk size %.40q", errMalformedResponse, line)
		}
	}
	return n, nil
}
