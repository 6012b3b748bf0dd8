package store

import "fmt"

// Problem is one finding of a check: what is wrong, and where.
type Problem struct {
	Bucket string
	Key    []byte
	Err    error
}

func (p Problem) Error() string {
	return fmt.Sprintf("%s, key %x: %v", p.Bucket, p.Key, p.Err)
}

func (p Problem) Unwrap() error { return p.Err }
