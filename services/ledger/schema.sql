-- ledger: the database after all migrations. Written by `make schema`, never by hand: a change is a new file in migrations/.
-- A table that is partitioned by account has four partitions, which are not shown. A table with an account_id is guarded by row-level
-- security: the role that serves HTTP reaches rows of one account only.

CREATE SEQUENCE booking_task_id;
CREATE SEQUENCE item_id;
CREATE SEQUENCE move_id;
CREATE SEQUENCE reservation_id;
CREATE SEQUENCE reservation_place MINVALUE 1000000;

CREATE TABLE account_change (
    account_id   bigint      NOT NULL,
    version      bigint      NOT NULL DEFAULT 1,
    published    bigint      NOT NULL DEFAULT 0,
    published_at timestamptz NOT NULL DEFAULT 'epoch',
    lease_until  timestamptz NOT NULL DEFAULT 'epoch',
    deficits     jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);
CREATE INDEX account_change_due ON account_change (published_at, account_id) WHERE version > published;

CREATE TABLE allocation (
    account_id     bigint  NOT NULL,
    reservation_id bigint  NOT NULL,
    owner_id       bigint  NOT NULL,
    item_id        bigint  NOT NULL,
    group_no       integer NOT NULL,
    place          bigint  NOT NULL,
    reserved_fen   bigint  NOT NULL CHECK (reserved_fen > 0),
    invoiced_fen   bigint  NOT NULL DEFAULT 0 CHECK (invoiced_fen >= 0),
    released_fen   bigint  NOT NULL DEFAULT 0 CHECK (released_fen >= 0),
    credited_fen   bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, reservation_id, place),
    CHECK ((invoiced_fen + released_fen) <= reserved_fen),
    CHECK (credited_fen >= 0 AND credited_fen <= invoiced_fen)
) PARTITION BY HASH (account_id);
CREATE INDEX allocation_held ON allocation (owner_id, item_id) WHERE reserved_fen > (invoiced_fen + released_fen);

CREATE TABLE balance_sum (
    account_id   bigint      NOT NULL,
    subject      text        NOT NULL,
    cycle        text        NOT NULL,
    content      text        NOT NULL,
    opens_at     timestamptz NOT NULL,
    settled_fen  bigint      NOT NULL,
    refunded_fen bigint      NOT NULL,
    positive_fen bigint      NOT NULL,
    negative_fen bigint      NOT NULL,
    reserved_fen bigint      NOT NULL,
    invoiced_fen bigint      NOT NULL,
    offset_fen   bigint      NOT NULL,
    PRIMARY KEY (account_id, subject, cycle, content, opens_at)
) PARTITION BY HASH (account_id);
CREATE INDEX balance_sum_opening ON balance_sum (opens_at, account_id);

CREATE TABLE booking_task (
    account_id     bigint      NOT NULL,
    reservation_id bigint      NOT NULL,
    task_id        bigint      NOT NULL DEFAULT nextval('booking_task_id'),
    wanted         text        NOT NULL CHECK (wanted IN ('issued', 'released', 'credited')),
    cause          text        NOT NULL,
    shares         jsonb,
    answers        bigint,
    request_id     bigint,
    part_id        bigint,
    subject        text,
    pass_no        integer     NOT NULL DEFAULT 0,
    moved_fen      bigint      NOT NULL DEFAULT 0,
    after_place    bigint      NOT NULL DEFAULT -1,
    traceparent    text        DEFAULT NULLIF(current_setting('kaipiao.traceparent', true), ''),
    again_at       timestamptz NOT NULL DEFAULT 'epoch',
    PRIMARY KEY (account_id, reservation_id, task_id)
) PARTITION BY HASH (account_id);

CREATE TABLE cash (
    account_id bigint NOT NULL,
    topped_fen bigint NOT NULL CHECK (topped_fen >= 0),
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);

