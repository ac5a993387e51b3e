-- What the runtime keeps in each service's database. PostgreSQL 15 features only.
-- append-only: inbox

CREATE SCHEMA IF NOT EXISTS runtime;

-- Account data is spread by account, so that it can be spread further one day. For the tables of the services' migrations.
CREATE FUNCTION runtime.partition_by_account(VARIADIC names text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY names LOOP
        FOR n IN 0..3 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 4, REMAINDER %s)', name || '_' || n, name, n);
        END LOOP;
    END LOOP;
END $$;

-- An event that took effect, under the key by which it counts once. Inserted before the handler looks at anything.
CREATE TABLE runtime.inbox (
    source      text        NOT NULL,
    event_id    text        NOT NULL,
    digest      bytea       NOT NULL,
    topic       text        NOT NULL,
    "partition" integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (source, event_id)
);
CREATE INDEX inbox_received_at ON runtime.inbox USING brin (received_at);

-- Where reading stands, moved in the transaction that holds the effect. It never makes a consumer skip: see `handling.py`.
CREATE TABLE runtime.consumer_offset (
    consumer    text   NOT NULL,
    topic       text   NOT NULL,
    "partition" integer NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    applied     bigint NOT NULL,
    duplicate   bigint NOT NULL,
    parked      bigint NOT NULL,
    skipped     bigint NOT NULL,
    PRIMARY KEY (consumer, topic, "partition")
) WITH (fillfactor = 50);

-- Written before work begins, so that a record that kills the process is caught; and the first receipt of what is in work.
CREATE TABLE runtime.batch_attempt (
    consumer         text        NOT NULL,
    topic            text        NOT NULL,
    "partition"      integer     NOT NULL,
    first_offset     bigint      NOT NULL,
    tries            integer     NOT NULL,
    received_through bigint      NOT NULL,
    received_at      timestamptz NOT NULL,
    PRIMARY KEY (consumer, topic, "partition")
) WITH (fillfactor = 50);

CREATE TABLE runtime.record_attempt (
    consumer    text    NOT NULL,
    topic       text    NOT NULL,
    "partition" integer NOT NULL,
    "offset"    bigint  NOT NULL,
    tries       integer NOT NULL,
    PRIMARY KEY (consumer, topic, "partition", "offset")
);

-- What could not take effect: the record as it came, why, and what a person decided. Nothing is lost by parking.
CREATE TABLE runtime.parked (
    parked_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer    text        NOT NULL,
    topic       text        NOT NULL,
    "partition" integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    key         bytea,
    value       bytea,
    header_names  text[]    NOT NULL,
    header_values bytea[]   NOT NULL,
    reason      text        NOT NULL,
    text        text        NOT NULL,
    received_at timestamptz NOT NULL,
    parked_at   timestamptz NOT NULL,
    status      text        NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'redriven', 'dismissed')),
    changed_by  text,
    comment     text,
    changed_at  timestamptz,
    UNIQUE (consumer, topic, "partition", "offset")
);
CREATE INDEX parked_open ON runtime.parked (parked_id) WHERE status = 'open';

-- Messages to send, in the order of their making. One row for one transaction; found by "not sent yet", never by a cursor.
CREATE SEQUENCE runtime.outbox_id;
CREATE TABLE runtime.outbox (
    outbox_id  bigint      NOT NULL DEFAULT nextval('runtime.outbox_id'),
    created_at timestamptz NOT NULL DEFAULT now(),
    records    jsonb       NOT NULL,
    sent_at    timestamptz,
    PRIMARY KEY (created_at, outbox_id)
) PARTITION BY RANGE (created_at);
CREATE INDEX outbox_unsent ON runtime.outbox (outbox_id) WHERE sent_at IS NULL;

-- One relay sends at a time; the others stand by.
CREATE TABLE runtime.relay (
    only_one   boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    owner      text        NOT NULL,
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL
);
