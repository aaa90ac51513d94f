"""Whatever happened to sources and table, filled columns are what the query says, image by image.

Rows of the table come, go and change meanwhile, as applications will have it. After each refresh
the columns of every row that has a whole key are compared with the query, and rows that did not
differ are still where they were. HISTORIES=1000 tries that many.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.config.model import View
from refresher.errors import FailureReason
from refresher.runs import Outcome
from tests.integration.refresh.conftest import Workshop
from tests.integration.refresh.histories import (
    QUERY,
    SOURCES,
    Event,
    Refresh,
    Together,
    Write,
    as_many_as_asked,
    count,
    histories,
    ids,
    parts,
    write,
)

COLUMNS = ("amount", "ratio", "doc", "note", "worth", "notes")
_TABLE = """
CREATE TABLE target (
    id int, part text, visits int NOT NULL DEFAULT 0,
    amount numeric, ratio float8 DEFAULT 0.5, doc json, note text DEFAULT 'none', worth numeric,
    notes text[],
    UNIQUE (part, id)
)
"""
_WANTED = """
    q.amount, CASE WHEN q.id IS NULL THEN 0.5 ELSE q.ratio END, q.doc,
    CASE WHEN q.id IS NULL THEN 'none' ELSE q.note END, q.worth, q.notes
"""
_WRONG = f"""
SELECT count(*) AS rows
FROM target AS t
LEFT JOIN refresher.m_columns AS q ON q.id = t.id AND q.part = t.part
WHERE t.id IS NOT NULL AND t.part IS NOT NULL
    AND ROW(t.amount, t.ratio, t.doc, t.note, t.worth, t.notes)::record
        OPERATOR(pg_catalog.*<>) ROW({_WANTED})::record
"""
_REPEATED = """
SELECT count(*) AS keys
FROM (SELECT FROM refresher.m_columns GROUP BY id, part HAVING count(*) > 1) AS repeated
"""
_UNKEYED = "SELECT count(*) AS rows FROM refresher.m_columns WHERE id IS NULL OR part IS NULL"

of_the_table = st.one_of(
    st.builds(
        Write,
        st.just("INSERT INTO target (id, part) VALUES (%s, %s) ON CONFLICT DO NOTHING"),
        st.tuples(st.one_of(ids, ids, st.none()), parts),
    ),
    st.builds(
        Write,
        st.just(
            "INSERT INTO target (id, part) SELECT DISTINCT id, part FROM item"
            " ON CONFLICT DO NOTHING"
        ),
    ),
    st.builds(
        Write, st.just("UPDATE target SET visits = visits + 1 WHERE id = %s"), st.tuples(ids)
    ),
    st.builds(Write, st.just("UPDATE target SET note = part, doc = NULL, ratio = 0")),
    st.builds(Write, st.just("DELETE FROM target WHERE id = %s"), st.tuples(ids)),
)


def images(workshop: Workshop) -> dict[str, tuple[str, str]]:
    """Each row's image, to where it is and who wrote it; rows without a key may be the same."""
    found = workshop.execute(
        "SELECT t::text AS image, ctid::text, xmin::text FROM target AS t WHERE id IS NOT NULL"
    )
    return {row["image"]: (row["ctid"], row["xmin"]) for row in found}


def others(workshop: Workshop) -> list[object]:
    """What is the applications'."""
    found = workshop.execute("SELECT id, part, visits FROM target ORDER BY id, part, visits")
    return [tuple(row.values()) for row in found]


def refresh(workshop: Workshop, view: View) -> None:
    before, untouched = images(workshop), others(workshop)
    refusable = count(workshop, _REPEATED) + count(workshop, _UNKEYED) > 0
    wrong = count(workshop, _WRONG)
    run = workshop.refresh(view)
    assert others(workshop) == untouched
    if refusable:
        assert (run.outcome, run.failure) == (Outcome.FAILED, FailureReason.NOT_UNIQUE)
        assert images(workshop) == before
        return
    assert run.outcome is Outcome.SUCCEEDED, run.error
    assert count(workshop, _WRONG) == 0
    after = images(workshop)
    assert {image: after[image] for image in before.keys() & after.keys()} == {
        image: before[image] for image in before.keys() & after.keys()
    }
    assert (run.rows_inserted, run.rows_updated, run.rows_deleted) == (0, wrong, 0)


@pytest.fixture
def filled(workshop: Workshop) -> View:
    workshop.execute(SOURCES)
    workshop.execute(_TABLE)
    return workshop.columns("m", QUERY, table="target", columns=COLUMNS, key=("id", "part"))


@as_many_as_asked
@given(history=histories(of_the_table, of_the_table))
def test_columns_are_what_the_query_says(
    workshop: Workshop, filled: View, history: list[Event]
) -> None:
    workshop.execute("TRUNCATE item, price, target")
    for event in [*history, Refresh()]:
        if isinstance(event, Together):
            write(workshop, event)
        else:
            refresh(workshop, filled)
