"""Every rule that is cited is explained in docs/rules.md, and nothing stands there that nobody cites."""

from deploy.reference.rules import FILES_MAX, NOT_IN_CODE, ROW, RULES, cited, with_places

CITED = cited("services", "shared", "deploy", "tests", "docs", "README.md")
SENTENCES = {row[1]: row[2] for row in ROW.finditer(RULES.read_text(encoding="utf-8"))}


def test_every_rule_that_is_cited_has_a_sentence() -> None:
    assert [code for code in CITED if not SENTENCES.get(code, "").endswith(".")] == [], "add a row to docs/rules.md"


def test_every_rule_of_the_table_is_cited_somewhere() -> None:
    assert [code for code in SENTENCES if code not in CITED] == [], "nobody cites it any more: take the row out"


def test_each_rule_has_one_row_in_order() -> None:
    codes = [row[1] for row in ROW.finditer(RULES.read_text(encoding="utf-8"))]
    assert codes == sorted(SENTENCES, key=lambda code: (code[0] == "D", int(code[2:])))


def test_the_last_column_names_a_few_files_and_counts_the_rest() -> None:
    few, many, none = (f"R-{number}" for number in (1, 2, 3))
    text = "".join(f"| {code} | What holds. | old |\n" for code in (few, many, none))
    places = {few: ["a.py"], many: [f"{name}.py" for name in "abcdef"]}
    assert with_places(f"Head | not a row\n{text}", places).splitlines() == [
        "Head | not a row",
        f"| {few} | What holds. | `a.py` |",
        f"| {many} | What holds. | `a.py`, `b.py`, `c.py`, `d.py` and {6 - FILES_MAX} more |",
        f"| {none} | What holds. | {NOT_IN_CODE} |",
    ]
