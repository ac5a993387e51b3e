-- When the registration in force and the recipient were said, in business time: a fact that is redriven late undoes nothing newer.
-- The default is for a replica of the version before, which may still be writing.
ALTER TABLE account ADD COLUMN registered_at timestamptz;
ALTER TABLE recipient ADD COLUMN said_at timestamptz NOT NULL DEFAULT '-infinity';
