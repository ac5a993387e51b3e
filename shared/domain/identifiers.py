"""The serial towards the tax platform: 20 characters made from the part, so that a crashed process makes the same one again."""

from dataclasses import dataclass
from typing import Literal

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: nothing that is mistaken for something else
PREFIX = "KP"
PART_DIGITS, GENERATION_DIGITS, CHECK_DIGITS = 12, 4, 1
Kind = Literal["B", "R"]


@dataclass(frozen=True)
class Serial:
    """`generation` grows only after a definite failure that a query has confirmed."""

    part_id: int
    kind: Kind
    generation: int


def serial_of(part_id: int, kind: Kind, generation: int) -> str:
    body = f"{PREFIX}{kind}{_digits(part_id, PART_DIGITS)}{_digits(generation, GENERATION_DIGITS)}"
    return body + _check(body)


def parse_serial(text: str) -> Serial | None:
    """None for what was not made here."""
    if len(text) != 20 or not text.startswith(PREFIX) or text[2] not in "BR" or _check(text[:-1]) != text[-1]:
        return None
    part, generation = text[3 : 3 + PART_DIGITS], text[3 + PART_DIGITS : -1]
    return Serial(_number(part), "B" if text[2] == "B" else "R", _number(generation))


def _digits(number: int, length: int) -> str:
    if not 0 <= number < 32**length:
        raise ValueError(f"{number} does not fit into {length} characters")
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))


def _number(text: str) -> int:
    number = 0
    for character in text:
        number = number << 5 | ALPHABET.index(character)
    return number


def _check(body: str) -> str:
    return ALPHABET[sum(ord(character) * (place + 3) for place, character in enumerate(body)) % 31]
