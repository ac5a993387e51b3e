-- How often in a row the platform was not heard: after a lost answer it is asked again soon, however often it was asked before.
ALTER TABLE part ADD COLUMN unheard integer NOT NULL DEFAULT 0;
