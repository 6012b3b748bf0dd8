// Package secret is the edge's cryptography: hashes of passwords and tokens, and
// encryption of single fields. Nothing secret reaches state in the clear, so
// all of it happens before a command is submitted.
package secret
