-- The platform is asked to cancel what it is at; its answer is an acknowledgement, and a query decides (R-8).
ALTER TABLE request ADD COLUMN cancel_reason text;
ALTER TABLE part ADD COLUMN cancel_heard boolean NOT NULL DEFAULT false;
ALTER TABLE attempt DROP CONSTRAINT attempt_step_check;
ALTER TABLE attempt ADD CONSTRAINT attempt_step_check CHECK (step IN ('submit', 'query', 'cancel'));
