"""Whatever happened to the sources, a merged table is its query's answer, image by image.

Drawn histories of rows that come, change, go and are rolled back, with refreshes in between, some
of which are refused. After each refresh the table is compared with the query in full, and rows that
did not change are still where they were. HISTORIES=1000 tries that many.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refresher.config.model import View
from refresher.errors import FailureReason
from refresher.runs import Outcome
from tests.integration.refresh.conftest import Workshop

HISTORIES = int(os.environ.get("HISTORIES", "40"))

_SOURCES = """
CREATE TABLE item (id int, part text, amount numeric, ratio float8, doc json, note text);
CREATE TABLE price (part text, worth numeric);
"""
_QUERY = """
SELECT
    item.id, item.part, item.amount, item.ratio, item.doc, item.note,
    (SELECT sum(worth) FROM price WHERE price.part = item.part) AS worth,
    ARRAY[item.note, item.part] AS notes
FROM item
WHERE item.amount IS DISTINCT FROM 13
"""
_DIFFERENT = """
SELECT count(*) AS rows
FROM m
FULL JOIN refresher."public.m" AS q ON q.id = m.id AND q.part = m.part
WHERE m.ctid IS NULL OR q.id IS NULL OR m.* OPERATOR(pg_catalog.*<>) q.*
"""
_REPEATED = """
SELECT count(*) AS keys
FROM (SELECT FROM refresher."public.m" GROUP BY id, part HAVING count(*) > 1) AS repeated
"""
_UNKEYED = 'SELECT count(*) AS rows FROM refresher."public.m" WHERE id IS NULL OR part IS NULL'

ids = st.integers(1, 6)
parts = st.sampled_from(["a", "A", "", "ä", "a "])
amounts = st.sampled_from([None, "1.0", "1.00", "1", "13", "NaN", "-0.0", "1e3"])
ratios = st.sampled_from([None, "0", "-0", "NaN", "Infinity", "0.1"])
docs = st.sampled_from([None, "{}", "{ }", '{"a": 1, "a": 2}', "1.0", "1.00"])
notes = st.one_of(
    st.none(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    st.just("x" * 9_000),
    st.just("x" * 8_999 + "y"),
)


@dataclass(frozen=True)
class Write:
    statement: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Together:
    """Writes of one transaction."""

    writes: tuple[Write, ...]
    committed: bool


@dataclass(frozen=True)
class Refresh:
    pass


Event: TypeAlias = Together | Refresh

rows = st.tuples(st.one_of(ids, ids, ids, st.none()), parts, amounts, ratios, docs, notes)
writes = st.one_of(
    st.builds(Write, st.just("INSERT INTO item VALUES (%s, %s, %s, %s, %s, %s)"), rows),
    st.builds(Write, st.just("INSERT INTO item VALUES (%s, %s, %s, %s, %s, %s)"), rows),
    st.builds(
        Write,
        st.just("UPDATE item SET amount = %s, note = %s WHERE id = %s"),
        st.tuples(amounts, notes, ids),
    ),
    st.builds(Write, st.just("UPDATE item SET doc = %s, ratio = %s"), st.tuples(docs, ratios)),
    st.builds(Write, st.just("UPDATE item SET id = id + 1 WHERE id = %s"), st.tuples(ids)),
    st.builds(Write, st.just("DELETE FROM item WHERE id = %s"), st.tuples(ids)),
    st.builds(Write, st.just("DELETE FROM item WHERE id IS NULL")),
    st.builds(Write, st.just("INSERT INTO price VALUES (%s, %s)"), st.tuples(parts, amounts)),
    st.builds(Write, st.just("UPDATE price SET worth = worth + 0.0")),
    st.builds(Write, st.sampled_from(["TRUNCATE item", "TRUNCATE price", "TRUNCATE item, price"])),
    st.builds(
        Write,
        st.just(
            "DELETE FROM item AS i USING item AS o"
            " WHERE i.id = o.id AND i.part = o.part AND i.ctid > o.ctid"
        ),
    ),
)
together = st.builds(
    Together,
    st.lists(writes, min_size=1, max_size=4).map(tuple),
    committed=st.sampled_from([True, True, False]),
)
histories = st.lists(st.one_of(together, together, st.just(Refresh())), min_size=1, max_size=25)


def count(workshop: Workshop, query: str) -> int:
    ((number,),) = [tuple(row.values()) for row in workshop.execute(query)]
    return int(number)


def images(workshop: Workshop) -> dict[str, tuple[str, str]]:
    """Each row's image, to where it is and who wrote it."""
    found = workshop.execute("SELECT m::text AS image, ctid::text, xmin::text FROM m")
    return {row["image"]: (row["ctid"], row["xmin"]) for row in found}


def write(workshop: Workshop, event: Together) -> None:
    with suppress(psycopg.Rollback), workshop.connection.transaction():
        for each in event.writes:
            workshop.connection.execute(each.statement, each.values)
        if not event.committed:
            raise psycopg.Rollback


def refresh(workshop: Workshop, view: View) -> None:
    before = images(workshop)
    refusable = count(workshop, _REPEATED) + count(workshop, _UNKEYED) > 0
    run = workshop.refresh(view)
    if refusable:
        assert (run.outcome, run.failure) == (Outcome.FAILED, FailureReason.NOT_UNIQUE)
        assert images(workshop) == before
        return
    assert run.outcome is Outcome.SUCCEEDED, run.error
    assert count(workshop, _DIFFERENT) == 0
    after = images(workshop)
    assert {image: after[image] for image in before.keys() & after.keys()} == {
        image: before[image] for image in before.keys() & after.keys()
    }
    assert run.rows == len(after)


@pytest.fixture
def table(workshop: Workshop) -> View:
    workshop.execute(_SOURCES)
    return workshop.table("m", _QUERY, key=("id", "part"))


@settings(
    max_examples=HISTORIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=histories)
def test_a_table_is_its_query(workshop: Workshop, table: View, history: list[Event]) -> None:
    workshop.execute("TRUNCATE item, price, m")
    for event in [*history, Refresh()]:
        if isinstance(event, Together):
            write(workshop, event)
        else:
            refresh(workshop, table)
