-- What people look at. Each index of `item` is paid for by intake, so there are two whole ones (together a tenth of its speed), and two
-- that most rows are not in. In an account of a million items every page by these is a matter of two milliseconds, at any depth.

-- Everything, oldest first: pages at any depth, and whatever is searched for without naming a subject or a month.
CREATE INDEX item_listed ON item (account_id, occurred_at, item_id);

-- A subject, a month, or both: the sums name the few pairs an account has, and each pair is a walk of this index (`pages.walk`). An
-- index for subjects and another for months would answer the same, for the price of one more on every order and bill.
CREATE INDEX item_by_sum ON item (account_id, subject, cycle, occurred_at, item_id);

-- A contract's documents: few orders have one.
CREATE INDEX item_contract ON item (account_id, contract_number) WHERE contract_number IS NOT NULL;

-- What paid a deficit or was paid for: the two sides of R-3, of which the sums know only the difference. Rare.
CREATE INDEX item_offset ON item (account_id, occurred_at, item_id) WHERE offset_fen <> 0;

-- The history of an item, and what it was at a past moment, in the one index a move has.
ALTER TABLE move DROP CONSTRAINT move_pkey, ADD PRIMARY KEY (account_id, item_id, move_id);
