"""Every document is printed in the shape that docs/commands.md shows."""

from typing import Any

import pytest

from refresher.store.drift import DriftRecord, record_drift
from refresher.store.presence import beat
from tests.conftest import Database
from tests.documented import documents, shape
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
        (["status"], [STATUS[0] | {"last_run": RUN}]),
        (["pause", VIEW, "--for", "4h"], documents("refresher pause")[0]),
        (["resume", VIEW], documents("refresher resume")[0]),
    ],
)
def test_a_document_has_its_documented_shape(
    prepared: Commands, arguments: list[str], documented: Any
) -> None:
    assert shape(prepared.run(*arguments, "--json").json()) == shape(documented)


def test_what_apply_prints_has_its_documented_shape(prepared: Commands) -> None:
    (applied,) = prepared.run("apply", "--json").json()
    ((documented,),) = documents("refresher apply")
    assert set(applied) == set(documented)
    assert shape(applied["drift"]) == shape(documented["drift"])
