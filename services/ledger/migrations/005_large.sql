-- Reservations over more items than one transaction should touch: the sums are held first, the items follow in bounded steps.
CREATE TABLE allocation (
    account_id     bigint      NOT NULL,
    request_id     bigint      NOT NULL,
    reservation_id bigint      NOT NULL,
    ask            jsonb       NOT NULL,
    status         text        NOT NULL DEFAULT 'wanted' CHECK (status IN ('wanted', 'allocating', 'done', 'short')),
    next_place     integer     NOT NULL DEFAULT 0,
    arrived_at     timestamptz NOT NULL,
    traceparent    text        DEFAULT nullif(current_setting('kaipiao.traceparent', true), ''),
    PRIMARY KEY (account_id, request_id)
) PARTITION BY HASH (account_id);

-- What of a sum is promised to a reservation and not yet taken from its items. `account_id` is the items' owner. The sum counts
-- it as reserved, the items still as invoiceable. `after_at`, `after_id`: how far its items were looked at.
CREATE TABLE remainder (
    account_id     bigint      NOT NULL,
    reservation_id bigint      NOT NULL,
    subject        text        NOT NULL,
    cycle          text        NOT NULL,
    content        text        NOT NULL,
    opens_at       timestamptz NOT NULL,
    remainder_fen  bigint      NOT NULL CHECK (remainder_fen > 0),
    after_at       timestamptz NOT NULL DEFAULT '-infinity',
    after_id       bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, reservation_id, subject, cycle, content, opens_at)
) PARTITION BY HASH (account_id);
CREATE INDEX remainder_reservation ON remainder (reservation_id);

-- The groups of a reservation while it is being allocated.
CREATE TABLE reservation_group (
    account_id     bigint      NOT NULL,
    reservation_id bigint      NOT NULL,
    group_no       integer     NOT NULL,
    owner_id       bigint      NOT NULL,
    subject        text        NOT NULL,
    content        text        NOT NULL,
    tax_percent    integer     NOT NULL,
    cycle          text        NOT NULL,
    spec           text,
    count          bigint      NOT NULL,
    amount_fen     bigint      NOT NULL,
    oldest_at      timestamptz NOT NULL,
    PRIMARY KEY (account_id, reservation_id, group_no)
) PARTITION BY HASH (account_id);

-- What is to be booked on a large reservation, one after the other: a part that was issued or released, or all that is left.
CREATE SEQUENCE booking_id;
CREATE TABLE booking (
    account_id     bigint  NOT NULL,
    reservation_id bigint  NOT NULL,
    booking_id     bigint  NOT NULL DEFAULT nextval('booking_id'),
    wanted         text    NOT NULL CHECK (wanted IN ('issued', 'released', 'credited')),
    cause          text    NOT NULL,
    shares         jsonb,
    answers        bigint,
    request_id     bigint,
    part_id        bigint,
    subject        text,
    pass_no        integer NOT NULL DEFAULT 0,
    moved_fen      bigint  NOT NULL DEFAULT 0,
    after_place    integer NOT NULL DEFAULT -1,
    traceparent    text    DEFAULT nullif(current_setting('kaipiao.traceparent', true), ''),
    PRIMARY KEY (account_id, reservation_id, booking_id)
) PARTITION BY HASH (account_id);

-- A share is known by its place: a reservation that is allocated in steps may come back to an item.
ALTER TABLE reservation_item DROP CONSTRAINT reservation_item_pkey, ADD PRIMARY KEY (account_id, reservation_id, place);

SELECT runtime.partition_by_account('allocation', 'remainder', 'reservation_group', 'booking');
