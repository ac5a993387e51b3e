-- What a part holds of the quota of a month: its net amount, from its submission to its end. `told_month`: in which it was told to wait.
-- Stop replicas that do not know of this first: they would end parts without giving back what these hold.
ALTER TABLE part ADD COLUMN quota_month text, ADD COLUMN told_month text,
    DROP CONSTRAINT part_status_check,
    ADD CONSTRAINT part_status_check CHECK (status IN
        ('queued', 'waiting_quota', 'submitting', 'issued', 'failed', 'voided', 'quarantined')),
    ADD CONSTRAINT part_holds_quota CHECK (quota_month IS NULL OR status = 'submitting');
CREATE INDEX part_waiting ON part (due_at) WHERE status = 'waiting_quota';
CREATE INDEX part_queued ON part (part_id) WHERE status = 'queued';

-- What a seller issues in a calendar month, tax not included (R-13). `limit_net_fen` and `other_net_fen`, what the platform counts beside
-- what we know of, are as it said last; no limit: it has not said yet.
CREATE TABLE quota (
    legal_entity   text        NOT NULL,
    month          text        NOT NULL CHECK (month ~ '^[0-9]{6}$'),
    limit_net_fen  bigint      CHECK (limit_net_fen >= 0),
    other_net_fen  bigint      NOT NULL DEFAULT 0,
    held_net_fen   bigint      NOT NULL DEFAULT 0 CHECK (held_net_fen >= 0),
    issued_net_fen bigint      NOT NULL DEFAULT 0 CHECK (issued_net_fen >= 0),
    ask_at         timestamptz NOT NULL DEFAULT 'epoch',
    PRIMARY KEY (legal_entity, month)
) WITH (fillfactor = 50);

INSERT INTO quota (legal_entity, month, issued_net_fen)
SELECT legal_entity, to_char(issued_at AT TIME ZONE 'Asia/Shanghai', 'YYYYMM'), sum(net_fen)
FROM part WHERE number IS NOT NULL GROUP BY 1, 2;
