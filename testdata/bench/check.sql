-- One row with one column: true when every transfer did its whole job and the
-- chain links and hashes as it should.
SELECT head.height = counts.transactions
	AND head.height = (SELECT count(*) FROM chain)
	AND head.height = (SELECT count(*) FROM idempotency_keys)
	AND 2 * head.height = (SELECT sum(score) FROM reputations)
	AND (SELECT sum(balance) FROM accounts) + counts.fees = (SELECT count(*) FROM accounts) * 100000000
	AND head.hash = (SELECT hash FROM chain ORDER BY height DESC LIMIT 1)
	AND NOT EXISTS (
		SELECT FROM (SELECT *, lag(hash, 1, sha256('genesis')) OVER (ORDER BY height) AS before FROM chain) AS entry
		WHERE previous <> before OR commitment <> sha256(payload)
			OR hash <> chain_hmac(chain_body(height, time_us, previous, commitment)))
FROM chain_head AS head, (SELECT count(*) AS transactions, sum(fee) AS fees FROM transactions) AS counts;
