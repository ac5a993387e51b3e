-- A refund never takes more than its original was, and one without an original is looked at again: soon, and after a day (D-24).
ALTER TABLE item ADD CHECK (refunded_fen <= settled_fen);
ALTER TABLE refund ADD COLUMN look_at timestamptz DEFAULT now();
CREATE INDEX refund_due ON refund (look_at) WHERE item_id IS NULL;

-- A top-up counts once under its number, whatever the event was called.
-- append-only: top_up
CREATE TABLE top_up (
    account_id  bigint      NOT NULL,
    number      text        NOT NULL,
    cash_fen    bigint      NOT NULL CHECK (cash_fen > 0),
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, number)
) PARTITION BY HASH (account_id);
SELECT runtime.partition_by_account('top_up');
