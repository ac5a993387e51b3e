-- gateway: the database after all migrations. Written by `make schema`, never by hand: a change is a new file in migrations/.
-- A table that is partitioned by account has four partitions, which are not shown. A table with an account_id is guarded by row-level
-- security: the role that serves HTTP reaches rows of one account only.

CREATE TABLE api_key (
    key_hash   bytea       NOT NULL CHECK (length(key_hash) = 32),
    account_id bigint      NOT NULL,
    name       text        NOT NULL,
    last_four  text        NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (key_hash)
);
CREATE INDEX api_key_account ON api_key (account_id);
