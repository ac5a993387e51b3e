-- Who may call. A key is shown once; only its hash is kept.
CREATE TABLE api_key (
    key_hash   bytea       PRIMARY KEY CHECK (length(key_hash) = 32),
    account_id bigint      NOT NULL,
    name       text        NOT NULL,
    last_four  text        NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX api_key_account ON api_key (account_id);
