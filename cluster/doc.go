// Package cluster is the replicated log: bytes in, bytes out.
//
// A proposer hands over an opaque request and gets back the outcome that the state machine gave it. In between, concurrent
// requests are coalesced into one sealed entry, the entry is made durable in raft.db on a quorum, and raft hands it to the
// machine. An outcome therefore always speaks of something that survives power loss.
//
// The package wraps hashicorp/raft where its behaviour is not good enough for money:
//
//   - transport.go: heartbeats run on raft's main goroutine, because beside it they change term and state under a leader.
//   - votestore.go: a vote is one value on disk, so a crash cannot pair a new term with an old candidate.
//   - bolt.go, pages.go: raft.db notes where its log begins and ends, and its pages are judged before bbolt sees them.
//   - silence.go: a leader that is silent does not keep its follower from granting a vote.
//   - logstore.go: every entry carries checksums, the log never has a hole, a failed or hung disk ends the process.
//   - restart.go: a raft.db that does not fit the state is refused with a reason instead of being replayed.
//   - coalesce.go, propose.go: no wait relies on raft's futures alone, some of which never resolve.
//   - lead.go, readindex.go: leader-only work and linearizable reads open after the term's first command was applied.
//   - port.go, reader.go, transport.go: nodes know each other by certificate; a call in another node's name is cut.
//   - forward.go, caller.go, answer.go: a follower forwards what it is given, and knows whether it was sent.
//   - round.go: a read index needs the terms of a majority of voters, asked for after the read arrived.
//   - install.go, stack.go: an installed state leaves no old entries behind; a log that contradicts it is dropped.
//   - valve.go: a slow machine does not keep a follower from answering heartbeats.
//   - guest.go: a certificate proves a name; whether its node belongs here is asked of the membership, or of a member.
//   - member.go, health.go, transfer.go: no change of the membership costs the quorum, no removed id comes back.
//   - budget.go: raft.db stays within a byte budget, whatever the size of its entries.
//
// It knows neither commands nor rows. What an entry contains is decided by the seal function and by the machine; the only
// rule is that the last four bytes of a sealed entry are the CRC32C (Castagnoli, big-endian) of what precedes them.
package cluster
