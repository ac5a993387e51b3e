"""What a check says of a value it will not accept."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A stable code, the value that is wrong (printable as it stands), and what to do."""

    code: str
    value: str
    text: str


def shown(text: str) -> str:
    """A character that cannot be seen is named by its number: U+000A."""
    return "".join(one if one.isprintable() and not one.isspace() else f"U+{ord(one):04X}" for one in text)
