package secret

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	saltLength = 16
	sumLength  = 32
)

// Bounds of what an encoded hash may ask for, so that a damaged one cannot take
// the machine down.
const (
	maxMemoryKiB = 256 << 10
	maxPasses    = 16
	maxThreads   = 16
	maxLength    = 64
)

var errPHC = errors.New("not an argon2id hash in PHC form")

func (c Cost) check() error {
	switch {
	case c.MemoryKiB < 8*uint32(c.Threads) || c.MemoryKiB > maxMemoryKiB:
		return fmt.Errorf("argon2id memory of %d KiB is outside %d to %d", c.MemoryKiB, 8*uint32(c.Threads), maxMemoryKiB)
	case c.Passes < 1 || c.Passes > maxPasses:
		return fmt.Errorf("argon2id passes of %d are outside 1 to %d", c.Passes, maxPasses)
	case c.Threads < 1 || c.Threads > maxThreads:
		return fmt.Errorf("argon2id threads of %d are outside 1 to %d", c.Threads, maxThreads)
	}
	return nil
}

// encode writes $argon2id$v=19$m=…,t=…,p=…$salt$sum.
func encode(c Cost, salt, sum []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKiB, c.Passes, c.Threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// decode reads what encode writes and nothing else.
func decode(encoded string) (c Cost, salt, sum []byte, err error) {
	parts := strings.Split(encoded, "$")
	if hasLineBreak(encoded) || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return c, nil, nil, errPHC
	}
	if c, err = decodeCost(parts[3]); err != nil {
		return c, nil, nil, err
	}
	strict := base64.RawStdEncoding.Strict()
	if salt, err = strict.DecodeString(parts[4]); err != nil || len(salt) < 8 || len(salt) > maxLength {
		return c, nil, nil, errPHC
	}
	if sum, err = strict.DecodeString(parts[5]); err != nil || len(sum) < 16 || len(sum) > maxLength {
		return c, nil, nil, errPHC
	}
	return c, salt, sum, nil
}

// hasLineBreak finds what base64 decoders skip even when they are strict.
func hasLineBreak(encoded string) bool { return strings.ContainsAny(encoded, "\r\n") }

func decodeCost(text string) (c Cost, err error) {
	fields := strings.Split(text, ",")
	if len(fields) != 3 {
		return c, errPHC
	}
	var values [3]uint64
	for i, name := range [...]string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(fields[i], name)
		if values[i], err = strconv.ParseUint(digits, 10, 24); err != nil || !ok || digits != strconv.FormatUint(values[i], 10) {
			return c, errPHC
		}
	}
	if values[2] > maxThreads {
		return c, errPHC
	}
	c = Cost{MemoryKiB: uint32(values[0]), Passes: uint32(values[1]), Threads: uint8(values[2])}
	return c, c.check()
}
