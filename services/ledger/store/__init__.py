"""One function for one SQL statement, by noun."""
