-- What is told on one channel is a notice: the table, its column and sequence, and whatever is named after them. Rows stay.
-- Stop replicas that do not know of this first. Start all of notification again before invoicing: it has to know `InvoiceFilesStored`.
ALTER TABLE notification RENAME COLUMN notification_id TO notice_id;

DO $$
DECLARE
    old text;
BEGIN
    -- Tables, partitions, indexes and the sequence; a constraint that has an index takes its name.
    FOR old IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname LIKE 'notification%' LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', old, replace(old, 'notification', 'notice'));
    END LOOP;
    -- The other constraints; partitions follow.
    FOR old IN SELECT conname FROM pg_constraint WHERE conrelid = 'notice'::regclass AND conname LIKE 'notification%' LOOP
        EXECUTE format('ALTER TABLE notice RENAME CONSTRAINT %I TO %I', old, replace(old, 'notification', 'notice'));
    END LOOP;
END $$;
