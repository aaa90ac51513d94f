"""Configurations at random: mostly of known keys, with values that are mostly wrong."""

from typing import Any

from hypothesis import strategies as st

from refresher.config.schema import json_schema

_SCHEMA = json_schema()
_NAMES = st.sampled_from(["v", "w", "crm", "work_mem"])
_EASY = {
    "sql": {"const": "sql/v.sql"},
    "assert": {"const": "SELECT true"},
    "database": {"const": "crm"},
    "kind": {"const": "materialized_view"},
}
"""Keys that only few values suit."""

WORDS = st.sampled_from(
    ["v", "public.v", "a.b.c", '"', "0 3 * * *", "* * * * *", "5m", "1s", "1ms", "26h", "manual",
     "upstream", "none", "auto", "full", "select", "view", "materialized_view", "embedded", "crm",
     "20%", "200%", "UTC", "Europe/Amsterdam", "sql/v.sql", "config.yaml", ".", "/dev/null",
     "127.0.0.1:9187", "SELECT true", "lower(a)", "host=x password=x", "", " ", "\u00e9" * 32,
     "x" * 64, "a\nb", "a\0b", "\ud800", "\u2028", "{}", "[", "*", "&a", "!b", "null", "~"]
)  # fmt: skip
SCALARS = (
    WORDS
    | st.text(max_size=8)
    | st.booleans()
    | st.integers(-2, 20)
    | st.integers()
    | st.sampled_from([0.2, 1.5, -0.5])  # YAML takes 1e-05 and NaN for text
    | st.none()
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = _SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of the right shape: known keys, known words, examples."""
    match _resolved(schema):
        case {"properties": _} as section:
            return _section(section)
        case {"type": "object"} as entries:
            [each, *_] = entries.get("patternProperties", entries).values()
            each = entries["additionalProperties"] or each
            return st.dictionaries(_NAMES, _shaped(each), min_size=1, max_size=2)
        case {"type": "array", "items": each}:
            return st.lists(_shaped(each), min_size=1, max_size=2, unique_by=repr)
        case {"oneOf": several}:
            return st.one_of([_shaped(each) for each in several])
        case leaf:
            known = [*leaf.get("examples", ()), *leaf.get("enum", ())]
            known += [leaf[name] for name in ("const", "default", "minimum") if name in leaf]
            return st.sampled_from(known or ["config.yaml"])


def _section(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Known keys; of those that exclude each other, one."""
    keys = {key: _EASY.get(key, each) for key, each in schema["properties"].items()}
    choices = [each["required"][0] for each in schema.get("oneOf", ())]

    def chosen(choice: str | None) -> st.SearchStrategy[Any]:
        required = {*schema.get("required", ()), choice}
        return st.fixed_dictionaries(
            {key: _shaped(each) for key, each in keys.items() if key in required},
            optional={
                key: _shaped(each)
                for key, each in keys.items()
                if key not in required and key not in choices
            },
        )

    return st.sampled_from(choices or [None]).flatmap(chosen)


def _shaped(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    fitting = st.deferred(lambda: _fitting(schema))
    return st.integers(0, 60).flatmap(lambda chance: fitting if chance else ANYTHING)


CONFIGURATIONS = _shaped(_SCHEMA)
"""They may need `DATABASE_URL`, and want files that `_NAMES` names in sql/."""
VIEWS = _shaped(_SCHEMA["$defs"]["ViewSection"])
