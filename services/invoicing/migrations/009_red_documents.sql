-- A red invoice has files of its own. `credit_note_id` is 0 for those of the blue one.
-- Stop replicas that do not know of this first: they name the old key when they add a job.
ALTER TABLE document_job ADD COLUMN credit_note_id bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT document_job_pkey, ADD PRIMARY KEY (account_id, part_id, credit_note_id);
