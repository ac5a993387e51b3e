"""The garbage collector's share of a process: short pauses only."""

import gc


def freeze() -> None:
    """What start-up built stays for good, so no full collection looks at it again: that held everything up for 50-80 ms
    each second or two of busy work, measured in the ledger (https://docs.python.org/3/library/gc.html#gc.freeze).
    """
    gc.collect()
    gc.freeze()
