"""Whatever happened to the sources, a merged table is its query's answer, image by image.

Drawn histories of rows that come, change, go and are rolled back, with refreshes in between, some
of which are refused. After each refresh the table is compared with the query in full, and rows that
did not change are still where they were. HISTORIES=1000 tries that many.
"""

import pytest
from hypothesis import given

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
    as_many_as_asked,
    count,
    histories,
    write,
)

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


def images(workshop: Workshop) -> dict[str, tuple[str, str]]:
    """Each row's image, to where it is and who wrote it."""
    found = workshop.execute("SELECT m::text AS image, ctid::text, xmin::text FROM m")
    return {row["image"]: (row["ctid"], row["xmin"]) for row in found}


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
    workshop.execute(SOURCES)
    return workshop.table("m", QUERY, key=("id", "part"))


@as_many_as_asked
@given(history=histories())
def test_a_table_is_its_query(workshop: Workshop, table: View, history: list[Event]) -> None:
    workshop.execute("TRUNCATE item, price, m")
    for event in [*history, Refresh()]:
        if isinstance(event, Together):
            write(workshop, event)
        else:
            refresh(workshop, table)
