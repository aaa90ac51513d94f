"""Views of the kind `columns`: what they need, what they take, and what means nothing for them."""

import pytest

from refresher.config.model import Every, Fills, Kind
from refresher.names import RelationName
from tests.unit.config.project import Project

TARGET = "table: crm.metrics, key: [id]"


def test_it_says_what_it_fills(project: Project) -> None:
    view = project.view(f"{TARGET}, columns: [a, b], max_rows_per_second: 50", kind="columns")
    table = RelationName("crm", "metrics")
    assert view.fills == Fills(table=table, columns=("a", "b"), max_rows_per_second=50)
    assert view.place == table
    assert view.relation == RelationName("refresher", "v_columns")
    assert view.refreshed
    assert not view.vacuum
    assert not view.kind.has_contents


def test_it_takes_from_the_defaults_what_is_about_time(project: Project) -> None:
    project.views(
        f"""
        defaults:
          owner: crm_owner
          grants: {{app: [select]}}
          strategy: full
          allow_blocking: true
          vacuum: auto
          schedule: {{every: 5m}}
        views: {{v: {{kind: columns, {TARGET}, columns: [a]}}}}
        """
    )
    view = project.load().views["v"]
    assert isinstance(view.schedule, Every)
    assert (view.owner, view.grants, view.strategy) == (None, None, "auto")
    assert not view.allow_blocking
    assert not view.vacuum


def test_what_it_needs_is_asked_for_at_once(project: Project) -> None:
    project.views("views: {v: {kind: columns}}")
    assert project.faults() == [
        "config.yaml:2: views.v: table is missing: say which table has the columns",
        "config.yaml:2: views.v: key is missing: columns are filled by the key of the table's rows",
        "config.yaml:2: views.v: columns is missing: say which columns of the table to fill",
    ]


NOT_OURS = "is for relations of refresher's own, and the table is not; remove it"
JUDGED = "is for plain views: these checks are judged in every refresh; remove it"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("relation", "a.b", "is not needed: the table is named by table; remove it"),
        ("indexes", "[{columns: [a]}]", NOT_OURS),
        ("owner", "eve", NOT_OURS),
        ("grants", "{eve: [select]}", NOT_OURS),
        ("comment", "hello", NOT_OURS),
        ("options", "{fillfactor: 90}", NOT_OURS),
        ("vacuum", "auto", NOT_OURS),
        ("strategy", "merge", "is not needed: there is one way to fill columns; remove it"),
        ("allow_blocking", "true", "filling columns keeps no reader waiting; remove it"),
        ("group", "g", "columns are filled in many transactions, and can't share one; remove it"),
        ("audit", "{}", "columns are compared in full by every refresh; remove it"),
        ("checks.columns", "[a]", "its columns are those of its table; remove it"),
        ("checks.every", "5m", JUDGED),
    ],
)
def test_what_means_nothing_for_it(project: Project, key: str, value: str, said: str) -> None:
    outer, _, inner = key.partition(".")
    given = f"{outer}: {{{inner}: {value}}}" if inner else f"{key}: {value}"
    fault = project.fault_in_view(f"{TARGET}, columns: [a], {given}", kind="columns")
    assert fault == f".{key}: {said}"


def test_it_can_not_fill_its_key(project: Project) -> None:
    said = ".columns[1]: is in the key, by which rows are found; remove it from one of the two"
    assert project.fault_in_view(f"{TARGET}, columns: [a, id]", kind="columns") == said


def test_a_column_is_filled_once(project: Project) -> None:
    project.views(
        f"""
        views:
          v: {{kind: columns, {TARGET}, columns: [a, b]}}
          w: {{kind: columns, {TARGET}, columns: [c, b]}}
          x: {{kind: columns, table: other, key: [id], columns: [b]}}
        """,
        dict.fromkeys("vwx", "SELECT 1"),
    )
    assert project.faults() == [
        (
            "config.yaml:5: views.w.columns[1]: is filled by the view in config.yaml:4, too; remove"
            " one"
        )
    ]


def test_a_managed_table_is_filled_by_its_own_query(project: Project) -> None:
    project.views(
        """
        views:
          t: {kind: table, key: [id]}
          v: {kind: columns, table: t, key: [id], columns: [b]}
        """,
        dict.fromkeys("tv", "SELECT 1"),
    )
    assert project.faults() == [
        (
            "config.yaml:5: views.v.table: is the view in config.yaml:4, whose rows refresher"
            " writes already; add to its query"
        )
    ]


def test_a_kind_has_contents_or_has_not() -> None:
    assert {kind for kind in Kind if kind.has_contents} == {Kind.MATERIALIZED_VIEW, Kind.TABLE}
