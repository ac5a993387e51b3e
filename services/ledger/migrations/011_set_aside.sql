-- A row whose work failed rests until then, in real time; the others go on.
ALTER TABLE allocation ADD COLUMN again_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE remainder ADD COLUMN again_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE booking ADD COLUMN again_at timestamptz NOT NULL DEFAULT 'epoch';
