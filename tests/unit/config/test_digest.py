from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from refresher.config.digest import digest
from refresher.config.model import Cron, Database, Every, Index, Secret, Throttle
from refresher.hours import parse_hours
from refresher.windows import Windows
from tests.unit.builders import view

DATABASE = Database(alias="crm", conninfo=Secret("host=here password=hunter2"))
VIEWS = {name: view(name) for name in ("a", "b")}
TOLD = digest(DATABASE, VIEWS)


@pytest.mark.parametrize(
    "changes",
    [
        {"query": "SELECT 2"},
        {"schedule": Every(every=timedelta(minutes=5))},
        {"schedule": Cron(cron="0 3 * * *", timezone=ZoneInfo("Asia/Tokyo"))},
        {
            "schedule": Every(
                every=timedelta(minutes=5),
                only=Windows(parse_hours("06:00-20:00"), ZoneInfo("UTC")),
            )
        },
        {"max_staleness": None},
        {"indexes": (Index(columns=("id",)),)},
        {"grants": {"reader": ("select",)}},
    ],
)
def test_whatever_changes_of_a_view_shows(changes: dict[str, Any]) -> None:
    changed = digest(DATABASE, VIEWS | {"a": replace(VIEWS["a"], **changes)})
    assert changed != TOLD
    assert changed == digest(DATABASE, VIEWS | {"a": replace(VIEWS["a"], **changes)})


def test_views_that_come_and_go_show() -> None:
    assert digest(DATABASE, {"a": VIEWS["a"]}) != TOLD
    assert digest(DATABASE, VIEWS | {"c": view("c")}) != TOLD


@pytest.mark.parametrize(
    "changes",
    [
        {"max_parallel": 5},
        {"session": {"work_mem": "64MB"}},
        {"throttle": Throttle(active_connections=5)},
    ],
)
def test_a_databases_settings_show(changes: dict[str, Any]) -> None:
    assert digest(replace(DATABASE, **changes), VIEWS) != TOLD


def test_where_things_are_makes_no_difference() -> None:
    there = Database(alias="elsewhere", conninfo=Secret("service=crm"))
    moved = {
        name: replace(each, database="elsewhere", query_path=Path("/etc") / name)
        for name, each in reversed(VIEWS.items())
    }
    assert digest(there, moved) == TOLD
