"""Drawn histories of sources: rows that come, change, go and are rolled back, and refreshes."""

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.integration.refresh.conftest import Workshop

HISTORIES = int(os.environ.get("HISTORIES", "40"))

as_many_as_asked = settings(
    max_examples=HISTORIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

SOURCES = """
CREATE TABLE item (id int, part text, amount numeric, ratio float8, doc json, note text);
CREATE TABLE price (part text, worth numeric);
"""
QUERY = """
SELECT
    item.id, item.part, item.amount, item.ratio, item.doc, item.note,
    (SELECT sum(worth) FROM price WHERE price.part = item.part) AS worth,
    ARRAY[item.note, item.part] AS notes
FROM item
WHERE item.amount IS DISTINCT FROM 13
"""

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


def histories(*more: st.SearchStrategy[Write]) -> st.SearchStrategy[list[Event]]:
    """Histories of the sources, and of what else is written."""
    together = st.builds(
        Together,
        st.lists(st.one_of(writes, *more), min_size=1, max_size=4).map(tuple),
        committed=st.sampled_from([True, True, False]),
    )
    return st.lists(st.one_of(together, together, st.just(Refresh())), min_size=1, max_size=25)


def write(workshop: Workshop, event: Together) -> None:
    with suppress(psycopg.Rollback), workshop.connection.transaction():
        for each in event.writes:
            workshop.connection.execute(each.statement, each.values)
        if not event.committed:
            raise psycopg.Rollback


def count(workshop: Workshop, query: str) -> int:
    ((number,),) = [tuple(row.values()) for row in workshop.execute(query)]
    return int(number)
