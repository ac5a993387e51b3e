-- Some workers take the items of one large reservation, each of another sum: what each needs is on the row it holds.
-- `short`: of this sum not everything could be taken.
ALTER TABLE remainder ADD COLUMN short boolean NOT NULL DEFAULT false;
ALTER TABLE allocation DROP COLUMN next_place, DROP CONSTRAINT allocation_status_check,
    ADD CONSTRAINT allocation_status_check CHECK (status IN ('wanted', 'allocating'));

-- Places of items that are taken in steps; those of a reservation that is made at once are numbers below it.
CREATE SEQUENCE reservation_place MINVALUE 1000000;
ALTER TABLE reservation_item ALTER COLUMN place TYPE bigint;
ALTER TABLE booking ALTER COLUMN after_place TYPE bigint;
