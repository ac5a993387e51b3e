-- A second credit note over the same part is told as well. `credit_note_id` is 0 for what concerns none.
ALTER TABLE notification ADD COLUMN credit_note_id bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT notification_account_id_request_id_part_id_kind_channel_key,
    ADD CONSTRAINT notification_once UNIQUE (account_id, request_id, part_id, credit_note_id, kind, channel);
