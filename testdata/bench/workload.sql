\set sender random(1, :wallets)
\set receiver (:sender - 1 + random(1, :wallets - 1)) % :wallets + 1
\set amount random(100, 999)
SELECT transfer(:sender, :receiver, :amount, gen_random_uuid()::text);
