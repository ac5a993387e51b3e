-- The platform may say by itself that something became of a serial. That is a hint: the part is looked at again, also one that has
-- ended without a document, and what the query answers decides.
ALTER TABLE part ADD COLUMN recheck boolean NOT NULL DEFAULT false;
DROP INDEX part_due;
CREATE INDEX part_due ON part (due_at) WHERE status IN ('queued', 'submitting') OR recheck;
