"""The one claim with a lease. A row that is due is taken by one worker at a time: until `lease_until` nobody else takes it, and each
claim has an `epoch` of its own, by which the outcome of a holder that was overtaken is recognised. The runner asks the database what
time it is (`Clock.lease_time`): wall clocks of processes differ.

A leased table has the columns `due_at`, `lease_until`, `epoch` and `tries`. The store of its room puts these pieces into its statement.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Leased:
    """A table whose rows workers take. `due`: which of its rows (alias `t`) may be due at all, in the words of its partial index."""

    table: str
    key: tuple[str, ...]
    due: str
    seconds: float
    """How long a claim lasts: longer than the call that follows may take."""
    also: str = ""
    """What a claim changes beside the lease, such as `next_step = 'query'`."""

    def select(self, at: str = "$1") -> str:
        """The next due row, all of it, locked; rows that others have are passed over. `at`: the parameter with the database's time."""
        return f"""
            SELECT t.* FROM {self.table} t
            WHERE ({self.due}) AND t.due_at <= {at} AND (t.lease_until IS NULL OR t.lease_until < {at})
            ORDER BY t.due_at, {self._key("t")} LIMIT 1 FOR UPDATE OF t SKIP LOCKED
        """

    def taken(self, at: str = "$1") -> str:
        """What an UPDATE sets on a row `t` that is taken."""
        lease = f"tries = t.tries + 1, epoch = t.epoch + 1, lease_until = {at} + interval '{self.seconds} seconds'"
        return f"{lease}, {self.also}" if self.also else lease

    def claim(self, at: str = "$1") -> str:
        """Two common table expressions: `due`, the row as it was found, and `claimed`, the same row with its lease."""
        return f"""
            due AS ({self.select(at)}), claimed AS (
                UPDATE {self.table} t SET {self.taken(at)} FROM due WHERE ({self._key("t")}) = ({self._key("due")}) RETURNING t.*
            )
        """

    def _key(self, alias: str) -> str:
        return ", ".join(f"{alias}.{name}" for name in self.key)
