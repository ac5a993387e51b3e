-- By which old idempotency keys are found, which leave after IDEMPOTENCY_DAYS (`shared/runtime/retention.py`).
CREATE INDEX idempotency_old ON idempotency (created_at);
