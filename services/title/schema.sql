-- title: the database after all migrations. Written by `make schema`, never by hand: a change is a new file in migrations/.
-- A table that is partitioned by account has four partitions, which are not shown. A table with an account_id is guarded by row-level
-- security: the role that serves HTTP reaches rows of one account only.

CREATE SEQUENCE title_id;

CREATE TABLE account (
    account_id    bigint      NOT NULL,
    status        text        NOT NULL CHECK (status IN ('open', 'closed')),
    version       bigint      NOT NULL,
    changed_at    timestamptz NOT NULL,
    registered_at timestamptz,
    erased_at     timestamptz,
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);

CREATE TABLE erasure (
    account_id bigint      NOT NULL,
    version    bigint      NOT NULL,
    asked_by   text        NOT NULL,
    reason     text        NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    PRIMARY KEY (account_id, version)
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
