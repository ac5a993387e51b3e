-- title: the database after all migrations. Written by `make schema`, never by hand: a change is a new file in migrations/.
-- A table that is partitioned by account has four partitions, which are not shown. A table with an account_id is guarded by row-level
-- security: the role that serves HTTP reaches rows of one account only.

CREATE SEQUENCE title_id;

CREATE TABLE account (
    account_id    bigint      NOT NULL,
    status        text        NOT NULL CHECK (status IN ('open', 'closed')),
    version       bigint      NOT NULL,
    wrapped_key   text        NOT NULL,
    changed_at    timestamptz NOT NULL,
    registered_at timestamptz,
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);

CREATE TABLE recipient (
    account_id bigint      NOT NULL,
    version    bigint      NOT NULL,
    mailbox    text,
    mobile     text,
    said_at    timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);

CREATE TABLE relation (
    account_id  bigint      NOT NULL,
    member_id   bigint      NOT NULL,
    permissions text[]      NOT NULL,
    version     bigint      NOT NULL DEFAULT 1,
    said_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, member_id),
    CHECK (member_id <> account_id)
) PARTITION BY HASH (account_id);

CREATE TABLE title (
    account_id   bigint      NOT NULL,
    title_id     bigint      NOT NULL DEFAULT nextval('title_id'),
    version      bigint      NOT NULL,
    status       text        NOT NULL CHECK (status IN ('active', 'inactive')),
    kind         text        NOT NULL CHECK (kind IN ('individual', 'enterprise')),
    name         text        NOT NULL,
    tax_id       text,
    address      text,
    phone        text,
    bank_name    text,
    bank_account text,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (account_id, title_id)
) PARTITION BY HASH (account_id);
CREATE UNIQUE INDEX title_one_active ON title (account_id) WHERE status = 'active';
