-- chain_body is what the chain hashes of one entry.
CREATE FUNCTION chain_body(height bigint, time_us bigint, previous bytea, commitment bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT 'vnx1transfer'::bytea || int8send(height) || int8send(time_us) || previous || commitment
$$;

-- transfer moves an amount between two accounts once per request key: two
-- balances, one transaction with two history entries, one idempotency key, two
-- reputations and one chain entry. The caller's commit makes it durable.
-- Accounts are locked in the order of their ids, the head of the chain last.
CREATE FUNCTION transfer(sender bigint, receiver bigint, amount bigint, request_key text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
	fee        CONSTANT bigint := (amount + 999) / 1000;
	made_at    CONSTANT timestamptz := clock_timestamp();
	time_us    CONSTANT bigint := (extract(epoch FROM made_at) * 1000000)::bigint;
	payload    bytea;
	commitment bytea;
	new_id     bigint;
	new_height bigint;
	last_hash  bytea;
	new_hash   bytea;
BEGIN
	new_id := nextval('transaction_ids');
	payload := uuid_send(gen_random_uuid()) || convert_to(format('{"amountCents":%s,"blindedFrom":"%s","blindedTo":"%s","currency":"KZT","kind":"transfer",'
		'"meta":{"fee":%s,"transactionId":"%s"},"module":"qpaynet","postings":[["%s",%s],["%s",%s],["fees",%s]]}',
		amount, sender, receiver, fee, new_id, sender, -(amount + fee), receiver, amount, fee), 'UTF8');
	commitment := sha256(payload);

	INSERT INTO idempotency_keys VALUES (request_key, sha256(convert_to(concat_ws('/', sender, receiver, amount), 'UTF8')), new_id)
	ON CONFLICT (key) DO NOTHING;
	IF NOT FOUND THEN
		RETURN (SELECT transaction_id FROM idempotency_keys WHERE key = request_key);
	END IF;

	IF sender < receiver THEN
		UPDATE accounts SET balance = balance - amount - fee WHERE id = sender;
		UPDATE accounts SET balance = balance + amount WHERE id = receiver;
	ELSE
		UPDATE accounts SET balance = balance + amount WHERE id = receiver;
		UPDATE accounts SET balance = balance - amount - fee WHERE id = sender;
	END IF;
	UPDATE reputations SET score = score + 1 WHERE owner IN (sender, receiver);
	INSERT INTO transactions VALUES (new_id, sender, receiver, amount, fee, made_at);

	SELECT height + 1, hash INTO new_height, last_hash FROM chain_head FOR UPDATE;
	new_hash := chain_hmac(chain_body(new_height, time_us, last_hash, commitment));
	INSERT INTO chain VALUES (new_height, new_id, time_us, payload, commitment, last_hash, new_hash);
	UPDATE chain_head SET height = new_height, hash = new_hash;
	RETURN new_id;
END
$$;
