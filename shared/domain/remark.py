"""Text that customers put on invoices and into mail headers: what may stand there (D-34)."""

import re
from dataclasses import dataclass

REMARK_MAX = 200
IRRELEVANT = re.compile(r"\b(urgent|asap|as soon as possible)\b|加急|尽快|急", re.IGNORECASE)
FORBIDDEN = re.compile(r"[<>\x00-\x1f\x7f-\x9f]")
ENCODED_WORD = re.compile(r"=\?.*\?=")


@dataclass(frozen=True)
class Finding:
    """Why a remark is refused: a stable code, the value that is wrong, and what to do."""

    code: str
    value: str
    text: str


def check_remark(remark: str) -> list[Finding]:
    findings = []
    if len(remark) > REMARK_MAX:
        text = f"The remark has {len(remark)} characters; at most {REMARK_MAX} are printed. Shorten it."
        findings.append(Finding("REMARK_TOO_LONG", str(len(remark)), text))
    if bad := FORBIDDEN.search(remark):
        text = f"The remark has a character that cannot be printed ({bad.group()!r}). Remove it."
        findings.append(Finding("REMARK_BAD_CHARACTER", bad.group(), text))
    if missing := not_in_gbk(remark):
        text = f"The tax platform cannot print {missing}. Write it with another character."
        findings.append(Finding("REMARK_BAD_CHARACTER", missing, text))
    if word := IRRELEVANT.search(remark):
        text = f"The remark is printed on the invoice; “{word.group()}” does not belong there. Remove it."
        findings.append(Finding("REMARK_IRRELEVANT", word.group(), text))
    return findings


def not_in_gbk(text: str) -> str:
    """The characters GBK does not have, in order."""
    return "".join(dict.fromkeys(character for character in text if not _encodes(character)))


def safe_in_header(text: str) -> bool:
    """Nothing that ends a header line or hides one in an encoded word."""
    return not (re.search(r"[\r\n\x00]", text) or ENCODED_WORD.search(text))


def _encodes(character: str) -> bool:
    try:
        character.encode("gbk")
    except UnicodeEncodeError:
        return False
    return True
