-- Words and walls: files of an invoice are no "documents", a credit note keeps its idempotency key where a request does, and its attempts
-- stand beside those of a part. All data is kept.
-- Stop replicas that do not know of this first: they name tables and columns as they were. Have notification renewed before invoicing.
-- renamed: document -> invoice_file
-- renamed: credit_attempt -> attempt

-- A table, its partitions, indexes and constraints under a new name; longer names first, because one begins like the other.
DO $$
DECLARE
    was text;
    becomes text;
    one record;
BEGIN
    FOR was, becomes IN VALUES ('document_job', 'invoice_file_job'), ('document', 'invoice_file') LOOP
        FOR one IN
            SELECT c.relname AS name, becomes || substr(c.relname, length(was) + 1) AS renamed, c.relkind IN ('i', 'I') AS is_index
            FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname ~ ('^' || was || '(_|$)')
        LOOP
            EXECUTE format('ALTER %s %I RENAME TO %I', CASE WHEN one.is_index THEN 'INDEX' ELSE 'TABLE' END, one.name, one.renamed);
        END LOOP;
        FOR one IN
            SELECT conrelid::regclass AS relation, conname AS name, becomes || substr(conname, length(was) + 1) AS renamed
            FROM pg_constraint WHERE conrelid = becomes::regclass AND conname ~ ('^' || was || '_') AND conparentid = 0
        LOOP
            EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', one.relation, one.name, one.renamed);
        END LOOP;
    END LOOP;
END $$;

-- What a key was first used for: a request, or a credit note.
ALTER TABLE idempotency RENAME COLUMN request_id TO made_id;
INSERT INTO idempotency (account_id, operation, key, digest, made_id, created_at)
SELECT account_id, 'credit-note', idempotency_key, digest, credit_note_id, created_at FROM credit_note;
ALTER TABLE credit_note DROP COLUMN idempotency_key, DROP COLUMN digest;

-- Written and committed before the platform is called: no call without its row. `credit_note_id` is 0 for a part's own.
ALTER TABLE attempt ADD COLUMN credit_note_id bigint NOT NULL DEFAULT 0;
ALTER TABLE attempt DROP CONSTRAINT attempt_pkey, ADD PRIMARY KEY (account_id, part_id, credit_note_id, attempt_no);
INSERT INTO attempt (account_id, part_id, credit_note_id, attempt_no, serial, step, at)
SELECT a.account_id, c.part_id, a.credit_note_id, a.attempt_no, a.serial, a.step, a.at
FROM credit_attempt a JOIN credit_note c USING (account_id, credit_note_id);
DROP TABLE credit_attempt;

-- `unanswered`: calls in a row that got no answer. `notified_month`: in which a part was told to wait for quota.
-- `reminded_hours_left`: the last reminder of a red confirmation form. `requested_form_number`: the customer's word.
ALTER TABLE part RENAME COLUMN unheard TO unanswered;
ALTER TABLE part RENAME COLUMN told_month TO notified_month;
ALTER TABLE credit_note RENAME COLUMN unheard TO unanswered;
ALTER TABLE credit_note RENAME COLUMN wanted_form TO requested_form_number;
ALTER TABLE credit_note RENAME COLUMN hours_told TO reminded_hours_left;
