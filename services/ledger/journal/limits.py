"""How much at once. Read as `limits.ITEMS_MAX`, so that a test can have a large reservation of four items."""

ITEMS_MAX = 2000
"""Items one transaction may take. More is a large reservation, which is allocated in steps."""
STEP_ITEMS = 500
"""Items of one such step: others of the account wait for as long as it takes."""
GROUPS_MAX = 500
"""Groups and offsets of one answer, which has to fit into a message. Each item may print another spec, so there may be many."""
OFFSETS_MAX = 200
"""Offsets of a large reservation's answer, whose groups are counted only later; groups and offsets together still fit."""
CHUNK_FIRST, CHUNK_GROWS, CHUNK_MAX = 32, 4, 2048
"""Items looked at for a reservation by amount: at first, how that grows, and at most."""
