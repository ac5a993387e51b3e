"""A tax platform as providers run them: asynchronous, idempotent by serial, with a log of its own."""
