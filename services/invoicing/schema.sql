-- invoicing: the database after all migrations. Written by `make schema`, never by hand: a change is a new file in migrations/.
-- A table that is partitioned by account has four partitions, which are not shown. A table with an account_id is guarded by row-level
-- security: the role that serves HTTP reaches rows of one account only.

CREATE SEQUENCE credit_note_id;
CREATE SEQUENCE part_id;
CREATE SEQUENCE request_id;

CREATE TABLE account (
    account_id  bigint NOT NULL,
    status      text   NOT NULL CHECK (status IN ('open', 'closed')),
    version     bigint NOT NULL,
    erased_with bigint,
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);

-- append-only: rows are added, never changed or deleted
CREATE TABLE attempt (
    account_id     bigint      NOT NULL,
    part_id        bigint      NOT NULL,
    attempt_no     integer     NOT NULL,
    serial         text        NOT NULL,
    step           text        NOT NULL CHECK (step IN ('submit', 'query', 'cancel')),
    at             timestamptz NOT NULL,
    credit_note_id bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, part_id, credit_note_id, attempt_no)
) PARTITION BY HASH (account_id);

CREATE TABLE credit_note (
    account_id            bigint      NOT NULL,
    credit_note_id        bigint      NOT NULL DEFAULT nextval('credit_note_id'),
    part_id               bigint      NOT NULL,
    red_reason            text        NOT NULL
        CHECK (red_reason IN ('issued_in_error', 'sales_return', 'service_stopped', 'sales_allowance')),
    remark                text        NOT NULL,
    recorded              boolean     NOT NULL,
    requested_form_number text        NOT NULL,
    serial                text        NOT NULL,
    status                text        NOT NULL DEFAULT 'requested'
        CHECK (status IN ('requested', 'form_pending', 'issued', 'failed', 'quarantined')),
    form_number           text,
    form_state            text        CHECK (form_state ~ '^[0-9]{2}$'),
    waits_since           timestamptz,
    reminded_hours_left   integer,
    next_step             text        NOT NULL DEFAULT 'submit' CHECK (next_step IN ('submit', 'query')),
    tries                 integer     NOT NULL DEFAULT 0,
    unanswered            integer     NOT NULL DEFAULT 0,
    epoch                 integer     NOT NULL DEFAULT 0,
    due_at                timestamptz NOT NULL DEFAULT 'epoch',
    lease_until           timestamptz,
    recheck               boolean     NOT NULL DEFAULT false,
    number                text        CHECK (number ~ '^[0-9]{20}$'),
    issued_at             timestamptz,
    specimen              boolean,
    qr                    text,
    reason                text,
    text                  text,
    created_at            timestamptz NOT NULL,
    ended_at              timestamptz,
    traceparent           text        DEFAULT NULLIF(current_setting('kaipiao.traceparent', true), ''),
    called_at             timestamptz,
    PRIMARY KEY (account_id, credit_note_id),
    CHECK ((status IN ('issued', 'quarantined')) = (number IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (status IN ('requested', 'form_pending')))
) PARTITION BY HASH (account_id);
CREATE UNIQUE INDEX credit_note_alive ON credit_note (account_id, part_id) WHERE status <> 'failed';
CREATE INDEX credit_note_due ON credit_note (due_at) WHERE (status IN ('requested', 'form_pending')) OR recheck;
CREATE INDEX credit_note_part ON credit_note (account_id, part_id, credit_note_id);

CREATE TABLE erasure (
    account_id bigint      NOT NULL,
    version    bigint      NOT NULL,
    rested_at  timestamptz,
    PRIMARY KEY (account_id, version)
) PARTITION BY HASH (account_id);
CREATE INDEX erasure_waits ON erasure (account_id) WHERE rested_at IS NULL;

CREATE TABLE idempotency (
    account_id bigint      NOT NULL,
    operation  text        NOT NULL,
    key        text        NOT NULL,
    digest     bytea       NOT NULL,
    made_id    bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, operation, key)
) PARTITION BY HASH (account_id);
CREATE INDEX idempotency_old ON idempotency (created_at);

