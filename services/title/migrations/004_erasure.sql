-- Sealing keys lie in this table alone: no other database and no message has them any more. An account has a new one when it registers
-- anew after its personal data were erased. Stop replicas of title, invoicing and notification that do not know of this first.
-- `wrapped_by`: the master key it is wrapped with, as far as that is known. `erased_with`: the version of the erasure that drops it.
CREATE TABLE sealing_key (
    account_id  bigint      NOT NULL,
    key_no      integer     NOT NULL,
    wrapped_key text,
    wrapped_by  text        NOT NULL DEFAULT '',
    made_at     timestamptz NOT NULL,
    erased_with bigint,
    dropped_at  timestamptz,
    PRIMARY KEY (account_id, key_no),
    CHECK ((wrapped_key IS NULL) = (dropped_at IS NOT NULL)),
    CHECK (dropped_at IS NULL OR erased_with IS NOT NULL)
) PARTITION BY HASH (account_id);
CREATE UNIQUE INDEX sealing_key_one_in_use ON sealing_key (account_id) WHERE erased_with IS NULL;
CREATE INDEX sealing_key_wrapped_by ON sealing_key (wrapped_by) WHERE wrapped_key IS NOT NULL;

-- That somebody asked for the erasure of an account's personal data, and when that was done.
CREATE TABLE erasure (
    account_id bigint      NOT NULL,
    version    bigint      NOT NULL,
    asked_by   text        NOT NULL,
    reason     text        NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    PRIMARY KEY (account_id, version)
) PARTITION BY HASH (account_id);
SELECT runtime.partition_by_account('sealing_key', 'erasure');

INSERT INTO sealing_key (account_id, key_no, wrapped_key, made_at) SELECT account_id, 1, wrapped_key, changed_at FROM account;
UPDATE account SET wrapped_key = '';  -- a column that is dropped stays in its rows until they are written again
ALTER TABLE account DROP COLUMN wrapped_key, ADD COLUMN erased_at timestamptz;

-- Keys leave the messages that lie in the outbox, sent or not: nobody reads them any more.
UPDATE runtime.outbox o SET records = (
    SELECT jsonb_agg(
        CASE WHEN r #>> '{headers,ce_type}' = 'SealingKeyIssued'
            THEN jsonb_set(r, '{value}', to_jsonb((r->>'value')::jsonb - 'wrapped_key' #>> '{}')) ELSE r END ORDER BY n)
    FROM jsonb_array_elements(o.records) WITH ORDINALITY AS each (r, n))
WHERE records @> '[{"headers": {"ce_type": "SealingKeyIssued"}}]';
