"""The serial towards the tax platform: 20 characters made from the part, so that a crashed process makes the same one again."""

from dataclasses import dataclass
from typing import Literal

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: nothing that is mistaken for something else
PREFIX = "KP"
PART_DIGITS, GENERATION_DIGITS = 12, 4
LENGTH = len(PREFIX) + 1 + PART_DIGITS + GENERATION_DIGITS + 1
LARGEST_PART_ID = 2**52
Kind = Literal["B", "R"]
"""Blue or red."""


@dataclass(frozen=True)
class Serial:
    """`generation` grows only after a definite failure that a query has confirmed."""

    part_id: int
    kind: Kind
    generation: int


def serial_of(part_id: int, kind: Kind, generation: int) -> str:
    assert 0 < part_id <= LARGEST_PART_ID, "ids are 1 to 2^52"
    assert 0 <= generation < 32**GENERATION_DIGITS
    body = f"{PREFIX}{kind}{_digits(part_id, PART_DIGITS)}{_digits(generation, GENERATION_DIGITS)}"
    return body + _check(body)


def parse_serial(text: str) -> Serial | None:
    """None for what was not made here."""
    if len(text) != LENGTH or any(character not in ALPHABET for character in text):
        return None
    prefix, mark, part, generation = text[:2], text[2], text[3 : 3 + PART_DIGITS], text[3 + PART_DIGITS : -1]
    kind: Kind | None = "B" if mark == "B" else "R" if mark == "R" else None
    part_id = _number(part)
    if prefix != PREFIX or kind is None or not 0 < part_id <= LARGEST_PART_ID or _check(text[:-1]) != text[-1]:
        return None
    return Serial(part_id, kind, _number(generation))


def _digits(number: int, length: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))


def _number(text: str) -> int:
    number = 0
    for character in text:
        number = number << 5 | ALPHABET.index(character)
    return number


def _check(body: str) -> str:
    """Weights are odd, so that no single wrong character keeps the sum modulo 32."""
    return ALPHABET[sum(ALPHABET.index(character) * (2 * place + 1) for place, character in enumerate(body)) % 32]
