// Package apitest runs golden API scripts: HTTP exchanges as plain text that a
// person can read and an auditor can sign. A script is requests with the
// answers they must get, in order, against one fresh server:
//
//	# A transfer answers with its id, the fee and both balances.
//	POST /api/qpaynet/transfer as=ann idempotency-key=k1
//	{"fromWalletId":"$ann","toWalletId":"$bob","amountKzt":3000}
//	--
//	200 {"transactionId":"<tx=first>","feeKzt":3,"createdAt":"<time>"}
//	Coffer-Index: <any>
//
// Lines beginning with # between exchanges are comments. A request line is the
// method, the path and attributes: as=NAME, idempotency-key=KEY,
// header:NAME=VALUE (an empty value removes the header), times=N. Values with
// spaces are quoted as in Go. Body lines follow, up to the line --. A body line
// raw "…" is a string as Go quotes it, raw "…"*N repeats it, hex … is bytes;
// such lines are joined without line breaks.
//
// An answer is a status and a body, which ends at a blank line. Lines of the
// form Name: value right after the status line are headers it must have. JSON
// bodies compare member by member whatever their order, other bodies as text.
// 200 alone means an empty body, 200 <any> any body.
//
// In strings of an answer, <kind> stands for a value of a kind and <kind=name>
// also keeps it: later $name is that value, in requests and answers; $$ is a
// dollar. The kinds are any, text, number, bool, time, id, uuid, hash, token and
// hex; every other word is the prefix of an id, so <tx> is tx_ and hexadecimal
// digits.
//
// With the flag -update answers are rewritten as they came. Placeholders and
// variables that still fit are kept, and new ids and times become placeholders.
package apitest
