"""The catalogue: what it finds, what it refuses, and that its data hangs together."""

from copy import deepcopy
from datetime import UTC, date, datetime
from itertools import combinations, pairwise
from json import loads
from typing import Any

import pytest

from shared.domain.calendar import SHANGHAI
from shared.domain.catalogue import DATA, TABLES, Catalogue, Choice, Content, LegalEntity, NoRow
from shared.domain.credit_code import is_valid_credit_code

CATALOGUE = Catalogue.load()
MARCH = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)
NEW_YEAR = datetime(2025, 12, 31, 16, tzinfo=UTC)
SUBJECTS = {
    "ALIYUN_SERVICE": 6,
    "ALIYUN_GOODS": 13,
    "ALICOM_SERVICE": 6,
    "ALICOM_TELECOM": 9,
    "TONGYI_SERVICE": 6,
    "ZHIYU_SERVICE": 6,
    "BAINIAN_SERVICE": 6,
    "JIANGSU_SERVICE": 6,
    "JIANGSU_GOODS": 13,
    "HZINT_SERVICE": 6,
    "BJTECH_SERVICE": 6,
}


def data() -> dict[str, Any]:
    return {name: loads((DATA / f"{name}.json").read_text(encoding="utf-8")) for name in TABLES}


@pytest.mark.parametrize(
    ("product", "subject", "tax_percent", "printed"),
    [
        ("ecs", "ALIYUN_SERVICE", 6, "*其他软件服务*技术服务费"),
        ("wuying_terminal", "ALIYUN_GOODS", 13, "*电子计算机*硬件设备"),
        ("sms", "ALICOM_TELECOM", 9, "*电信服务*短信服务费"),
        ("voice", "ALICOM_SERVICE", 6, "*其他软件服务*技术服务费"),
        ("cdn", "BAINIAN_SERVICE", 6, "*其他软件服务*软件服务费"),
        ("qwen_api", "TONGYI_SERVICE", 6, "*其他软件服务*软件服务费"),
        ("acp_exam", "ALIYUN_SERVICE", 6, "*非学历教育服务*培训费"),
        ("logo_design", "ZHIYU_SERVICE", 6, "*设计服务*设计费"),
        ("trademark_agency", "BJTECH_SERVICE", 6, "*经纪代理服务*商标代理费"),
    ],
)
def test_a_product_gives_subject_rate_and_printed_name(
    product: str, subject: str, tax_percent: int, printed: str
) -> None:
    choice = CATALOGUE.resolve(product, None, MARCH)
    assert isinstance(choice, Choice)
    assert (choice.subject, choice.tax_percent) == (subject, tax_percent)
    assert CATALOGUE.printed_name(choice.content, MARCH) == printed


@pytest.mark.parametrize(("subject", "tax_percent"), SUBJECTS.items())
def test_a_subject_alone_gives_its_default_row(subject: str, tax_percent: int) -> None:
    choice = CATALOGUE.resolve(None, subject, MARCH)
    assert isinstance(choice, Choice)
    assert (choice.subject, choice.tax_percent) == (subject, tax_percent)
    assert subject.startswith(choice.legal_entity)


def test_there_are_no_other_subjects() -> None:
    assert {key: subject.tax_percent for key, subject in CATALOGUE.subjects.items()} == SUBJECTS


@pytest.mark.parametrize(
    ("supplied_at", "subject", "tax_percent"),
    [
        (datetime(2025, 12, 31, 15, 59, 59, tzinfo=UTC), "ALICOM_SERVICE", 6),
        (NEW_YEAR, "ALICOM_TELECOM", 9),
    ],
)
def test_the_rate_follows_the_day_of_supply_in_shanghai(supplied_at: datetime, subject: str, tax_percent: int) -> None:
    choice = CATALOGUE.resolve("sms", None, supplied_at, "ALICOM")
    assert isinstance(choice, Choice)
    assert (choice.subject, choice.tax_percent) == (subject, tax_percent)
    assert CATALOGUE.printed_name(choice.content, MARCH) == "*电信服务*短信服务费"


@pytest.mark.parametrize(
    ("issued_at", "category"),
    [
        (datetime(2019, 5, 1, tzinfo=SHANGHAI), "信息技术服务"),
        (datetime(2026, 6, 30, 15, 59, 59, tzinfo=UTC), "其他软件服务"),
        (datetime(2026, 6, 30, 16, tzinfo=UTC), "生产生活服务"),
    ],
)
def test_the_printed_category_follows_the_day_of_issue(issued_at: datetime, category: str) -> None:
    assert CATALOGUE.printed_name("BAINIAN", issued_at) == f"*{category}*软件服务费"


@pytest.mark.parametrize(
    ("legal_entity", "subject", "expected"),
    [
        (None, None, "ALIYUN_GOODS"),
        ("ALIYUN", None, "ALIYUN_GOODS"),
        ("JIANGSU", None, "JIANGSU_GOODS"),
        (None, "JIANGSU_GOODS", "JIANGSU_GOODS"),
        ("JIANGSU", "JIANGSU_GOODS", "JIANGSU_GOODS"),
    ],
)
def test_a_product_of_two_sellers_is_the_one_that_the_line_names(
    legal_entity: str | None, subject: str | None, expected: str
) -> None:
    choice = CATALOGUE.resolve("wuying_terminal", subject, MARCH, legal_entity)
    assert isinstance(choice, Choice)
    assert choice.subject == expected


