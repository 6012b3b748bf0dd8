-- HMAC-SHA-256 of the chain by the built-in sha256, for servers without the
-- pgcrypto extension. The constants are the same key, padded to 64 bytes and
-- combined with the inner (0x36) and the outer (0x5c) byte of RFC 2104.
CREATE FUNCTION chain_hmac(message bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT sha256('\x5c5d5e5f58595a5b54555657505152534c4d4e4f48494a4b44454647404142435c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c'::bytea
		|| sha256('\x36373435323330313e3f3c3d3a3b383926272425222320212e2f2c2d2a2b28293636363636363636363636363636363636363636363636363636363636363636'::bytea || message))
$$;
