-- A credit note gives back what its invoice took. `invoiced_fen` of a reservation never falls: what was once invoiced stays said.
ALTER TABLE reservation_item ADD COLUMN credited_fen bigint NOT NULL DEFAULT 0 CHECK (credited_fen BETWEEN 0 AND invoiced_fen);
ALTER TABLE part_booking DROP CONSTRAINT part_booking_state_check,
    ADD CONSTRAINT part_booking_state_check CHECK (state IN ('issued', 'released', 'credited'));

-- Members whose relation allows it pay each other's deficits: the two sides of an offset then have two owners (D-20).
ALTER TABLE reservation_offset ADD COLUMN to_owner_id bigint;
UPDATE reservation_offset SET to_owner_id = owner_id;
ALTER TABLE reservation_offset ALTER COLUMN to_owner_id SET NOT NULL;

-- Accounts wait in the order in which they are claimed.
DROP INDEX account_change_due;
CREATE INDEX account_change_due ON account_change (published_at, account_id) WHERE version > published;

-- What was last told of an account's deficits, by subject.
ALTER TABLE account_change ADD COLUMN deficits jsonb NOT NULL DEFAULT '{}';
