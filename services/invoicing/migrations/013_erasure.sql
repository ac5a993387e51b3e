-- Keys are asked of title and kept nowhere else. Stop replicas of invoicing that do not know of this first.
DROP TABLE sealing_key;

-- `erased_with`: the version of the last erasure of its personal data. What has a lower one is, or is being, erased.
ALTER TABLE account ADD COLUMN erased_with bigint;

-- An erasure waits for what is under way of its account. `rested_at`: nothing was any more, and title was told.
CREATE TABLE erasure (
    account_id bigint      NOT NULL,
    version    bigint      NOT NULL,
    rested_at  timestamptz,
    PRIMARY KEY (account_id, version)
) PARTITION BY HASH (account_id);
SELECT runtime.partition_by_account('erasure');
CREATE INDEX erasure_waits ON erasure (account_id) WHERE rested_at IS NULL;

-- Files that can be drawn no more, because nobody can read who the buyer was.
ALTER TABLE invoice_file_job DROP CONSTRAINT invoice_file_job_status_check,
    ADD CONSTRAINT invoice_file_job_status_check CHECK (status IN ('due', 'stored', 'erased'));