-- append-only: rows are added, never changed or deleted
CREATE TABLE invoice_file (
    account_id bigint NOT NULL,
    part_id    bigint NOT NULL,
    name       text   NOT NULL,
    media_type text   NOT NULL,
    object_key text   NOT NULL,
    size       bigint NOT NULL,
    sha256     text   NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    PRIMARY KEY (account_id, part_id, name)
) PARTITION BY HASH (account_id);

CREATE TABLE invoice_file_job (
    account_id     bigint      NOT NULL,
    part_id        bigint      NOT NULL,
    status         text        NOT NULL CHECK (status IN ('due', 'stored', 'erased')),
    tries          integer     NOT NULL DEFAULT 0,
    epoch          integer     NOT NULL DEFAULT 0,
    due_at         timestamptz NOT NULL,
    lease_until    timestamptz,
    traceparent    text,
    credit_note_id bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, part_id, credit_note_id)
) PARTITION BY HASH (account_id);
CREATE INDEX invoice_file_job_due ON invoice_file_job (due_at) WHERE status = 'due';

-- append-only: rows are added, never changed or deleted
CREATE TABLE issued_number (
    number     text   NOT NULL CHECK (number ~ '^[0-9]{20}$'),
    account_id bigint NOT NULL,
    part_id    bigint NOT NULL,
    PRIMARY KEY (number)
);

CREATE TABLE managed_by (
    account_id  bigint NOT NULL,
    manager_id  bigint NOT NULL,
    permissions text[] NOT NULL,
    version     bigint NOT NULL,
    PRIMARY KEY (account_id, manager_id)
) PARTITION BY HASH (account_id);

CREATE TABLE member (
    account_id  bigint NOT NULL,
    member_id   bigint NOT NULL,
    permissions text[] NOT NULL,
    version     bigint NOT NULL,
    PRIMARY KEY (account_id, member_id)
) PARTITION BY HASH (account_id);

CREATE TABLE part (
    account_id     bigint      NOT NULL,
    part_id        bigint      NOT NULL DEFAULT nextval('part_id'),
    request_id     bigint      NOT NULL,
    part_no        integer     NOT NULL,
    reservation_id bigint      NOT NULL,
    subject        text        NOT NULL,
    legal_entity   text        NOT NULL,
    content        text        NOT NULL,
    tax_percent    integer     NOT NULL,
    kind           text        NOT NULL CHECK (kind IN ('general', 'special')),
    gross_fen      bigint      NOT NULL CHECK (gross_fen > 0),
    net_fen        bigint      NOT NULL,
    tax_fen        bigint      NOT NULL CHECK (tax_fen >= 0),
    shares         jsonb       NOT NULL,
    lines          jsonb       NOT NULL,
    status         text        NOT NULL
        CHECK (status IN ('queued', 'waiting_quota', 'submitting', 'issued', 'failed', 'voided', 'quarantined')),
    generation     integer     NOT NULL DEFAULT 1,
    serial         text,
    next_step      text        NOT NULL DEFAULT 'submit' CHECK (next_step IN ('submit', 'query')),
    tries          integer     NOT NULL DEFAULT 0,
    epoch          integer     NOT NULL DEFAULT 0,
    due_at         timestamptz NOT NULL DEFAULT 'epoch',
    lease_until    timestamptz,
    number         text        CHECK (number ~ '^[0-9]{20}$'),
    issued_at      timestamptz,
    specimen       boolean,
    qr             text,
    reason         text,
    text           text,
    traceparent    text        DEFAULT NULLIF(current_setting('kaipiao.traceparent', true), ''),
    recheck        boolean     NOT NULL DEFAULT false,
    cancel_heard   boolean     NOT NULL DEFAULT false,
    members        bigint[]    NOT NULL DEFAULT '{}',
    cycles         text[]      NOT NULL DEFAULT '{}',
    quota_month    text,
    notified_month text,
    unanswered     integer     NOT NULL DEFAULT 0,
    called_at      timestamptz,
    PRIMARY KEY (account_id, part_id),
    UNIQUE (account_id, request_id, part_no),
    CHECK ((net_fen + tax_fen) = gross_fen),
    CHECK ((status IN ('issued', 'quarantined')) = (number IS NOT NULL)),
    CHECK (quota_month IS NULL OR status = 'submitting')
) PARTITION BY HASH (account_id);
CREATE INDEX part_due ON part (due_at) WHERE (status IN ('queued', 'submitting')) OR recheck;
CREATE INDEX part_queued ON part (part_id) WHERE status = 'queued';
CREATE INDEX part_waiting ON part (due_at) WHERE status = 'waiting_quota';

