-- Who manages whom, from both ends, as title says it; the higher version counts.
CREATE TABLE member (
    account_id  bigint NOT NULL,
    member_id   bigint NOT NULL,
    permissions text[] NOT NULL,
    version     bigint NOT NULL,
    PRIMARY KEY (account_id, member_id)
) PARTITION BY HASH (account_id);
CREATE TABLE managed_by (
    account_id  bigint NOT NULL,
    manager_id  bigint NOT NULL,
    permissions text[] NOT NULL,
    version     bigint NOT NULL,
    PRIMARY KEY (account_id, manager_id)
) PARTITION BY HASH (account_id);
SELECT runtime.partition_by_account('member', 'managed_by');

-- Whose documents a request is over (none: the asking account's own), and how it is split beyond subject and rate (R-5).
ALTER TABLE request ADD COLUMN members bigint[] NOT NULL DEFAULT '{}', ADD COLUMN products text[] NOT NULL DEFAULT '{}',
    ADD COLUMN consolidate boolean NOT NULL DEFAULT false, ADD COLUMN one_invoice_per_month boolean NOT NULL DEFAULT false;
ALTER TABLE part ADD COLUMN members bigint[] NOT NULL DEFAULT '{}', ADD COLUMN cycles text[] NOT NULL DEFAULT '{}';
