"""The unified social credit code: 18 characters, the last one a check digit (GB 32100-2015)."""

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
WEIGHTS = tuple(pow(3, place, 31) for place in range(17))


def is_valid_credit_code(code: str) -> bool:
    if len(code) != 18 or any(character not in ALPHABET for character in code):
        return False
    return code[17] == check_character(code[:17])


def check_character(first_17: str) -> str:
    total = sum(ALPHABET.index(character) * weight for character, weight in zip(first_17, WEIGHTS, strict=True))
    return ALPHABET[(31 - total % 31) % 31]
