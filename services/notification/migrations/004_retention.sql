-- By which old notices are found, which leave after NOTICE_DAYS (`shared/runtime/retention.py`).
CREATE INDEX notice_old ON notice (created_at) WHERE status <> 'pending';
