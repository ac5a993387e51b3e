-- What a reservation's items paid of deficits, in the order it was paid. Undone when nothing of the reservation was invoiced.
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
    PRIMARY KEY (account_id, reservation_id, place)
) PARTITION BY HASH (account_id);
SELECT runtime.partition_by_account('reservation_offset');

CREATE INDEX item_owing ON item (account_id, occurred_at, item_id) WHERE invoiceable_fen < 0;
CREATE INDEX refund_item ON refund (account_id, item_id);