CREATE TABLE item (
    account_id        bigint      NOT NULL,
    item_id           bigint      NOT NULL DEFAULT nextval('item_id'),
    kind              text        NOT NULL CHECK (kind IN ('order', 'bill', 'adjustment')),
    number            text        NOT NULL,
    line              integer     NOT NULL,
    digest            bytea       NOT NULL,
    contract_number   text,
    cycle             text        NOT NULL CHECK (cycle ~ '^[0-9]{6}$'),
    subject           text        NOT NULL,
    content           text        NOT NULL,
    tax_percent       integer     NOT NULL,
    catalogue_version text        NOT NULL,
    product_code      text,
    item_name         text        NOT NULL,
    spec              text,
    occurred_at       timestamptz NOT NULL,
    arrived_at        timestamptz NOT NULL,
    opens_at          timestamptz NOT NULL,
    settled_fen       bigint      NOT NULL CHECK (settled_fen >= 0),
    refunded_fen      bigint      NOT NULL DEFAULT 0 CHECK (refunded_fen >= 0),
    invoiceable_fen   bigint      NOT NULL,
    reserved_fen      bigint      NOT NULL DEFAULT 0 CHECK (reserved_fen >= 0),
    invoiced_fen      bigint      NOT NULL DEFAULT 0 CHECK (invoiced_fen >= 0),
    offset_fen        bigint      NOT NULL DEFAULT 0,
    order_type        text,
    list_fen          bigint,
    voucher_fen       bigint,
    PRIMARY KEY (account_id, item_id),
    UNIQUE (account_id, number, line, kind),
    CHECK ((settled_fen - refunded_fen) = (invoiceable_fen + reserved_fen + invoiced_fen + offset_fen)),
    CHECK (refunded_fen <= settled_fen)
) PARTITION BY HASH (account_id);
CREATE INDEX item_by_sum ON item (account_id, subject, cycle, occurred_at, item_id);
CREATE INDEX item_contract ON item (account_id, contract_number) WHERE contract_number IS NOT NULL;
CREATE INDEX item_listed ON item (account_id, occurred_at, item_id);
CREATE INDEX item_offset ON item (account_id, occurred_at, item_id) WHERE offset_fen <> 0;
CREATE INDEX item_open ON item (account_id, occurred_at, item_id) WHERE invoiceable_fen <> 0;
CREATE INDEX item_owing ON item (account_id, occurred_at, item_id) WHERE invoiceable_fen < 0;

-- append-only: rows are added, never changed or deleted
CREATE TABLE move (
    account_id  bigint      NOT NULL,
    move_id     bigint      NOT NULL DEFAULT nextval('move_id'),
    item_id     bigint      NOT NULL,
    from_bucket text        NOT NULL CHECK (from_bucket IN ('outside', 'invoiceable', 'reserved', 'invoiced', 'offset')),
    to_bucket   text        NOT NULL CHECK (to_bucket IN ('outside', 'invoiceable', 'reserved', 'invoiced', 'offset')),
    amount_fen  bigint      NOT NULL CHECK (amount_fen > 0),
    cause       text        NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (account_id, item_id, move_id),
    CHECK (from_bucket <> to_bucket)
) PARTITION BY HASH (account_id);

CREATE TABLE opening_sweep (
    only_one   boolean     NOT NULL DEFAULT true CHECK (only_one),
    opens_at   timestamptz NOT NULL,
    through_id bigint      NOT NULL,
    PRIMARY KEY (only_one)
);

CREATE TABLE part_booking (
    account_id bigint NOT NULL,
    part_id    bigint NOT NULL,
    state      text   NOT NULL CHECK (state IN ('issued', 'released', 'credited')),
    PRIMARY KEY (account_id, part_id)
) PARTITION BY HASH (account_id);

