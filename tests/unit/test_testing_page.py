"""docs/testing.md names the folders there are, and shows a test that exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def test_every_folder_of_tests_has_its_row() -> None:
    named = set(re.findall(r"^\| `(tests/\w+)` ", PAGE, re.MULTILINE))
    assert named == {f"tests/{path.parent.name}" for path in (ROOT / "tests").glob("*/__init__.py")}


def test_the_example_stands_in_the_file_it_is_taken_from() -> None:
    (name,) = re.findall(r"From\s+`([\w./]+)`:", PAGE)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    content = (ROOT / name).read_text(encoding="utf-8")
    assert [test for test in example.strip().split("\n\n\n") if test not in content] == []
