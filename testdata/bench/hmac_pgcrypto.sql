-- HMAC-SHA-256 of the chain by the pgcrypto extension. The key is public: it
-- has the length of a real one, and nothing else depends on it.
CREATE EXTENSION pgcrypto;

CREATE FUNCTION chain_hmac(message bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT hmac(message, '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'::bytea, 'sha256')
$$;
