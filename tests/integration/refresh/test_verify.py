"""Verification: what differs from the query is told by its key, and nothing is written."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from refresher.config.model import Timeouts, View
from refresher.durations import parse_duration
from refresher.errors import FailureReason, RefreshError
from refresher.postgres.sessions import Connection
from refresher.refresh.comparison import Comparison, Difference
from refresher.refresh.session import Session
from refresher.refresh.verify import Verification, Verified
from tests.integration.refresh.conftest import Workshop

QUERY = "SELECT id, v, v % 2 = 0 AS even FROM t"


@dataclass
class Verifier:
    workshop: Workshop

    def verify(self, view: View, *, sample: int | None = None, limit: int = 20) -> Verified:
        return Verification(
            session=self.workshop.session, view=view, sample=sample, limit=limit
        ).run()

    def compare(self, view: View, **how: Any) -> Comparison:
        return self.verify(view, **how).comparison


@pytest.fixture
def verifier(workshop: Workshop) -> Verifier:
    return Verifier(workshop)


@pytest.fixture(params=["table", "materialized view"])
def view(request: pytest.FixtureRequest, workshop: Workshop) -> View:
    made = workshop.table("v", QUERY) if request.param == "table" else workshop.view("v", QUERY)
    workshop.refresh(made)
    return made


def shown(comparison: Comparison) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    return [(row.difference.value, dict(row.key), dict(row.columns)) for row in comparison.examples]


@pytest.mark.parametrize("sample", [None, 4, 100])
def test_nothing_differs_after_a_refresh(
    verifier: Verifier, view: View, sample: int | None
) -> None:
    verified = verifier.verify(view, sample=sample)
    assert verified.comparison.rows == (4 if sample == 4 else 10)
    assert (verified.comparison.differing, verified.comparison.examples) == (0, ())
    state = verifier.workshop.state(view)
    assert verified.as_of == state.as_of
    assert verified.as_of is not None
    assert verified.compared_at > verified.as_of


def test_what_the_sources_changed_since_differs(verifier: Verifier, view: View) -> None:
    verifier.workshop.execute(
        "UPDATE t SET v = 30 WHERE id = 3; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (11, 0)"
    )
    before = verifier.workshop.rows("v")
    comparison = verifier.compare(view)
    assert comparison.rows == 11
    assert comparison.counts == {
        Difference.CHANGED: 1,
        Difference.MISSING: 1,
        Difference.EXTRA: 1,
    }
    assert shown(comparison) == [
        ("changed", {"id": "3"}, {"v": ("3", "30"), "even": ("false", "true")}),
        ("extra", {"id": "5"}, {}),
        ("missing", {"id": "11"}, {}),
    ]
    assert verifier.workshop.rows("v") == before
    assert len(verifier.workshop.history(view)) == 1  # it is no run


def test_a_sample_sees_all_but_what_is_missing(verifier: Verifier, view: View) -> None:
    verifier.workshop.execute(
        "UPDATE t SET v = 30 WHERE id = 3; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (11, 0)"
    )
    comparison = verifier.compare(view, sample=100)
    assert comparison.rows == 10
    assert [(kind, key) for kind, key, _ in shown(comparison)] == [
        ("changed", {"id": "3"}),
        ("extra", {"id": "5"}),
    ]


def test_no_more_is_shown_than_was_asked_for(verifier: Verifier, view: View) -> None:
    verifier.workshop.execute("UPDATE t SET v = v + 1")
    comparison = verifier.compare(view, limit=3)
    assert comparison.differing == 10
    assert [row.key["id"] for row in comparison.examples] == ["1", "2", "3"]


def test_rows_of_a_table_that_somebody_wrote_to(verifier: Verifier) -> None:
    table = verifier.workshop.table("w", "SELECT id, v::numeric AS v, NULL::text AS note FROM t")
    verifier.workshop.refresh(table)
    verifier.workshop.execute(
        "UPDATE w SET v = 1.00 WHERE id = 1; UPDATE w SET note = '' WHERE id = 2;"
        " DELETE FROM w WHERE id = 3; INSERT INTO w VALUES (0, 7)"
    )
    assert shown(verifier.compare(table)) == [
        ("extra", {"id": "0"}, {}),
        ("changed", {"id": "1"}, {"v": ("1.00", "1")}),
        ("changed", {"id": "2"}, {"note": ("", None)}),
        ("missing", {"id": "3"}, {}),
    ]


def test_a_key_of_several_columns_with_names_of_their_own(verifier: Verifier) -> None:
    table = verifier.workshop.table(
        "w", 'SELECT id % 2 AS "a %s", v AS "{b}", id FROM t', key=("a %s", "{b}")
    )
    verifier.workshop.refresh(table)
    verifier.workshop.execute("UPDATE t SET id = 20 WHERE v = 2")
    expected = [("changed", {"a %s": "0", "{b}": "2"}, {"id": ("2", "20")})]
    assert shown(verifier.compare(table)) == expected
    assert shown(verifier.compare(table, sample=10)) == expected


def test_a_sample_is_looked_up_key_by_key(verifier: Verifier) -> None:
    workshop = verifier.workshop
    table = workshop.table("sums", "SELECT id % 5 AS id, sum(v) AS v FROM t GROUP BY 1")
    workshop.refresh(table)
    workshop.execute("UPDATE sums SET v = 0 WHERE id = 4")
    assert shown(verifier.compare(table, sample=5)) == [
        ("changed", {"id": "4"}, {"v": ("0", "13")})
    ]


@pytest.mark.parametrize("sample", [None, 10])
def test_a_key_that_repeats_is_refused(verifier: Verifier, sample: int | None) -> None:
    table = verifier.workshop.table("w", "SELECT v AS id FROM t")
    verifier.workshop.refresh(table)
    verifier.workshop.execute("UPDATE t SET v = 4 WHERE id = 5")
    with pytest.raises(RefreshError, match=r"such as \(4\)") as raised:
        verifier.compare(table, sample=sample)
    assert raised.value.reason is FailureReason.NOT_UNIQUE


def test_a_materialized_view_is_compared_as_its_owner_would_refresh_it(
    verifier: Verifier, make_role: Callable[..., str]
) -> None:
    workshop = verifier.workshop
    role = make_role("owner", "NOLOGIN")
    view = workshop.view("v", "SELECT id, v FROM t")
    workshop.execute(
        f"GRANT CREATE ON SCHEMA public TO {role}; GRANT SELECT ON t TO {role};"
        f" ALTER MATERIALIZED VIEW v OWNER TO {role};"
        " ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        f" CREATE POLICY few ON t TO {role} USING (id <= 3)"
    )
    workshop.refresh(view)
    comparison = verifier.compare(view)
    assert (comparison.rows, comparison.differing) == (3, 0)


def test_without_a_unique_index_it_says_what_to_do(verifier: Verifier) -> None:
    view = verifier.workshop.view("plain", QUERY, index=None, allow_blocking=True)
    verifier.workshop.refresh(view)
    with pytest.raises(RefreshError, match=r"give 'plain' a `key`, and run `refresher apply`"):
        verifier.verify(view)


@pytest.mark.parametrize("kind", ["table", "view"])
def test_what_has_no_contents_yet_is_not_compared(verifier: Verifier, kind: str) -> None:
    view = getattr(verifier.workshop, kind)("w", QUERY)
    with pytest.raises(RefreshError, match="'w' has no contents yet"):
        verifier.verify(view)


def test_it_waits_for_a_refresh_but_not_for_ever(verifier: Verifier, bystander: Connection) -> None:
    view = verifier.workshop.table("w", QUERY, timeouts=Timeouts(lock=parse_duration("200ms")))
    verifier.workshop.refresh(view)
    with bystander.transaction():
        bystander.execute("SELECT FROM refresher.fence WHERE view = 'w' FOR NO KEY UPDATE")
        with pytest.raises(RefreshError, match="'w' is being refreshed"):
            verifier.verify(view)
    assert verifier.compare(view).differing == 0


def test_nothing_is_left_of_it(verifier: Verifier, view: View, other_session: Session) -> None:
    verifier.verify(view)
    verifier.verify(view, sample=2)
    left = verifier.workshop.session.connection().execute(
        "SELECT relname FROM pg_class WHERE pg_table_is_visible(oid) AND relname ~ '^refresher_'"
    )
    assert left.fetchall() == []
    path = verifier.workshop.session.connection().execute("SHOW search_path").fetchone()
    assert path == other_session.connection().execute("SHOW search_path").fetchone()
