-- Which account manages which, and what it may do. The latest word by business time counts.
CREATE TABLE relation (
    account_id  bigint      NOT NULL,
    member_id   bigint      NOT NULL CHECK (member_id <> account_id),
    permissions text[]      NOT NULL,
    version     bigint      NOT NULL DEFAULT 1,
    said_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, member_id)
) PARTITION BY HASH (account_id);
SELECT runtime.partition_by_account('relation');
