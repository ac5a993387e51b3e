-- What people are told, once for each fact and channel.

-- Copies of what title says, as sealed as it came.
CREATE TABLE sealing_key (
    account_id  bigint NOT NULL,
    wrapped_key text   NOT NULL,
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);

CREATE TABLE recipient (
    account_id bigint NOT NULL,
    version    bigint NOT NULL,
    mailbox    text,
    mobile     text,
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);

CREATE SEQUENCE notification_id;

-- One row for one thing told on one channel. `part_id` is 0 for what concerns a whole request. No address in here: it is looked
-- up when the row is claimed.
CREATE TABLE notification (
    account_id      bigint      NOT NULL,
    notification_id bigint      NOT NULL DEFAULT nextval('notification_id'),
    kind            text        NOT NULL,
    channel         text        NOT NULL CHECK (channel IN ('mail', 'sms', 'inbox')),
    request_id      bigint      NOT NULL,
    part_id         bigint      NOT NULL,
    subject         text        NOT NULL,
    text            text        NOT NULL,
    files           jsonb       NOT NULL,
    status          text        NOT NULL CHECK (status IN ('pending', 'sent', 'failed')),
    reason          text,
    tries           integer     NOT NULL DEFAULT 0,
    epoch           integer     NOT NULL DEFAULT 0,
    due_at          timestamptz NOT NULL DEFAULT 'epoch',
    lease_until     timestamptz,
    created_at      timestamptz NOT NULL,
    ended_at        timestamptz,
    traceparent     text        DEFAULT nullif(current_setting('kaipiao.traceparent', true), ''),
    PRIMARY KEY (account_id, notification_id),
    UNIQUE (account_id, request_id, part_id, kind, channel)
) PARTITION BY HASH (account_id);
CREATE INDEX notification_due ON notification (channel, due_at) WHERE status = 'pending';

SELECT runtime.partition_by_account('sealing_key', 'recipient', 'notification');
