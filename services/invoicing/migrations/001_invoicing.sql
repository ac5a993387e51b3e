-- Invoicing: from a request to its invoices. Money is integer fen, tax included unless the column says net or tax.
-- append-only: attempt, part_history, document, platform_serial, issued_number

-- Copies of what title says, as sealed as it came.
CREATE TABLE account (
    account_id bigint NOT NULL,
    status     text   NOT NULL CHECK (status IN ('open', 'closed')),
    version    bigint NOT NULL,
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);

CREATE TABLE sealing_key (
    account_id  bigint NOT NULL,
    wrapped_key text   NOT NULL,
    PRIMARY KEY (account_id)
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

CREATE SEQUENCE request_id;
CREATE SEQUENCE part_id;

-- One request of a customer. `title` is the snapshot that will be printed, whatever changes later (D-30).
CREATE TABLE request (
    account_id     bigint      NOT NULL,
    request_id     bigint      NOT NULL DEFAULT nextval('request_id'),
    method         text        NOT NULL CHECK (method IN ('by_order', 'by_monthly_bill', 'by_amount')),
    kind           text        NOT NULL CHECK (kind IN ('general', 'special')),
    numbers        text[]      NOT NULL,
    cycles         text[]      NOT NULL,
    subject        text,
    amount_fen     bigint      CHECK (amount_fen > 0),
    remark         text        NOT NULL,
    title          jsonb       NOT NULL,
    status         text        NOT NULL CHECK (status IN
        ('reserving', 'refused', 'invoicing', 'invoiced', 'partly_issued', 'failed', 'voided')),
    cancel_wished  boolean     NOT NULL DEFAULT false,
    reservation_id bigint,
    reason         text,
    detail         jsonb       NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL,
    closed_at      timestamptz,
    PRIMARY KEY (account_id, request_id),
    CHECK ((closed_at IS NULL) = (status IN ('reserving', 'invoicing')))
) PARTITION BY HASH (account_id);

-- The same key with the same content gets the first answer again.
CREATE TABLE idempotency (
    account_id bigint      NOT NULL,
    operation  text        NOT NULL,
    key        text        NOT NULL,
    digest     bytea       NOT NULL,
    request_id bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, operation, key)
) PARTITION BY HASH (account_id);

-- One part of a request: becomes one invoice or none. `next_step` is what a worker does when the row is due; it says
-- "query" from the moment a submission may have left, so that nothing is ever submitted twice without asking first.
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
    status         text        NOT NULL CHECK (status IN
        ('queued', 'submitting', 'issued', 'failed', 'voided', 'quarantined')),
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
    traceparent    text        DEFAULT nullif(current_setting('kaipiao.traceparent', true), ''),
    PRIMARY KEY (account_id, part_id),
    UNIQUE (account_id, request_id, part_no),
    CHECK (net_fen + tax_fen = gross_fen),
    CHECK ((status IN ('issued', 'quarantined')) = (number IS NOT NULL))
) PARTITION BY HASH (account_id);
CREATE INDEX part_due ON part (due_at) WHERE status IN ('queued', 'submitting');

-- Written and committed before the platform is called: no call without its row.
CREATE TABLE attempt (
    account_id bigint      NOT NULL,
    part_id    bigint      NOT NULL,
    attempt_no integer     NOT NULL,
    serial     text        NOT NULL,
    step       text        NOT NULL CHECK (step IN ('submit', 'query')),
    at         timestamptz NOT NULL,
    PRIMARY KEY (account_id, part_id, attempt_no)
) PARTITION BY HASH (account_id);

CREATE TABLE part_history (
    account_id  bigint      NOT NULL,
    part_id     bigint      NOT NULL,
    change_no   integer     NOT NULL,
    from_status text        NOT NULL,
    to_status   text        NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (account_id, part_id, change_no)
) PARTITION BY HASH (account_id);

-- Files of an issued invoice: first a row that is due, then what was stored.
CREATE TABLE document_job (
    account_id  bigint      NOT NULL,
    part_id     bigint      NOT NULL,
    status      text        NOT NULL CHECK (status IN ('due', 'stored')),
    tries       integer     NOT NULL DEFAULT 0,
    epoch       integer     NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL,
    lease_until timestamptz,
    traceparent text,
    PRIMARY KEY (account_id, part_id)
) PARTITION BY HASH (account_id);
CREATE INDEX document_job_due ON document_job (due_at) WHERE status = 'due';

CREATE TABLE document (
    account_id bigint NOT NULL,
    part_id    bigint NOT NULL,
    name       text   NOT NULL,
    media_type text   NOT NULL,
    object_key text   NOT NULL,
    size       bigint NOT NULL,
    sha256     text   NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    PRIMARY KEY (account_id, part_id, name)
) PARTITION BY HASH (account_id);

-- The few things that are unique across accounts.
CREATE TABLE platform_serial (
    serial     text   PRIMARY KEY CHECK (serial ~ '^[0-9A-Z]{20}$'),
    account_id bigint NOT NULL,
    part_id    bigint NOT NULL
);
CREATE TABLE issued_number (
    number     text   PRIMARY KEY CHECK (number ~ '^[0-9]{20}$'),
    account_id bigint NOT NULL,
    part_id    bigint NOT NULL
);

SELECT runtime.partition_by_account(
    'account', 'sealing_key', 'title', 'request', 'idempotency', 'part', 'attempt', 'part_history',
    'document_job', 'document'
);
