package store

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// MaxNesting bounds the depth of everything that is decoded.
const MaxNesting = 16

// EnvelopeNesting is how deep a value may lie in another that carries it raw.
const EnvelopeNesting = 2

// MaxElements bounds arrays and maps of everything that is decoded.
const MaxElements = 65536

var (
	encoder   = newEncoder()
	decoder   = newDecoder(MaxNesting)
	enveloped = newDecoder(MaxNesting - EnvelopeNesting)
)

// newEncoder follows the core deterministic encoding of RFC 8949 section 4.2.
func newEncoder() cbor.UserBufferEncMode {
	options := cbor.CoreDetEncOptions()
	options.TagsMd = cbor.TagsForbidden
	options.NilContainers = cbor.NilContainerAsEmpty
	mode, err := options.UserBufferEncMode()
	if err != nil {
		panic(err)
	}
	return mode
}

func newDecoder(nesting int) cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		MaxNestedLevels:   nesting,
		MaxArrayElements:  MaxElements,
		MaxMapPairs:       MaxElements,
		IntDec:            cbor.IntDecConvertSignedOrFail,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}

// scratch buffers for Encode, so that each value costs one allocation.
var scratch = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keptScratch bounds what a scratch buffer keeps from a large value.
const keptScratch = 2 << 20

// Encode returns the canonical CBOR of value (RFC 8949 section 4.2).
// A type that cannot be encoded is a programming error and panics.
func Encode(value any) []byte {
	buffer := scratch.Get().(*bytes.Buffer)
	buffer.Reset()
	EncodeTo(buffer, value)
	encoded := bytes.Clone(buffer.Bytes())
	if buffer.Cap() <= keptScratch {
		scratch.Put(buffer)
	}
	return encoded
}

// EncodeTo appends the canonical CBOR of value to buffer.
func EncodeTo(buffer *bytes.Buffer, value any) {
	if err := encoder.MarshalToBuffer(value, buffer); err != nil {
		panic(fmt.Errorf("store: encode %T: %w", value, err))
	}
}

// Raw is an encoded value inside another. A decoded one shares the memory it was
// decoded from, which must not change any more; so no row of a table may have it.
type Raw []byte

// MarshalCBOR returns the value itself, or null without one.
func (r Raw) MarshalCBOR() ([]byte, error) {
	if len(r) == 0 {
		return encodedNull, nil
	}
	return r, nil
}

// UnmarshalCBOR keeps the value without copying it.
func (r *Raw) UnmarshalCBOR(data []byte) error {
	*r = data[:len(data):len(data)]
	return nil
}

var encodedNull = []byte{0xf6}

// WellFormed tells why data is not exactly one value that Decode could read, even
// inside of others that are EnvelopeNesting deep. Texts are not looked at.
func WellFormed(data []byte) error {
	if err := enveloped.Wellformed(data); err != nil {
		return fmt.Errorf("encoded value: %w", err)
	}
	return nil
}

// Decode reads exactly one value. Unknown fields, duplicate keys, tags,
// indefinite lengths, other types and trailing bytes are errors. A value in a
// longer form than Encode's is read: what must be canonical is never encoded
// again to be compared, its bytes are kept.
func Decode(data []byte, value any) error {
	if err := decoder.Unmarshal(data, value); err != nil {
		return fmt.Errorf("decode %T: %w", value, err)
	}
	return nil
}
