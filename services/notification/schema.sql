-- notification: the database after all migrations. Written by `make schema`, never by hand: a change is a new file in migrations/.
-- A table that is partitioned by account has four partitions, which are not shown. A table with an account_id is guarded by row-level
-- security: the role that serves HTTP reaches rows of one account only.

CREATE SEQUENCE notice_id;

CREATE TABLE notice (
    account_id     bigint      NOT NULL,
    notice_id      bigint      NOT NULL DEFAULT nextval('notice_id'),
    kind           text        NOT NULL,
    channel        text        NOT NULL CHECK (channel IN ('mail', 'sms', 'inbox')),
    request_id     bigint      NOT NULL,
    part_id        bigint      NOT NULL,
    subject        text        NOT NULL,
    text           text        NOT NULL,
    files          jsonb       NOT NULL,
    status         text        NOT NULL CHECK (status IN ('pending', 'sent', 'failed')),
    reason         text,
    tries          integer     NOT NULL DEFAULT 0,
    epoch          integer     NOT NULL DEFAULT 0,
    due_at         timestamptz NOT NULL DEFAULT 'epoch',
    lease_until    timestamptz,
    created_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    traceparent    text        DEFAULT NULLIF(current_setting('kaipiao.traceparent', true), ''),
    credit_note_id bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, notice_id),
    UNIQUE (account_id, request_id, part_id, credit_note_id, kind, channel)
) PARTITION BY HASH (account_id);
CREATE INDEX notice_due ON notice (channel, due_at) WHERE status = 'pending';
CREATE INDEX notice_old ON notice (created_at) WHERE status <> 'pending';

CREATE TABLE recipient (
    account_id bigint NOT NULL,
    version    bigint NOT NULL,
    mailbox    text,
    mobile     text,
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);
