-- What leaves by itself (`retention.py`). Columns and a function that replicas of the version before do not name; they may go on meanwhile.

-- The last offset up to which rows of the inbox may have left: below it the inbox cannot tell any more what is new.
ALTER TABLE runtime.consumer_offset ADD COLUMN forgotten_through bigint NOT NULL DEFAULT -1;

CREATE INDEX parked_settled ON runtime.parked (changed_at) WHERE status <> 'open';
CREATE INDEX parked_event ON runtime.parked (event_source, event_id) WHERE status = 'open';

-- The inbox only grows for those who work with it, but for one thing: what comes again stays as long as if it had come now, because
-- Kafka has the later record for longer. At most once a day, so that reading a log again is no burden.
CREATE FUNCTION runtime.seen_again(of_source text, of_event text, at timestamptz) RETURNS bytea
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    UPDATE runtime.inbox SET received_at = at
    WHERE source = of_source AND event_id = of_event AND received_at < at - interval '1 day';
    SELECT digest FROM runtime.inbox WHERE source = of_source AND event_id = of_event;
$$;
REVOKE EXECUTE ON FUNCTION runtime.seen_again FROM PUBLIC;

-- It finds nothing any more once rows leave and others take their place.
DROP INDEX runtime.inbox_received_at;
