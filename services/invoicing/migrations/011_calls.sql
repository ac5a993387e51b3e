-- What the tax platform says by itself counts once, and makes nobody ask more often than once a second.
-- Columns that replicas of the version before do not name; they may go on meanwhile.
ALTER TABLE part ADD COLUMN called_at timestamptz;
ALTER TABLE credit_note ADD COLUMN called_at timestamptz;

-- Calls that were taken, by a digest of what names them; kept for longer than a signature is valid.
CREATE TABLE platform_call (
    call_id   bytea       PRIMARY KEY,
    called_at timestamptz NOT NULL
);
CREATE INDEX platform_call_old ON platform_call (called_at);
