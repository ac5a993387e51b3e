-- The ledger. Money is integer fen, tax included. One verb: an amount moves between the buckets of an item.
-- append-only: move, usage_record

CREATE SEQUENCE item_id;
CREATE SEQUENCE move_id;
CREATE SEQUENCE reservation_id;

-- One line of an order or bill. The row is its own inbox (natural key and digest) and its own first move: `settled_fen` never
-- changes and says what came from outside into `invoiceable_fen`; all later moves are rows of `move`.
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
    PRIMARY KEY (account_id, item_id),
    UNIQUE (account_id, number, line, kind),
    CHECK (settled_fen - refunded_fen = invoiceable_fen + reserved_fen + invoiced_fen + offset_fen)
) PARTITION BY HASH (account_id);
CREATE INDEX item_open ON item (account_id, occurred_at, item_id) WHERE invoiceable_fen <> 0;

-- Every later movement of money, with its cause. Never changed.
CREATE TABLE move (
    account_id  bigint      NOT NULL,
    move_id     bigint      NOT NULL DEFAULT nextval('move_id'),
    item_id     bigint      NOT NULL,
    from_bucket text        NOT NULL CHECK (from_bucket IN ('outside', 'invoiceable', 'reserved', 'invoiced', 'offset')),
    to_bucket   text        NOT NULL CHECK (to_bucket IN ('outside', 'invoiceable', 'reserved', 'invoiced', 'offset')),
    amount_fen  bigint      NOT NULL CHECK (amount_fen > 0),
    cause       text        NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (account_id, move_id),
    CHECK (from_bucket <> to_bucket)
) PARTITION BY HASH (account_id);

-- What an account's items may still be invoiced and so on, summed. `positive_fen` and `negative_fen` split what is invoiceable.
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

-- That an account's balance changed, and which version of it was published last.
CREATE TABLE account_change (
    account_id   bigint      NOT NULL,
    version      bigint      NOT NULL DEFAULT 1,
    published    bigint      NOT NULL DEFAULT 0,
    published_at timestamptz NOT NULL DEFAULT 'epoch',
    lease_until  timestamptz NOT NULL DEFAULT 'epoch',
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);
CREATE INDEX account_change_due ON account_change (published_at) WHERE version > published;

-- A refund waits here until its original is known; only then it counts (D-24).
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
    PRIMARY KEY (account_id, number, line)
) PARTITION BY HASH (account_id);
CREATE INDEX refund_waiting ON refund (account_id) WHERE item_id IS NULL;

-- Pay-as-you-go usage: it gives the cycle, nothing invoiceable.
CREATE TABLE usage_record (
    account_id   bigint      NOT NULL,
    number       text        NOT NULL,
    line         integer     NOT NULL,
    digest       bytea       NOT NULL,
    cycle        text        NOT NULL,
    subject      text        NOT NULL,
    cash_fen     bigint      NOT NULL,
    occurred_at  timestamptz NOT NULL,
    earliest_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id, number, line)
) PARTITION BY HASH (account_id);

CREATE TABLE cash (
    account_id bigint NOT NULL,
    topped_fen bigint NOT NULL CHECK (topped_fen >= 0),
    PRIMARY KEY (account_id)
) PARTITION BY HASH (account_id);

-- The one answer to each ReserveBalance; a refused one has no reservation id.
CREATE TABLE reservation (
    account_id     bigint      NOT NULL,
    request_id     bigint      NOT NULL,
    reservation_id bigint,
    answer_type    text        NOT NULL,
    answer         jsonb       NOT NULL,
    at             timestamptz NOT NULL,
    PRIMARY KEY (account_id, request_id)
) PARTITION BY HASH (account_id);

-- What a reservation took of each item. `account_id` is the requesting account, `owner_id` the item's.
CREATE TABLE reservation_item (
    account_id     bigint  NOT NULL,
    reservation_id bigint  NOT NULL,
    owner_id       bigint  NOT NULL,
    item_id        bigint  NOT NULL,
    group_no       integer NOT NULL,
    place          integer NOT NULL,
    reserved_fen   bigint  NOT NULL CHECK (reserved_fen > 0),
    invoiced_fen   bigint  NOT NULL DEFAULT 0 CHECK (invoiced_fen >= 0),
    released_fen   bigint  NOT NULL DEFAULT 0 CHECK (released_fen >= 0),
    PRIMARY KEY (account_id, reservation_id, item_id),
    CHECK (invoiced_fen + released_fen <= reserved_fen)
) PARTITION BY HASH (account_id);

-- What became of each part, so that a fact counts once and a late document still counts.
CREATE TABLE part_booking (
    account_id bigint NOT NULL,
    part_id    bigint NOT NULL,
    state      text   NOT NULL CHECK (state IN ('issued', 'released')),
    PRIMARY KEY (account_id, part_id)
) PARTITION BY HASH (account_id);

SELECT runtime.partition_by_account(
    'item', 'move', 'balance_sum', 'account_change', 'refund', 'usage_record', 'cash', 'reservation',
    'reservation_item', 'part_booking'
);