-- append-only: rows are added, never changed or deleted
CREATE TABLE part_history (
    account_id  bigint      NOT NULL,
    part_id     bigint      NOT NULL,
    change_no   integer     NOT NULL,
    from_status text        NOT NULL,
    to_status   text        NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (account_id, part_id, change_no)
) PARTITION BY HASH (account_id);

CREATE TABLE platform_call (
    call_id   bytea       NOT NULL,
    called_at timestamptz NOT NULL,
    PRIMARY KEY (call_id)
);
CREATE INDEX platform_call_old ON platform_call (called_at);

-- append-only: rows are added, never changed or deleted
CREATE TABLE platform_serial (
    serial     text   NOT NULL CHECK (serial ~ '^[0-9A-Z]{20}$'),
    account_id bigint NOT NULL,
    part_id    bigint NOT NULL,
    PRIMARY KEY (serial)
);

CREATE TABLE quota (
    legal_entity   text        NOT NULL,
    month          text        NOT NULL CHECK (month ~ '^[0-9]{6}$'),
    limit_net_fen  bigint      CHECK (limit_net_fen >= 0),
    other_net_fen  bigint      NOT NULL DEFAULT 0,
    held_net_fen   bigint      NOT NULL DEFAULT 0 CHECK (held_net_fen >= 0),
    issued_net_fen bigint      NOT NULL DEFAULT 0 CHECK (issued_net_fen >= 0),
    ask_at         timestamptz NOT NULL DEFAULT 'epoch',
    PRIMARY KEY (legal_entity, month)
) WITH (fillfactor=50);

CREATE TABLE request (
    account_id            bigint      NOT NULL,
    request_id            bigint      NOT NULL DEFAULT nextval('request_id'),
    method                text        NOT NULL CHECK (method IN ('by_order', 'by_monthly_bill', 'by_amount', 'offset')),
    kind                  text        NOT NULL CHECK (kind IN ('general', 'special')),
    numbers               text[]      NOT NULL,
    cycles                text[]      NOT NULL,
    subject               text,
    amount_fen            bigint      CHECK (amount_fen > 0),
    remark                text        NOT NULL,
    title                 jsonb       NOT NULL,
    status                text        NOT NULL
        CHECK (status IN ('reserving', 'refused', 'invoicing', 'invoiced', 'partly_issued', 'failed', 'voided', 'offset_only')),
    cancel_wished         boolean     NOT NULL DEFAULT false,
    reservation_id        bigint,
    reason                text,
    detail                jsonb       NOT NULL DEFAULT '{}',
    created_at            timestamptz NOT NULL,
    closed_at             timestamptz,
    cancel_reason         text,
    members               bigint[]    NOT NULL DEFAULT '{}',
    products              text[]      NOT NULL DEFAULT '{}',
    consolidate           boolean     NOT NULL DEFAULT false,
    one_invoice_per_month boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, request_id),
    CHECK ((closed_at IS NULL) = (status IN ('reserving', 'invoicing')))
) PARTITION BY HASH (account_id);

CREATE TABLE title (
    account_id   bigint NOT NULL,
    title_id     bigint NOT NULL,
    version      bigint NOT NULL,
    status       text   NOT NULL CHECK (status IN ('active', 'inactive')),
    kind         text   NOT NULL CHECK (kind IN ('individual', 'enterprise')),
    name         text   NOT NULL,
    tax_id       text,
    address      text,
    phone        text,
    bank_name    text,
    bank_account text,
    PRIMARY KEY (account_id, title_id)
) PARTITION BY HASH (account_id);
