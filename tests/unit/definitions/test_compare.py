from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refresher.config.model import Index, Kind, View
from refresher.definitions.compare import Aspect, compare, note_blocked, note_unknown, wanted_grants
from refresher.definitions.model import IndexFacts, RelationFacts
from refresher.graph import Graph
from refresher.names import RelationName
from refresher.runs import Strategy

VIEW = View(
    name="v",
    database="crm",
    relation=RelationName("public", "v"),
    kind=Kind.MATERIALIZED_VIEW,
    query="SELECT 1 AS id",
    query_path=Path("sql/v.sql"),
)
BY_ID = IndexFacts(unique=True, body="USING btree (id)")
FACTS = RelationFacts(
    oid=1,
    kind="m",
    query=" SELECT 1 AS id;",
    columns=(("id", "integer"), ("name", "text")),
    indexes={"v_id_key": BY_ID},
    owner="crm",
    grants={},
    comment=None,
    populated=True,
)


def told(view: View = VIEW, **standing: Any) -> list[tuple[Aspect, str]]:
    drift = compare(view, FACTS, replace(FACTS, **standing))
    assert {found.view for found in drift} <= {"v"}
    return [(found.aspect, found.message) for found in drift]


def test_equal_facts_are_no_drift() -> None:
    assert told(oid=2, populated=False) == []


def test_what_is_missing_is_nothing_else() -> None:
    (found,) = compare(VIEW, FACTS, None)

    assert (found.aspect, found.message) == (Aspect.MISSING, "public.v does not exist")


def test_what_is_of_another_kind_is_not_looked_at_closer() -> None:
    drift = told(kind="p", columns=(), indexes={})

    assert drift == [
        (Aspect.DEFINITION, "public.v is a partitioned table, not a materialized view")
    ]


def test_a_query_that_differs_is_drift() -> None:
    assert told(query="other") == [(Aspect.DEFINITION, "the query that stands is another one")]


@pytest.mark.parametrize(
    ("wanted", "standing", "message"),
    [
        (None, {"fillfactor": "70"}, None),
        ({"fillfactor": "70"}, {"fillfactor": "70"}, None),
        ({"fillfactor": "70"}, {}, "has the options (none), not fillfactor=70"),
        ({}, {"b": "2", "a": "1"}, "has the options a=1, b=2, not (none)"),
    ],
)
def test_options_are_complete_where_they_are_given(
    wanted: Any, standing: Any, message: str | None
) -> None:
    found = told(replace(VIEW, options=wanted), options=standing)

    assert found == ([] if message is None else [(Aspect.OPTIONS, message)])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((("id", "integer"),), "lacks column name"),
        ((*FACTS.columns, ("x", "text")), "has column x too"),
        ((("id", "bigint"), ("name", "text")), "has column id as bigint, not integer"),
        (FACTS.columns[::-1], "has its columns in another order"),
        ((("ID", "integer"), ("name", "text")), "lacks column id, has column ID too"),
    ],
)
def test_columns_that_differ_are_named(columns: Any, message: str) -> None:
    assert told(columns=columns) == [(Aspect.DEFINITION, f"what stands {message}")]


def test_an_index_counts_by_what_it_is() -> None:
    other = IndexFacts(unique=False, body="USING btree (id)")

    assert told(indexes={"anything": BY_ID, "more": other}) == []
    assert told(indexes={}) == [(Aspect.INDEXES, "index v_id_key (USING btree (id)): missing")]
    assert told(indexes={"v_id_key": other}) == [
        (
            Aspect.INDEXES,
            "index v_id_key (USING btree (id)): another one stands: USING btree (id)",
        )
    ]


def test_owner_grants_and_comment_count_only_where_given() -> None:
    standing: dict[str, Any] = {
        "owner": "somebody",
        "grants": {"anon": frozenset({"select"})},
        "comment": "Mine.",
    }

    assert told(**standing) == []
    strict = replace(VIEW, owner="crm", grants={}, comment="Ours.")
    assert told(strict, **standing) == [
        (Aspect.OWNER, "owned by somebody, not crm"),
        (Aspect.GRANTS, "the grants that stand are not the configured ones"),
        (Aspect.COMMENT, "the comment is another one"),
    ]


def test_an_owners_own_privileges_are_no_grants() -> None:
    view = replace(VIEW, grants={"crm": ("select",), "app": ("select", "insert"), "public": ()})

    assert wanted_grants(view, "crm") == {"app": frozenset({"select", "insert"})}
    assert wanted_grants(view, "app") == {"crm": frozenset({"select"})}


def test_an_unknown_staleness_has_its_reason() -> None:
    graph = Graph(
        {"v": frozenset({"p"}), "p": frozenset(), "known": frozenset()},
        frozenset({"v", "known"}),
        {"p": frozenset({"crm.b", "crm.a"})},
    )

    (note,) = note_unknown(graph, VIEW)

    assert "it reads crm.a, crm.b: materialized, and not managed here" in note
    assert note_unknown(graph, replace(VIEW, name="known")) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"key": ("id",)},
        {"indexes": (Index(columns=("id",), unique=True),)},
        {"allow_blocking": True},
        {"strategy": Strategy.FULL},
        {"kind": Kind.VIEW},
    ],
)
def test_a_view_that_can_be_refreshed_again_needs_no_note(fields: dict[str, Any]) -> None:
    assert note_blocked(replace(VIEW, **fields), None) == []


def test_a_view_that_can_be_filled_only_once_is_noted() -> None:
    assert "give it `key`" in note_blocked(VIEW, None)[0]
    assert note_blocked(VIEW, replace(FACTS, indexes={})) != []
    assert note_blocked(VIEW, FACTS) == []
