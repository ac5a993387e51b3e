"""Text that customers put on invoices and into mail headers: length, characters, words that do not belong there (R-15, D-34)."""

import re
import unicodedata
from functools import cache
from json import loads
from pathlib import Path

from shared.domain.finding import Finding, shown
from shared.domain.refusals import Refusal, text_of

REMARK_MAX = 200
WORDS = Path(__file__).parent / "data" / "remark_words.json"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters and everything else that some reader takes for the end of a line."""
FORBIDDEN = re.compile(rf"[<>]|{CONTROL.pattern}")
ENCODED_WORD = re.compile(r"=\?.*\?=")


def check_remark(remark: str) -> list[Finding]:
    """Everything that is wrong, at most one finding a code."""
    findings = []
    if len(remark) > REMARK_MAX:
        findings.append(_finding(Refusal.REMARK_TOO_LONG, str(len(remark))))
    if bad := shown("".join(dict.fromkeys([*FORBIDDEN.findall(remark), *not_in_gbk(remark)]))):
        findings.append(_finding(Refusal.REMARK_BAD_CHARACTER, bad))
    if word := irrelevant_word(remark):
        findings.append(_finding(Refusal.REMARK_IRRELEVANT, word))
    return findings


def _finding(code: Refusal, value: str) -> Finding:
    return Finding(code, value, text_of(code, {"value": value}).detail)


def irrelevant_word(remark: str) -> str | None:
    """The first word of the list, unless it is only a part of an innocent one (急 in 应急管理局).

    Capitals and full-width letters are the same letters.
    """
    irrelevant, innocent = _words()
    folded = unicodedata.normalize("NFKC", remark).casefold()
    spared = [match.span() for match in innocent.finditer(folded)]
    for match in irrelevant.finditer(folded):
        if not any(start <= match.start() and match.end() <= end for start, end in spared):
            return match.group()
    return None


def not_in_gbk(text: str) -> str:
    """The characters GBK does not have, each once, in order."""
    return "".join(dict.fromkeys(character for character in text if not _encodes(character)))


def safe_in_header(text: str) -> bool:
    """Nothing that ends a header line or hides one in an encoded word."""
    return not (CONTROL.search(text) or ENCODED_WORD.search(text))


def _encodes(text: str) -> bool:
    try:
        text.encode("gbk")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _words() -> tuple[re.Pattern[str], re.Pattern[str]]:
    data = loads(WORDS.read_text(encoding="utf-8"))
    return _any_of(data["irrelevant"]), _any_of(data["innocent"])


def _any_of(words: list[str]) -> re.Pattern[str]:
    """Longest first, so that 加急 is named and not 急. Latin words stand alone; Chinese ones need no space around them."""
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile("|".join(_latin(word) if word.isascii() else re.escape(word) for word in longest_first))


def _latin(word: str) -> str:
    spaced = r"\s+".join(map(re.escape, word.split()))
    return rf"(?<![a-z]){spaced}(?![a-z])"