@pytest.mark.parametrize(
    ("product", "subject", "legal_entity", "says"),
    [
        ("no_such_thing", None, None, "no row for product no_such_thing on 2026-03-10"),
        ("no_such_thing", "ALIYUN_SERVICE", None, "no row for product no_such_thing"),
        ("ecs", None, "ALICOM", "product ecs belongs to ALIYUN_SERVICE on 2026-03-10, not to ALICOM"),
        ("sms", "ALICOM_SERVICE", None, "product sms belongs to ALICOM_TELECOM on 2026-03-10, not to ALICOM_SERVICE"),
        ("wuying_terminal", "ALIYUN_GOODS", "JIANGSU", "ALIYUN_GOODS or JIANGSU_GOODS"),
        (None, "ALIYUN_SERVICE", "ALICOM", "subject ALIYUN_SERVICE is sold by ALIYUN, not by ALICOM"),
        (None, "ALIYUN", None, "known subject (subject ALIYUN); name one of ALIYUN_SERVICE, "),
        (None, None, "ALIYUN", "neither a product nor a known subject"),
    ],
)
def test_what_the_catalogue_does_not_have_is_said_with_the_value(
    product: str | None, subject: str | None, legal_entity: str | None, says: str
) -> None:
    answer = CATALOGUE.resolve(product, subject, MARCH, legal_entity)
    assert isinstance(answer, NoRow)
    assert says in answer.text


@pytest.mark.parametrize(
    ("order_type", "by"),
    [
        (None, "platform"),
        ("renewal", "platform"),
        ("domain_fixed_price_selected", "platform"),
        ("domain_fixed_price", "nobody"),
        ("domain_priced_push", "nobody"),
        ("marketplace_vendor", "vendor"),
    ],
)
def test_an_order_type_says_who_invoices(order_type: str | None, by: str) -> None:
    assert CATALOGUE.invoiceable_by(order_type) == by


def test_an_order_type_nobody_knows_is_not_guessed() -> None:
    answer = CATALOGUE.invoiceable_by("never_heard_of")
    assert isinstance(answer, NoRow)
    assert "no order type never_heard_of" in answer.text


def test_the_version_changes_with_the_data_and_only_with_it() -> None:
    assert Catalogue.load() is CATALOGUE
    assert len(CATALOGUE.version) == 12
    assert Catalogue(data(), CATALOGUE.version).resolve("ecs", None, MARCH) == CATALOGUE.resolve("ecs", None, MARCH)


def test_a_row_that_points_nowhere_fails_when_the_catalogue_is_loaded() -> None:
    broken = deepcopy(data())
    broken["products"]["ecs"] = [{"content": "ALIYUN/nowhere"}]
    with pytest.raises(KeyError, match="ALIYUN/nowhere"):
        Catalogue(broken, "broken")


def test_every_row_has_three_products_and_every_default_belongs_to_its_subject() -> None:
    sold = [row.choice.content for rows in CATALOGUE.products.values() for row in rows]
    assert {content: sold.count(content) for content in CATALOGUE.contents if sold.count(content) < 3} == {}
    defaults = {key: CATALOGUE.contents[subject.default_content].subject for key, subject in CATALOGUE.subjects.items()}
    assert defaults == {key: key for key in CATALOGUE.subjects}


@pytest.mark.parametrize("product", CATALOGUE.products)
def test_a_product_has_one_row_a_day_and_seller_and_no_gap(product: str) -> None:
    rows = CATALOGUE.products[product]
    for one, other in combinations(rows, 2):
        same_seller = one.choice.legal_entity == other.choice.legal_entity
        assert not same_seller or one.until <= other.since or other.until <= one.since
    first = [row for row in rows if row.choice.legal_entity == rows[0].choice.legal_entity]
    assert (first[0].since, first[-1].until) == (date.min, date.max)
    assert all(one.until == other.since for one, other in pairwise(first))


@pytest.mark.parametrize("content", CATALOGUE.contents.values(), ids=lambda content: content.key)
def test_a_content_row_has_a_code_of_nineteen_digits_and_a_category_for_every_day(content: Content) -> None:
    assert content.tax_code.isdecimal()
    assert len(content.tax_code) == 19
    days = [since for since, _ in content.categories]
    assert (days[0], days) == (date.min, sorted(set(days)))
    assert set(content.unconfirmed) <= {"tax_code", "category"}


@pytest.mark.parametrize("entity", CATALOGUE.legal_entities.values(), ids=lambda entity: entity.key)
def test_a_seller_has_a_valid_code_of_its_region_and_says_what_is_a_stand_in(entity: LegalEntity) -> None:
    assert is_valid_credit_code(entity.tax_id)
    assert entity.tax_id[2:4] == entity.region
    assert entity.name.endswith("有限公司")
    assert set(entity.unconfirmed) <= {"name", "tax_id"}
    assert ("tax_id" in entity.unconfirmed) is (entity.key not in {"ALIYUN", "ALICOM"})


def test_order_types_know_three_answers() -> None:
    assert set(CATALOGUE.order_types.values()) == {"platform", "vendor", "nobody"}
