-- A large reservation is a row of `reservation` from the beginning, with its answer in the end; and three tables get the words of the code:
-- what of an item a reservation holds is an allocation, what it holds of a sum and has not allocated yet is a promise.
-- Stop replicas that do not know of this first: what they write names tables as they were.

-- `large` is said once, when it is decided. Until there is an answer, `command` says what is to be allocated, and the workers find the row
-- by its index: first to hold its sums, then to allocate, then to answer. A row whose work failed rests until `again_at`, in real time.
ALTER TABLE reservation
    ALTER COLUMN answer_type DROP NOT NULL,
    ALTER COLUMN answer DROP NOT NULL,
    ALTER COLUMN at DROP NOT NULL,
    ADD COLUMN large boolean NOT NULL DEFAULT false,
    ADD COLUMN command jsonb,
    ADD COLUMN sums_held boolean NOT NULL DEFAULT false,
    ADD COLUMN arrived_at timestamptz,
    ADD COLUMN again_at timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN traceparent text DEFAULT nullif(current_setting('kaipiao.traceparent', true), ''),
    ADD CONSTRAINT reservation_answer_check CHECK (num_nulls(answer_type, answer, at) IN (0, 3)),
    ADD CONSTRAINT reservation_large_check CHECK (large OR answer IS NOT NULL),
    ADD CONSTRAINT reservation_in_work_check CHECK (answer IS NOT NULL OR num_nulls(reservation_id, command, arrived_at) = 0);
CREATE INDEX reservation_in_work ON reservation (reservation_id) WHERE large AND answer IS NULL;

INSERT INTO reservation (account_id, request_id, reservation_id, large, command, sums_held, arrived_at, again_at, traceparent)
SELECT account_id, request_id, reservation_id, true, ask, status = 'allocating', arrived_at, again_at, traceparent FROM allocation;
DROP TABLE allocation;

-- Until now a reservation was called large because an item of it has a place beyond those that one transaction gives.
UPDATE reservation r SET large = true
WHERE EXISTS (SELECT FROM reservation_item i WHERE i.account_id = r.account_id AND i.reservation_id = r.reservation_id AND i.place >= 2000);

-- A table, and all that is called after it: partitions, indexes, sequences, constraints.
CREATE FUNCTION pg_temp.rename_all(old text, new text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    named record;
BEGIN
    FOR named IN
        SELECT relname AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relname ~ ('^' || old || '(_|$)') AND relkind IN ('r', 'p', 'i', 'I', 'S')
    LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', named.name, regexp_replace(named.name, '^' || old, new));
    END LOOP;
    FOR named IN
        SELECT c.conname AS name FROM pg_constraint c
        WHERE c.conrelid = new::regclass AND c.contype IN ('c', 'n') AND c.conname ~ ('^' || old || '(_|$)')
    LOOP
        EXECUTE format('ALTER TABLE %I RENAME CONSTRAINT %I TO %I', new, named.name, regexp_replace(named.name, '^' || old, new));
    END LOOP;
END $$;

-- A column, and the constraints that are called after it; newer servers also name NOT NULL.
CREATE FUNCTION pg_temp.rename_column(of_table text, old text, new text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    named record;
BEGIN
    EXECUTE format('ALTER TABLE %I RENAME COLUMN %I TO %I', of_table, old, new);
    FOR named IN
        SELECT conname AS name FROM pg_constraint WHERE conrelid = of_table::regclass AND contype IN ('c', 'n')
            AND conname ~ ('_' || old || '_')
    LOOP
        EXECUTE format('ALTER TABLE %I RENAME CONSTRAINT %I TO %I', of_table, named.name, replace(named.name, old, new));
    END LOOP;
END $$;

SELECT pg_temp.rename_all('reservation_item', 'allocation');

SELECT pg_temp.rename_all('remainder', 'promise');
SELECT pg_temp.rename_column('promise', 'remainder_fen', 'promised_fen');

SELECT pg_temp.rename_all('booking', 'booking_task');
SELECT pg_temp.rename_column('booking_task', 'booking_id', 'task_id');
DROP FUNCTION pg_temp.rename_all, pg_temp.rename_column;
