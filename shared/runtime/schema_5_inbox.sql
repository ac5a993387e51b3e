-- By which old rows of the inbox are found. In a file of its own: while it is built, consumers wait.
CREATE INDEX inbox_old ON runtime.inbox (received_at);
