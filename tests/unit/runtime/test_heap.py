"""The garbage collector."""

import gc

from shared.runtime import heap


def test_what_was_built_before_is_not_looked_at_by_later_collections() -> None:
    built = [[number] for number in range(1000)]
    try:
        heap.freeze()
        looked_at = {id(one) for one in gc.get_objects()}
        assert not looked_at & {id(one) for one in built}
    finally:
        gc.unfreeze()