CREATE TABLE promise (
    account_id     bigint      NOT NULL,
    reservation_id bigint      NOT NULL,
    subject        text        NOT NULL,
    cycle          text        NOT NULL,
    content        text        NOT NULL,
    opens_at       timestamptz NOT NULL,
    promised_fen   bigint      NOT NULL CHECK (promised_fen > 0),
    after_at       timestamptz NOT NULL DEFAULT '-infinity',
    after_id       bigint      NOT NULL DEFAULT 0,
    short          boolean     NOT NULL DEFAULT false,
    again_at       timestamptz NOT NULL DEFAULT 'epoch',
    PRIMARY KEY (account_id, reservation_id, subject, cycle, content, opens_at)
) PARTITION BY HASH (account_id);
CREATE INDEX promise_reservation ON promise (reservation_id);

CREATE TABLE refund (
    account_id      bigint      NOT NULL,
    number          text        NOT NULL,
    line            integer     NOT NULL,
    digest          bytea       NOT NULL,
    original_number text        NOT NULL,
    original_line   integer     NOT NULL,
    cash_fen        bigint      NOT NULL CHECK (cash_fen > 0),
    occurred_at     timestamptz NOT NULL,
    arrived_at      timestamptz NOT NULL,
    item_id         bigint,
    look_at         timestamptz DEFAULT now(),
    PRIMARY KEY (account_id, number, line)
) PARTITION BY HASH (account_id);
CREATE INDEX refund_due ON refund (look_at) WHERE item_id IS NULL;
CREATE INDEX refund_item ON refund (account_id, item_id);
CREATE INDEX refund_waiting ON refund (account_id) WHERE item_id IS NULL;

CREATE TABLE reservation (
    account_id     bigint      NOT NULL,
    request_id     bigint      NOT NULL,
    reservation_id bigint,
    answer_type    text,
    answer         jsonb,
    at             timestamptz,
    large          boolean     NOT NULL DEFAULT false,
    command        jsonb,
    sums_held      boolean     NOT NULL DEFAULT false,
    arrived_at     timestamptz,
    again_at       timestamptz NOT NULL DEFAULT 'epoch',
    traceparent    text        DEFAULT NULLIF(current_setting('kaipiao.traceparent', true), ''),
    PRIMARY KEY (account_id, request_id),
    CHECK (num_nulls(answer_type, answer, at) IN (0, 3)),
    CHECK (answer IS NOT NULL OR num_nulls(reservation_id, command, arrived_at) = 0),
    CHECK (large OR answer IS NOT NULL)
) PARTITION BY HASH (account_id);
CREATE INDEX reservation_in_work ON reservation (reservation_id) WHERE large AND answer IS NULL;

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

CREATE TABLE reservation_offset (
    account_id     bigint  NOT NULL,
    reservation_id bigint  NOT NULL,
    place          integer NOT NULL,
    owner_id       bigint  NOT NULL,
    from_item_id   bigint  NOT NULL,
    to_item_id     bigint  NOT NULL,
    to_number      text    NOT NULL,
    amount_fen     bigint  NOT NULL CHECK (amount_fen > 0),
    undone         boolean NOT NULL DEFAULT false,
    to_owner_id    bigint  NOT NULL,
    PRIMARY KEY (account_id, reservation_id, place)
) PARTITION BY HASH (account_id);

-- append-only: rows are added, never changed or deleted
CREATE TABLE top_up (
    account_id  bigint      NOT NULL,
    number      text        NOT NULL,
    cash_fen    bigint      NOT NULL CHECK (cash_fen > 0),
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, number)
) PARTITION BY HASH (account_id);

-- append-only: rows are added, never changed or deleted
CREATE TABLE usage_record (
    account_id  bigint      NOT NULL,
    number      text        NOT NULL,
    line        integer     NOT NULL,
    digest      bytea       NOT NULL,
    cycle       text        NOT NULL,
    subject     text        NOT NULL,
    cash_fen    bigint      NOT NULL,
    occurred_at timestamptz NOT NULL,
    earliest_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, number, line)
) PARTITION BY HASH (account_id);
