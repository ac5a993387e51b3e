"""The unified social credit code: 18 characters, the last one a check digit (GB 32100-2015)."""

from shared.domain.finding import Finding, shown
from shared.domain.refusals import Refusal

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # no I, O, S, V, Z: they look like digits
LENGTH = 18
WEIGHTS = tuple(pow(3, place, 31) for place in range(17))


def check_credit_code(code: str) -> Finding | None:
    """What is wrong with it, or None. The value is the part that is wrong; never the whole code."""
    if len(code) != LENGTH:
        text = f"A unified social credit code has {LENGTH} characters, this one {len(code)}. Check the licence."
        return Finding(Refusal.BAD_TAX_ID, str(len(code)), text)
    for place, character in enumerate(code, 1):
        if character not in ALPHABET:
            text = (
                f"Character {place} is none of a unified social credit code (digits, and capitals but I, O, S, V, Z)."
            )
            return Finding(Refusal.BAD_TAX_ID, shown(character), text)
    if code[-1] != check_character(code[:-1]):
        text = f"The last character, {code[-1]}, does not fit the others: one of them is mistyped. Check the licence."
        return Finding(Refusal.BAD_TAX_ID, code[-1], text)
    return None


def is_valid_credit_code(code: str) -> bool:
    return check_credit_code(code) is None


def check_character(first_17: str) -> str:
    total = sum(ALPHABET.index(character) * weight for character, weight in zip(first_17, WEIGHTS, strict=True))
    return ALPHABET[-total % 31]
