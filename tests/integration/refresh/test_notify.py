"""What is told on the channel `refresher`, to whom, and when."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from refresher.config.model import Checks, Kind, View
from refresher.names import RelationName
from refresher.runs import Outcome
from tests.integration.refresh.conftest import Workshop

_LIMIT = 8000
_HOSTILE = {"control characters": "\x01" * 63, "quotes": '"' * 63, "wide": "\U0001f40d" * 15}


@dataclass
class Listener:
    """Hears everything that was told until it asks, in order."""

    connection: "psycopg.Connection[Any]"
    endings: int = 0

    def heard(self) -> list[str]:
        self.endings += 1
        ending = f"ending {self.endings}"
        self.connection.execute("SELECT pg_notify('refresher', %s)", [ending])
        heard: list[str] = []
        for notification in self.connection.notifies(timeout=10):
            if notification.payload == ending:
                return heard
            heard.append(notification.payload)
        message = "its own notification did not come"
        raise AssertionError(message)


@pytest.fixture
def listener(workshop: Workshop) -> Iterator[Listener]:
    with psycopg.connect(workshop.endpoint.conninfo, autocommit=True) as connection:
        connection.execute("LISTEN refresher")
        yield Listener(connection)


def test_a_success_is_told_with_what_it_made(workshop: Workshop, listener: Listener) -> None:
    workshop.execute("CREATE TABLE source AS SELECT id FROM generate_series(1, 3) AS id")
    view = workshop.view("v", "SELECT id FROM source")
    workshop.refresh(view)
    listener.heard()
    workshop.execute("DELETE FROM source WHERE id = 1; INSERT INTO source VALUES (4), (5)")
    run = workshop.refresh(view)
    (payload,) = listener.heard()
    told = json.loads(payload)
    moments = {
        name: datetime.fromisoformat(told.pop(name))
        for name in ("as_of", "data_as_of", "finished_at")
    }
    assert moments == {"as_of": run.as_of, "data_as_of": run.as_of, "finished_at": run.finished_at}
    assert told == {
        "view": "v",
        "relation": "public.v",
        "run": run.id,
        "trigger": "manual",
        "strategy": "concurrent",
        "outcome": "succeeded",
        "duration_seconds": pytest.approx(run.duration_seconds),
        "rows": 4,
        "rows_inserted": 2,
        "rows_updated": 0,
        "rows_deleted": 1,
    }


def test_a_refresh_that_is_rolled_back_tells_nothing(
    workshop: Workshop, listener: Listener
) -> None:
    refused = workshop.view("refused", "SELECT 1 AS id", checks=Checks(min_rows=2))
    assert workshop.refresh(refused).outcome is Outcome.FAILED
    cancelled = workshop.attempt(workshop.view("cancelled", "SELECT 1 AS id"))
    cancelled.cancel()
    cancelled.run()
    cut = workshop.attempt(workshop.view("cut", "SELECT 1 / 0 AS id"))
    cut.run()
    assert listener.heard() == []
    workshop.refresh(workshop.view("fine", "SELECT 1 AS id"))
    assert [json.loads(payload)["view"] for payload in listener.heard()] == ["fine"]


@pytest.mark.parametrize("name", _HOSTILE.values(), ids=_HOSTILE)
def test_a_hostile_name_fits(name: str, workshop: Workshop, listener: Listener) -> None:
    relation = RelationName(name, name)
    parts = {"schema": sql.Identifier(name), "relation": sql.Identifier(name, name)}
    workshop.connection.execute(sql.SQL("CREATE SCHEMA {schema}").format(**parts))
    workshop.connection.execute(
        sql.SQL("CREATE MATERIALIZED VIEW {relation} AS SELECT 1 AS id WITH NO DATA").format(
            **parts
        )
    )
    view = View(
        name=name,
        database="test",
        relation=relation,
        kind=Kind.MATERIALIZED_VIEW,
        query="SELECT 1 AS id",
        query_path=Path("v.sql"),
    )
    workshop.views[name] = view
    workshop.register()
    assert workshop.refresh(view).outcome is Outcome.SUCCEEDED
    (payload,) = listener.heard()
    assert len(payload.encode()) < _LIMIT
    told = json.loads(payload)
    assert told["view"] == name
    assert RelationName.parse(told["relation"]) == relation


def test_nobody_knows_how_old_what_reads_the_unknown_is(
    workshop: Workshop, listener: Listener
) -> None:
    workshop.execute("CREATE MATERIALIZED VIEW unmanaged AS SELECT 1 AS id")
    workshop.refresh(workshop.view("v", "SELECT id FROM unmanaged"))
    (payload,) = listener.heard()
    told = json.loads(payload)
    assert told["as_of"]
    assert told["data_as_of"] is None
