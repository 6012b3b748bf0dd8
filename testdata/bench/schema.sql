-- The peer of `coffer bench`: the rows that one durable transfer touches.
-- psql sets :wallets. Fill factors leave room for updates within a page (HOT).

CREATE TABLE accounts (
	id      bigint PRIMARY KEY,
	balance bigint NOT NULL CHECK (balance >= 0)
) WITH (fillfactor = 50);

CREATE TABLE reputations (
	owner bigint PRIMARY KEY,
	score bigint NOT NULL
) WITH (fillfactor = 50);

-- The two indexes are the history of the sender and of the receiver.
CREATE SEQUENCE transaction_ids CACHE 32;
CREATE TABLE transactions (
	id         bigint PRIMARY KEY,
	sender     bigint NOT NULL,
	receiver   bigint NOT NULL,
	amount     bigint NOT NULL,
	fee        bigint NOT NULL,
	created_at timestamptz NOT NULL
);
CREATE INDEX sender_history ON transactions (sender, id);
CREATE INDEX receiver_history ON transactions (receiver, id);

CREATE TABLE idempotency_keys (
	key            text PRIMARY KEY,
	body_hash      bytea NOT NULL,
	transaction_id bigint NOT NULL
);

CREATE TABLE chain (
	height         bigint PRIMARY KEY,
	transaction_id bigint NOT NULL,
	time_us        bigint NOT NULL,
	payload        bytea NOT NULL, -- what was hashed is stored, blind in front
	commitment     bytea NOT NULL,
	previous       bytea NOT NULL,
	hash           bytea NOT NULL
);
CREATE TABLE chain_head (
	height bigint NOT NULL,
	hash   bytea NOT NULL
) WITH (fillfactor = 10);

INSERT INTO accounts SELECT n, 100000000 FROM generate_series(1, :wallets) AS n;
INSERT INTO reputations SELECT n, 0 FROM generate_series(1, :wallets) AS n;
INSERT INTO chain_head VALUES (0, sha256('genesis'));
VACUUM ANALYZE;
