package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func TestResponse(t *testing.T) {
	large := strings.Repeat("x", 20_000)
	cases := []struct {
		name, input string
		want        []response
	}{
		{"with a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", []response{{200, []byte("hi"), false}}},
		{"without a reason", "HTTP/1.1 404\r\ncontent-length: 0\r\n\r\n", []response{{404, nil, false}}},
		{"in chunks with extension and trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n" +
			"3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\nX: y\r\n\r\n", []response{{200, []byte("abc0123456789"), false}}},
		{"without a body", "HTTP/1.1 204 No Content\r\n\r\n", []response{{204, nil, false}}},
		{"to the end of the stream", "HTTP/1.1 200 OK\r\n\r\nabc", []response{{200, []byte("abc"), true}}},
		{"asks to close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", []response{{200, []byte("x"), true}}},
		{"of an old server", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", []response{{200, []byte("x"), true}}},
		{"after an interim one", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx",
			[]response{{201, []byte("x"), false}}},
		{"three in a row, one large", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na" +
			"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + large +
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n" + large + "\r\n0\r\n\r\n",
			[]response{{200, []byte("a"), false}, {200, []byte(large), false}, {200, []byte(large), false}}},
	}
	for _, c := range cases {
		for _, source := range []io.Reader{strings.NewReader(c.input), iotest.OneByteReader(strings.NewReader(c.input))} {
			reader := newResponseReader(source)
			for _, want := range c.want {
				got, err := reader.read()
				if err != nil || got.status != want.status || got.close != want.close || !bytes.Equal(got.body, want.body) {
					t.Errorf("%s: got %d %.50q close %v, %v", c.name, got.status, got.body, got.close, err)
				}
			}
			if _, err := reader.read(); !errors.Is(err, io.EOF) {
				t.Errorf("%s: after the end: %v", c.name, err)
			}
		}
	}
}

func TestMalformedResponse(t *testing.T) {
	for _, input := range []string{
		"SSH-2.0-OpenSSH\r\n\r\n",
		"HTTP/1.1 20x OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.0 200 \n\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nabc\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 2*maxHeadBytes),
	} {
		if got, err := newResponseReader(strings.NewReader(input)).read(); !errors.Is(err, errMalformedResponse) {
			t.Errorf("%.60q: got %d, %v", input, got.status, err)
		}
	}
}

func TestResponseCutShort(t *testing.T) {
	for _, input := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd",
		"HTTP/1.1 200 OK\r\nContent-Le",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	} {
		if _, err := newResponseReader(strings.NewReader(input)).read(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", input, err)
		}
	}
}

// fragments delivers a stream in pieces of the given sizes, over and over.
type fragments struct {
	rest  []byte
	sizes []byte
	next  int
}

func (f *fragments) Read(to []byte) (int, error) {
	if len(f.rest) == 0 {
		return 0, io.EOF
	}
	size := len(f.rest)
	if len(f.sizes) > 0 {
		size = 1 + int(f.sizes[f.next%len(f.sizes)])
		f.next++
	}
	n := copy(to, f.rest[:min(size, len(f.rest))])
	f.rest = f.rest[n:]
	return n, nil
}

// FuzzResponse holds the reader against the one of net/http: what both accept
// they understand alike, however the bytes arrive.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), []byte{1, 5})
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), []byte{0})
	f.Add([]byte("HTTP/1.0 500 No\r\nConnection: close\r\n\r\nrest"), []byte{3})
	f.Add([]byte("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"), []byte{9})
	f.Fuzz(func(t *testing.T, input, sizes []byte) {
		got, err := newResponseReader(&fragments{rest: input}).read()
		again, errAgain := newResponseReader(&fragments{rest: input, sizes: sizes}).read()
		if (err == nil) != (errAgain == nil) || got.status != again.status ||
			err == nil && (got.close != again.close || !bytes.Equal(got.body, again.body)) {
			t.Fatalf("whole: %d %q %v; in pieces: %d %q %v", got.status, got.body, err, again.status, again.body, errAgain)
		}
		if err != nil {
			return
		}
		reference, body := referenceResponse(input)
		if reference == nil {
			return
		}
		if reference.StatusCode != got.status || !bytes.Equal(body, got.body) {
			t.Fatalf("net/http reads %d %q, we read %d %q", reference.StatusCode, body, got.status, got.body)
		}
	})
}

// referenceResponse is the first final answer that net/http reads, nil for none.
func referenceResponse(input []byte) (*http.Response, []byte) {
	buffered := bufio.NewReader(bytes.NewReader(input))
	for {
		answer, err := http.ReadResponse(buffered, nil)
		if err != nil {
			return nil, nil
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return nil, nil
		}
		if answer.StatusCode >= 200 {
			return answer, body
		}
	}
}

func TestResponsesOfAnyShapeSurvive(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var stream bytes.Buffer
	var bodies [][]byte
	for range 300 {
		body := make([]byte, random.IntN(1<<random.IntN(15)))
		for i := range body {
			body[i] = byte(random.Uint32())
		}
		bodies = append(bodies, body)
		if random.IntN(2) == 0 {
			fmt.Fprintf(&stream, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			continue
		}
		stream.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for rest := body; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			fmt.Fprintf(&stream, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		stream.WriteString("0\r\n\r\n")
	}
	sizes := make([]byte, 100)
	for i := range sizes {
		sizes[i] = byte(random.Uint32())
	}
	reader := newResponseReader(&fragments{rest: stream.Bytes(), sizes: sizes})
	for i, want := range bodies {
		got, err := reader.read()
		if err != nil || !bytes.Equal(got.body, want) {
			t.Fatalf("seed %d: answer %d: %d bytes of %d, %v", seed, i, len(got.body), len(want), err)
		}
	}
}
