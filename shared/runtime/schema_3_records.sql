-- What is known of a parked record, so that nobody has to open it: who, which document, which event. Names of headers are bytes, as they
-- came: not every name is text that a database can hold. `header_names` is what versions before wrote.
ALTER TABLE runtime.parked
    ADD COLUMN header_name_bytes bytea[],
    ADD COLUMN account_id   bigint,
    ADD COLUMN number       text,
    ADD COLUMN event_source text,
    ADD COLUMN event_id     text,
    ADD COLUMN event_type   text,
    ADD COLUMN event_time   timestamptz,
    ADD COLUMN redrive_from timestamptz,
    ADD COLUMN fingerprint  bytea,
    ADD COLUMN times        integer NOT NULL DEFAULT 1 CHECK (times >= 1),
    ADD COLUMN last_at      timestamptz;
CREATE INDEX parked_fingerprint ON runtime.parked (consumer, fingerprint) WHERE status = 'open';

-- Of all tries, those that ended in an error of the record's own: a transient error takes the others back.
ALTER TABLE runtime.record_attempt ADD COLUMN failed integer NOT NULL DEFAULT 0 CHECK (failed >= 0);

-- How many records a consumer has parked one after the other for reasons nobody knows. Survives the process: a new one would park on.
CREATE TABLE runtime.breaker (
    consumer text    PRIMARY KEY,
    parks    integer NOT NULL CHECK (parks >= 0)
);
