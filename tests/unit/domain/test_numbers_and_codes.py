"""Invoice numbers and unified social credit codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.credit_code import ALPHABET, check_character, check_credit_code, is_valid_credit_code
from shared.domain.invoice_number import InvoiceNumber, parse_invoice_number


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        ("26332000000123456789", ("26", "33", "2", "000000123456789")),
        ("25327000001739485410", ("25", "32", "7", "000001739485410")),
        ("26337904450900255091", ("26", "33", "7", "904450900255091")),
    ],
)
def test_an_invoice_number_has_year_region_channel_and_sequence(number: str, parts: tuple[str, str, str, str]) -> None:
    assert parse_invoice_number(number) == InvoiceNumber(*parts)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "2633200000012345678",
        "2633200000012345678X",
        "26332000000123456789\n",
        "２6332000000123456789",
        "+6332000000123456789",
    ],
)
def test_anything_but_twenty_digits_is_no_invoice_number(number: str) -> None:
    assert parse_invoice_number(number) is None


@pytest.mark.parametrize("code", ["91330106673959654P", "91110108769914581E", "913301060000000013"])
def test_a_code_with_a_fitting_check_digit_is_valid(code: str) -> None:
    assert is_valid_credit_code(code)


@pytest.mark.parametrize(
    ("code", "value", "says"),
    [
        ("91330106673959654Q", "Q", "mistyped"),
        ("9133010667395965", "16", "18 characters"),
        ("", "0", "18 characters"),
        ("91330106673959654I", "I", "Character 18"),
        ("91330106673959654p", "p", "Character 18"),
        ("9133010667395965\n4", "U+000A", "Character 17"),
        ("９1330106673959654P", "９", "Character 1 "),
    ],
)
def test_a_code_that_is_wrong_is_refused_with_what_is_wrong(code: str, value: str, says: str) -> None:
    finding = check_credit_code(code)
    assert finding is not None
    assert (finding.code, finding.value) == ("BAD_TAX_ID", value)
    assert says in finding.text
    assert not is_valid_credit_code(code)


BODIES = st.text(ALPHABET, min_size=17, max_size=17)


@given(BODIES, st.integers(0, 17), st.sampled_from(ALPHABET))
def test_a_single_wrong_character_of_a_code_is_noticed(body: str, place: int, character: str) -> None:
    code = body + check_character(body)
    wrong = code[:place] + character + code[place + 1 :]
    assert is_valid_credit_code(code)
    assert wrong == code or not is_valid_credit_code(wrong)


@given(st.text(max_size=20))
def test_no_text_is_too_strange_to_be_checked(text: str) -> None:
    check_credit_code(text)
    parse_invoice_number(text)
