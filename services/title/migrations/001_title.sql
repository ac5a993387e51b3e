-- Who may be invoiced. Personal data is in clear here and in documents only.

CREATE SEQUENCE title_id;

-- `version` grows with everything that is published about the account, so that later news is recognised whatever its path.
CREATE TABLE account (
    account_id  bigint      NOT NULL,
    status      text        NOT NULL CHECK (status IN ('open', 'closed')),
    version     bigint      NOT NULL,
    wrapped_key text        NOT NULL,
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id)
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

CREATE TABLE recipient (
    account_id bigint NOT NULL,
    version    bigint NOT NULL,
    mailbox    text,
    mobile     text,
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);

SELECT runtime.partition_by_account('account', 'title', 'recipient');
