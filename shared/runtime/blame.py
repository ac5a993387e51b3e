"""Whose fault an error is: of the moment (transient), of the system itself, or of the record.

What is the system's own (a column that was renamed, a right that is missing, a partition of the outbox that nobody made) would fail
with any record: to park records for it would park all of them, one after the other.
"""

from asyncpg import CheckViolationError, PostgresError

from shared.runtime.database import TRANSIENT_ERRORS

SYSTEM_CLASSES = ("0A", "26", "28", "3D", "3F", "42", "58", "F0", "XX")
"""Of SQLSTATE: not supported, no such statement, login, database or schema; syntax, names and rights; the machine, its configuration."""
OWN_SCHEMA = "runtime"


def is_transient(error: BaseException) -> bool:
    return isinstance(error, TRANSIENT_ERRORS)


def is_the_systems(error: BaseException) -> bool:
    if not isinstance(error, PostgresError) or is_transient(error):
        return False
    if (error.sqlstate or "")[:2] in SYSTEM_CLASSES or error.schema_name == OWN_SCHEMA:
        return True
    return isinstance(error, CheckViolationError) and not error.constraint_name  # a row for which there is no partition


def name_of(error: BaseException) -> str:
    """The type, and what of the database it is about. Never its text, which quotes values."""
    if not isinstance(error, PostgresError):
        return type(error).__name__
    about = [error.sqlstate, error.table_name, error.column_name, error.constraint_name]
    return " ".join([type(error).__name__, *(str(one) for one in about if one)])
