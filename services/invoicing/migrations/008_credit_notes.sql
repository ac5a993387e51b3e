-- A credit note: the wish for a red invoice over all of an issued part, and what became of it (R-14). The part itself stays issued.
-- `serial` is the part's for good, however often it is tried: at most one red invoice ever comes of it. `red_reason`, `remark`, `recorded`
-- and `wanted_form` are the customer's words; `reason` and `text` say why none came of it.
-- append-only: credit_attempt
CREATE SEQUENCE credit_note_id;
CREATE TABLE credit_note (
    account_id      bigint      NOT NULL,
    credit_note_id  bigint      NOT NULL DEFAULT nextval('credit_note_id'),
    part_id         bigint      NOT NULL,
    idempotency_key text        NOT NULL,
    digest          bytea       NOT NULL,
    red_reason      text        NOT NULL CHECK (red_reason IN ('issued_in_error', 'sales_return', 'service_stopped', 'sales_allowance')),
    remark          text        NOT NULL,
    recorded        boolean     NOT NULL,
    wanted_form     text        NOT NULL,
    serial          text        NOT NULL,
    status          text        NOT NULL DEFAULT 'requested' CHECK (status IN
        ('requested', 'form_pending', 'issued', 'failed', 'quarantined')),
    form_number     text,
    form_state      text        CHECK (form_state ~ '^[0-9]{2}$'),
    waits_since     timestamptz,
    hours_told      integer,
    next_step       text        NOT NULL DEFAULT 'submit' CHECK (next_step IN ('submit', 'query')),
    tries           integer     NOT NULL DEFAULT 0,
    unheard         integer     NOT NULL DEFAULT 0,
    epoch           integer     NOT NULL DEFAULT 0,
    due_at          timestamptz NOT NULL DEFAULT 'epoch',
    lease_until     timestamptz,
    recheck         boolean     NOT NULL DEFAULT false,
    number          text        CHECK (number ~ '^[0-9]{20}$'),
    issued_at       timestamptz,
    specimen        boolean,
    qr              text,
    reason          text,
    text            text,
    created_at      timestamptz NOT NULL,
    ended_at        timestamptz,
    traceparent     text        DEFAULT nullif(current_setting('kaipiao.traceparent', true), ''),
    PRIMARY KEY (account_id, credit_note_id),
    UNIQUE (account_id, idempotency_key),
    CHECK ((status IN ('issued', 'quarantined')) = (number IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (status IN ('requested', 'form_pending')))
) PARTITION BY HASH (account_id);
CREATE INDEX credit_note_due ON credit_note (due_at) WHERE status IN ('requested', 'form_pending') OR recheck;
CREATE UNIQUE INDEX credit_note_alive ON credit_note (account_id, part_id) WHERE status <> 'failed';
CREATE INDEX credit_note_part ON credit_note (account_id, part_id, credit_note_id);

-- Written and committed before the platform is called, as for parts.
CREATE TABLE credit_attempt (
    account_id     bigint      NOT NULL,
    credit_note_id bigint      NOT NULL,
    attempt_no     integer     NOT NULL,
    serial         text        NOT NULL,
    step           text        NOT NULL CHECK (step IN ('submit', 'query')),
    at             timestamptz NOT NULL,
    PRIMARY KEY (account_id, credit_note_id, attempt_no)
) PARTITION BY HASH (account_id);
SELECT runtime.partition_by_account('credit_note', 'credit_attempt');
