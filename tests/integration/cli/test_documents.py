"""Every document is printed in the shape that docs/commands.md shows."""

import re
from dataclasses import fields
from typing import Any, get_args

import pytest

from refresher.definitions.step import Step
from refresher.store.drift import DriftRecord, record_drift
from refresher.store.presence import beat
from tests.conftest import Database
from tests.documented import SECTIONS, documents, shape
from tests.integration.cli.conftest import Commands
from tests.project import materialized

VIEW = "customer_sources"
RUN = documents("A run")[0]
STATUS = documents("refresher status")[0]


@pytest.fixture
def prepared(commands: Commands, database: Database) -> Commands:
    """A view that stands and differs, and one that is missing."""
    commands.configure({VIEW: materialized("SELECT id FROM numbered")})
    commands.apply()
    commands.configure(
        {VIEW: materialized("SELECT id FROM numbered WHERE id > 1", schedule={"every": "1h"})}
    )
    with database.connect() as connection:
        beat(connection, worker="daemon/1/1", kind="daemon", views=[VIEW])
        differs = DriftRecord(view=VIEW, aspect="definition", message="the query is another one")
        record_drift(connection, [VIEW], [differs])
    return commands


@pytest.mark.parametrize(
    ("arguments", "documented"),
    [
        (["init", "new"], documents("refresher init")[0]),
        (["import", "--output", "crm"], documents("refresher import")[0]),
        (["validate", "--database"], documents("refresher validate")[0]),
        (["run-now", VIEW], [RUN]),
        (["run-now", VIEW, "--no-wait"], documents("refresher run-now")[0]),
        (["history", VIEW], [RUN]),
        (["status"], [STATUS[0] | {"last_run": RUN, "broken_checks": []}]),
        (["pause", VIEW, "--for", "4h"], documents("refresher pause")[0]),
        (["resume", VIEW], documents("refresher resume")[0]),
    ],
)
def test_a_document_has_its_documented_shape(
    prepared: Commands, arguments: list[str], documented: Any
) -> None:
    assert shape(prepared.run(*arguments, "--json").json()) == shape(documented)


def test_plan_apply_and_destroy_print_their_documented_shapes(
    prepared: Commands, database: Database
) -> None:
    planned = documents("refresher plan")[0]
    with database.connect() as connection:
        connection.execute("CREATE VIEW theirs AS SELECT id FROM customer_sources")
    assert shape(prepared.run("plan", "--json").json()) == shape(planned)
    with database.connect() as connection:
        connection.execute("DROP VIEW theirs")
    applied = documents("refresher apply")[0]
    assert shape(prepared.run("apply", "--json").json()) == shape(applied)
    destroyed = documents("refresher destroy")[0]
    assert shape(prepared.run("destroy", VIEW, "--yes", "--json").json()) == shape(destroyed)


def test_the_table_of_steps_names_every_field() -> None:
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", SECTIONS["refresher plan"], re.MULTILINE)
    documented = {
        kind: set(re.findall(r"`(\w+)`", fields.replace("`pg_class.relkind`", "")))
        for kinds, fields in rows
        for kind in re.findall(r"`([\w ]+)`", kinds)
    }
    documented["alter"] -= {"owner", "grants", "comment", "options"}
    assert documented == {
        step.kind: {field.name for field in fields(step)} - {"views", "why"}
        for step in get_args(Step)
    }
