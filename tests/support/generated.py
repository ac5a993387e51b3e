"""Values for a JSON schema, good and bad ones: hypothesis draws what a careful client, a careless one and a hostile one would send."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from shared.contracts.message import LARGEST_ID

Schema = dict[str, Any]

HOSTILE_TEXTS = [
    "",
    " ",
    "\x00",
    "\x7f",
    "\ud83d",
    "\udc00",
    "%00",
    "..",
    "../../8",
    "a" * 65,
    "x" * 1001,
    "'; --",
    "é",
    "发票",
    "\u202e",
]
HOSTILE_NUMBERS = [0, -1, 1, LARGEST_ID, LARGEST_ID + 1, 2**31, 2**53, 2**62, 2**63, 10**20, -(10**20), 1.5, 1e308]
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.sampled_from(HOSTILE_NUMBERS), st.sampled_from(HOSTILE_TEXTS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@dataclass(frozen=True)
class Drawing:
    """`components`: what a `$ref` names. `known`: by the name of a field, values that mean something in the world the requests go to."""

    components: Schema
    known: Mapping[str, Sequence[Any]]

    def values(self, schema: Schema, name: str = "") -> st.SearchStrategy[Any]:
        """Mostly what the schema allows, sometimes what it does not."""
        good = self.good(schema, name)
        return st.one_of(good, good, good, self.bad(schema))

    def several(self, schemas: Mapping[str, Schema], needed: Iterable[str]) -> st.SearchStrategy[dict[str, Any]]:
        """Values by name: all good, or all but one."""
        good = {name: self.good(schema, name) for name, schema in schemas.items()}
        must = {*needed}
        whole = st.fixed_dictionaries(
            {name: one for name, one in good.items() if name in must},
            optional={name: one for name, one in good.items() if name not in must},
        )
        spoilt = [st.tuples(st.just(name), self.bad(schema)) for name, schema in schemas.items()]
        if not spoilt:
            return whole
        one_bad = st.builds(lambda values, bad: values | {bad[0]: bad[1]}, whole, st.one_of(spoilt))
        return st.one_of(whole, whole, one_bad)

    def bad(self, schema: Schema) -> st.SearchStrategy[Any]:
        kind = self.resolved(schema).get("type")
        if kind in ("integer", "number"):
            return st.sampled_from(HOSTILE_NUMBERS) | ANYTHING
        if kind == "string":
            return st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=80) | ANYTHING
        return ANYTHING

    def good(self, schema: Schema, name: str = "") -> st.SearchStrategy[Any]:
        schema = self.resolved(schema)
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                return st.one_of([self.good(one, name) for one in schema[key]])
        if "const" in schema or "enum" in schema:
            return st.sampled_from(schema.get("enum", [schema.get("const")]))
        match schema.get("type"):
            case "integer":
                drawn = st.integers(max(schema.get("minimum", 0), 0), min(schema.get("maximum", 2**62), 10**9))
                return drawn | st.sampled_from(self.known[name]) if name in self.known else drawn
            case "number":
                return st.floats(schema.get("minimum", 0), schema.get("maximum", 1e6))
            case "boolean":
                return st.booleans()
            case "null":
                return st.none()
            case "array":
                return st.lists(self.good(schema.get("items", {}), name), max_size=4)
            case "object":
                return self.several(schema.get("properties", {}), schema.get("required", ()))
            case "string":
                return self._texts(schema, name)
        return ANYTHING

    def bodies(self, schema: Schema) -> st.SearchStrategy[bytes]:
        """JSON as it is sent, sometimes with one field only, sometimes cut, sometimes none at all."""
        whole = self.values(schema)
        few = st.one_of(
            [
                st.builds(lambda name, value: {name: value}, st.just(name), self.good(one, name))
                for name, one in self.resolved(schema).get("properties", {}).items()
            ]
        )
        told = st.one_of(whole, whole, few).map(lambda value: json.dumps(value).encode())
        broken = [
            b"",
            b"{",
            b"\xff",
            b"null",
            b"[" * 5000,
            b'{"remark": "\xed\xa0\xbd"}',
            b'{"a": ' + b"9" * 5000 + b"}",
        ]
        return st.one_of(told, told, told, st.sampled_from(broken))

    def resolved(self, schema: Schema) -> Schema:
        found: Schema = self.components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        return found

    def _texts(self, schema: Schema, name: str) -> st.SearchStrategy[str]:
        if schema.get("format") == "date-time":
            return st.sampled_from(["2026-03-10T02:00:00Z", "2026-03-01T00:00:00+08:00", "2099-12-31T23:59:59-23:59"])
        if name in self.known:
            return st.sampled_from(self.known[name])
        if "pattern" in schema:
            longest: int = schema.get("maxLength", 64)
            drawn = st.from_regex(re.compile(schema["pattern"]), fullmatch=True)
            return drawn.map(lambda text: text[:longest])
        return st.text(max_size=min(schema.get("maxLength", 64), 64))
