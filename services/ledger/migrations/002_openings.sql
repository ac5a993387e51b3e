-- How far the sweep of openings has come: whoever's sums have opened is told of it, though nothing was written to them.
CREATE TABLE opening_sweep (
    only_one   boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    opens_at   timestamptz NOT NULL,
    through_id bigint      NOT NULL
);
INSERT INTO opening_sweep (opens_at, through_id) VALUES ('epoch', 0);
CREATE INDEX balance_sum_opening ON balance_sum (opens_at, account_id);
