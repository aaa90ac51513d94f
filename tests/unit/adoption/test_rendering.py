"""What is written is read back as it was meant, whatever the names and texts are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from refresher.adoption.describe import Described, Value
from refresher.adoption.rendering import render_config, render_query, render_views
from refresher.config.load import load_config
from refresher.config.model import Index, Kind, View
from refresher.names import NAME_BYTES, RelationName

PLAIN = {"kind": "materialized_view", "schedule": "manual"}


def described(name: str = "v", notes: Sequence[str] = (), **keys: Value) -> Described:
    return Described(
        name=name,
        relation=RelationName("public", name),
        query="SELECT 1",
        keys={**PLAIN, **keys},
        notes=tuple(notes),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "sql").mkdir()
    return folder


def read(folder: Path, view: Described) -> View:
    (folder / "config.yaml").write_text(render_config([view]), encoding="utf-8")
    (folder / "sql" / f"{view.name}.sql").write_text(render_query(view), encoding="utf-8")
    environment = {"DATABASE_URL": "dbname=x", "X": "replaced"}
    config = load_config(folder / "config.yaml", environment)
    assert list(config.views) == [view.name]
    return config.views[view.name]


# No surrogates and no NUL: PostgreSQL has neither.
_TEXTS = st.text(
    st.sampled_from("aé$#:{}[],&*!|>'\"%@`\\ \t\n\r-?~0\x7f\x85\u2028\ufeff\U0001f600")
    | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    min_size=1,
)
_NAMES = _TEXTS.filter(lambda name: len(name.encode()) <= NAME_BYTES)
_WORDS = st.sampled_from(
    ["true", "Null", "~", "no", "012", "1.5", "1e3", "12:30", "${X}", "$$", "=", "<<", "- a",
     "a #b", "a: b", "0x1F", "2026-01-01", ".nan", "y", "select with grant option"]
)  # fmt: skip
_ANY_NAMES = _WORDS | _NAMES


@given(
    comment=_WORDS | _TEXTS,
    key=st.lists(_ANY_NAMES, min_size=1, max_size=12, unique=True),
    relation=st.builds(RelationName, _ANY_NAMES, _ANY_NAMES),
    grantee=_ANY_NAMES.filter(lambda name: "${" not in name and name != "public"),
)
def test_any_text_survives(
    folder: Path, comment: str, key: list[str], relation: RelationName, grantee: str
) -> None:
    view = described(
        comment=comment,
        key=key,
        relation=str(relation),
        grants={grantee: ["select", "update with grant option"]},
    )
    found = read(folder, view)
    assert found.comment == comment
    assert found.key == tuple(key)
    assert found.relation == relation
    assert found.grants == {grantee: ("select", "update with grant option")}


@given(
    notes=st.lists(_WORDS | _TEXTS, max_size=3),
    name=st.sampled_from(["v", "1", "true", "a b", "a: b"]),
)
def test_names_and_notes_survive(folder: Path, notes: list[str], name: str) -> None:
    assert read(folder, described(name, notes)).name == name


@given(value=_WORDS | _TEXTS | st.sampled_from(["70", "0.10", "false", "off", "-1", "007"]))
def test_an_option_keeps_its_text(folder: Path, value: str) -> None:
    found = read(folder, described(options={"fillfactor": value}))
    assert found.options == {"fillfactor": value}


def test_indexes_survive(folder: Path) -> None:
    indexes: list[Mapping[str, Value]] = [
        {"columns": ["a", "b"], "unique": True, "name": "one"},
        {"columns": ["a"], "where": "(a > 1)", "include": ["c"], "method": "btree"},
        {"expression": 'lower("$x")', "name": "two", "statistics": {"1": 500}},
        {"definition": "USING gin (a) WITH (fastupdate='off') WHERE (b = '$1'::text)"},
    ]
    assert read(folder, described(indexes=indexes)).indexes == (
        Index(columns=("a", "b"), unique=True, name="one"),
        Index(columns=("a",), where="(a > 1)", include=("c",)),
        Index(expression='lower("$x")', name="two", statistics={1: 500}),
        Index(definition="USING gin (a) WITH (fastupdate='off') WHERE (b = '$1'::text)"),
    )


def test_it_is_good_to_look_at() -> None:
    view = described(
        notes=["a note " * 14],
        key=["id"],
        indexes=[{"columns": ["at"], "name": "by_day"}],
        grants={"reader": ["select"]},
        options={"fillfactor": "70", "autovacuum_enabled": "false"},
    )
    assert render_views([view]) == (
        "views:\n"
        f"  # {'a note ' * 13}a\n"
        "  #   note\n"
        "  v:\n"
        "    kind: materialized_view\n"
        "    schedule: manual\n"
        "    key: [id]\n"
        "    indexes:\n"
        "      - columns: [at]\n"
        "        name: by_day\n"
        "    grants:\n"
        "      reader: [select]\n"
        "    options: {fillfactor: 70, autovacuum_enabled: false}\n"
    )


def test_long_lists_have_a_line_for_each() -> None:
    key = [f"a_rather_long_column_{number}" for number in range(5)]
    assert render_views([described(key=key)]).count("\n      - a_rather_long_column_") == 5


def test_another_parser_reads_the_same() -> None:
    keys: dict[str, Any] = {
        "owner": "no",
        "comment": "a: b\n# c",
        "tags": ["1", "y", "~", "2026-01-01"],
    }
    assert yaml.safe_load(render_views([described(**keys)])) == {"views": {"v": PLAIN | keys}}


def test_a_query_has_a_head_that_can_not_be_left() -> None:
    view = Described(
        name="v",
        relation=RelationName("public", "v\n; DROP TABLE x; --"),
        query="SELECT 1",
        keys=PLAIN,
        notes=(),
    )
    head, query = render_query(view).splitlines()
    assert head == r'-- public."v\n; DROP TABLE x; --", as PostgreSQL shows it.'
    assert query == "SELECT 1"


def test_a_plain_view_says_little() -> None:
    view = Described(
        name="v",
        relation=RelationName("public", "v"),
        query="SELECT 1",
        keys={"kind": Kind.VIEW.value},
        notes=(),
    )
    assert render_views([view]) == "views:\n  v:\n    kind: view\n"
