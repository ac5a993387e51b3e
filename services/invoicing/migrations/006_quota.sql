-- What a seller issues in a calendar month, tax not included (R-13). `limit_net_fen` and `other_net_fen`, what the platform counts beside
-- what we know of, are as it said last; no limit: it has not said yet. Held: asked for, or about to be.
CREATE TABLE quota (
    legal_entity   text        NOT NULL,
    month          text        NOT NULL CHECK (month ~ '^[0-9]{6}$'),
    limit_net_fen  bigint      CHECK (limit_net_fen >= 0),
    other_net_fen  bigint      NOT NULL DEFAULT 0 CHECK (other_net_fen >= 0),
    held_net_fen   bigint      NOT NULL DEFAULT 0 CHECK (held_net_fen >= 0),
    issued_net_fen bigint      NOT NULL DEFAULT 0 CHECK (issued_net_fen >= 0),
    ask_at         timestamptz NOT NULL DEFAULT 'epoch',
    PRIMARY KEY (legal_entity, month)
) WITH (fillfactor = 50);

INSERT INTO quota (legal_entity, month, issued_net_fen)
SELECT legal_entity, to_char(issued_at AT TIME ZONE 'Asia/Shanghai', 'YYYYMM'), sum(net_fen)
FROM part WHERE number IS NOT NULL GROUP BY 1, 2;

-- `quota_month` is where a part holds its net amount; `waiting_since` since when it waits for quota, once that was told.
ALTER TABLE part ADD COLUMN quota_month text, ADD COLUMN waiting_since timestamptz,
    DROP CONSTRAINT part_status_check,
    ADD CONSTRAINT part_status_check CHECK (status IN
        ('queued', 'waiting_quota', 'submitting', 'issued', 'failed', 'voided', 'quarantined'));
CREATE INDEX part_waiting ON part (due_at) WHERE status = 'waiting_quota';
