"""Amounts in words."""

import re

import cn2an
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.words import LARGEST_FEN, amount_in_words

EMPTY_GROUP = re.compile(r"(?<=\d)0000(?=(\d{4})*$)")
"""cn2an leaves out the 零 of an empty group of four (壹亿壹仟 for 壹亿零壹仟), which reads like another sum."""


@pytest.mark.parametrize(
    ("fen", "words"),
    [
        (0, "零圆整"),
        (1, "壹分"),
        (10, "壹角整"),
        (11, "壹角壹分"),
        (100, "壹圆整"),
        (101, "壹圆零壹分"),
        (110, "壹圆壹角整"),
        (1_001, "壹拾圆零壹分"),
        (10_000, "壹佰圆整"),
        (38_122, "叁佰捌拾壹圆贰角贰分"),
        (127_200, "壹仟贰佰柒拾贰圆整"),
        (100_005, "壹仟圆零伍分"),
        (1_333_480, "壹万叁仟叁佰叁拾肆圆捌角整"),
        (1_010_101, "壹万零壹佰零壹圆零壹分"),
        (2_030_000, "贰万零叁佰圆整"),
        (10_700_053, "壹拾万柒仟圆伍角叁分"),
        (10_000_000_000, "壹亿圆整"),
        (10_000_100_000, "壹亿零壹仟圆整"),
        (123_456_789_012, "壹拾贰亿叁仟肆佰伍拾陆万柒仟捌佰玖拾圆壹角贰分"),
        (100_000_000_000_000, "壹万亿圆整"),
        (123_456_789_000_000, "壹万贰仟叁佰肆拾伍亿陆仟柒佰捌拾玖万圆整"),
        (-20_000, "（负数）贰佰圆整"),
        (-1, "（负数）壹分"),
    ],
)
def test_an_amount_has_one_spelling(fen: int, words: str) -> None:
    assert amount_in_words(fen) == words


def test_there_are_no_words_for_more_than_all_the_money() -> None:
    assert amount_in_words(LARGEST_FEN).startswith("玖仟玖佰玖拾玖万")
    with pytest.raises(ValueError, match="more than there are words for"):
        amount_in_words(LARGEST_FEN + 1)


@given(st.integers(0, LARGEST_FEN) | st.integers(0, 10**9))
def test_an_independent_reader_reads_the_same_sum(fen: int) -> None:
    yuan, _, rest = amount_in_words(fen).rpartition("圆")
    jiao = re.search(r"(.)角", rest)
    single = re.search(r"(.)分", rest)
    digits = [cn2an.cn2an(found.group(1), "strict") if found else 0 for found in (jiao, single)]
    assert (cn2an.cn2an(yuan, "strict") if yuan else 0) * 100 + digits[0] * 10 + digits[1] == fen


@given(st.integers(0, LARGEST_FEN) | st.integers(0, 10**9))
def test_an_independent_writer_writes_the_same_words(fen: int) -> None:
    if EMPTY_GROUP.search(str(fen // 100)):
        return
    theirs = cn2an.an2cn(f"{fen // 100}.{fen % 100:02d}", "rmb").replace("元", "圆")
    assert amount_in_words(fen) == (f"{theirs}整" if theirs.endswith("角") else theirs)
