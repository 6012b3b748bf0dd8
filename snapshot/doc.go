// Package snapshot makes whole copies of the state and installs them. There is
// one form for all of them, the canonical stream: what a follower far behind
// receives, what a backup holds and what an auditor reads. Equal state gives
// equal bytes, so two nodes at one index give streams of one SHA-256.
//
//	"coffer snapshot 1\n" | header | rows ... | footer | SHA-256 of all before
//
// Each part is a frame: u8 kind, u32 length, payload, u32 CRC32C of these. The
// header and the footer are canonical CBOR. A frame of rows holds rows of one
// bucket, u8 length and name first, then for each u16 length of key, u32 length
// of value, key, value; it ends with the bucket or behind the row that brings
// it to 64 KiB. Rows are sorted by bucket and key. Values carry the checksums
// of the state file; in a bucket of partitions the key starts with the hour.
//
// To raft state.db is the snapshot: what raft lists is what the file says about
// itself, and there is no second index that could disagree with it.
//
// A stream is never trusted before its end: it is built into a new file aside,
// verified, made durable and moved into place by one rename. A crash leaves the
// old state or the new one.
package snapshot
