-- One charge as one SQL function: what a careful developer writes who keeps balances in PostgreSQL. `:shards` rows share what
-- the platform is credited; with one row every charge waits for the commit of the one before it.
CREATE SCHEMA floor;

CREATE TABLE floor.accounts (id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)) WITH (fillfactor = 50);
CREATE TABLE floor.platform (shard integer PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 10);
CREATE TABLE floor.transfers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key uuid NOT NULL UNIQUE,
  payer bigint NOT NULL,
  amount bigint NOT NULL,
  time timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO floor.accounts SELECT id, 100000000000000 FROM generate_series(1, 10000) AS id;
INSERT INTO floor.platform SELECT shard, 0 FROM generate_series(0, :shards - 1) AS shard;

CREATE TYPE floor.receipt AS (id bigint, amount bigint, balance bigint, replayed boolean);

-- The platform's row comes last: from its update to the commit nobody else can credit it.
CREATE FUNCTION floor.charge(the_key uuid, the_payer bigint, the_amount bigint, the_shard integer) RETURNS floor.receipt
LANGUAGE plpgsql AS $$
DECLARE
  made floor.receipt;
  before floor.transfers;
BEGIN
  INSERT INTO floor.transfers (key, payer, amount) VALUES (the_key, the_payer, the_amount)
    ON CONFLICT (key) DO NOTHING RETURNING id INTO made.id;
  IF made.id IS NULL THEN
    SELECT * INTO STRICT before FROM floor.transfers WHERE key = the_key;
    IF (before.payer, before.amount) <> (the_payer, the_amount) THEN
      RAISE EXCEPTION 'the key was used for another charge';
    END IF;
    SELECT before.id, before.amount, balance, true INTO made FROM floor.accounts WHERE id = the_payer;
    RETURN made;
  END IF;
  UPDATE floor.accounts SET balance = balance - the_amount WHERE id = the_payer AND balance >= the_amount
    RETURNING balance INTO made.balance;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the balance does not cover it';
  END IF;
  UPDATE floor.platform SET balance = balance + the_amount WHERE shard = the_shard;
  made.amount = the_amount;
  made.replayed = false;
  RETURN made;
END $$;

ANALYZE;
