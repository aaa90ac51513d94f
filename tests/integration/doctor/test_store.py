"""What is found about the schema `refresher`."""

from collections.abc import Callable
from typing import LiteralString

import pytest

from refresher.doctor.model import Severity
from refresher.store.migrate import migrate, migrations
from tests.integration.doctor.conftest import Patient

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def test_one_that_is_well_is_not_spoken_of(patient: Patient) -> None:
    assert patient.findings("store") == []


def test_a_missing_one_is_made_by_refresher_where_it_may(patient: Patient) -> None:
    patient.execute("DROP SCHEMA refresher CASCADE")
    patient.finding("store", ERROR)
    patient.execute('GRANT CREATE ON DATABASE "{database}" TO "{role}"')
    finding = patient.finding("store", NOTE)
    assert finding.message == "there is no store yet"


def test_a_schema_for_it_is_the_cure_for_a_missing_one(patient: Patient) -> None:
    patient.execute("DROP SCHEMA refresher CASCADE")
    patient.execute(*patient.finding("store", ERROR).sql)
    patient.finding("store", NOTE)
    with patient.database.connect_as(patient.role) as connection:
        migrate(connection)
    assert patient.findings("store") == []


def test_an_empty_schema_of_somebody_else_is_no_place_for_it(patient: Patient) -> None:
    patient.execute("DROP SCHEMA refresher CASCADE", "CREATE SCHEMA refresher")
    patient.execute(*patient.finding("store", ERROR).sql)
    patient.finding("store", NOTE)


def test_one_without_its_version_is_dropped(patient: Patient) -> None:
    patient.execute("DELETE FROM refresher.migration")
    patient.execute(*patient.finding("store", ERROR).sql)
    patient.execute('GRANT CREATE ON DATABASE "{database}" TO "{role}"')
    patient.finding("store", NOTE)


def test_an_older_and_a_newer_one_are_told_apart(patient: Patient) -> None:
    newest = migrations()[-1].version
    patient.execute(f"INSERT INTO refresher.migration VALUES ({newest + 1}, 'later')")
    newer = patient.finding("store", ERROR)
    assert newer.cure == "upgrade refresher"
    patient.execute("UPDATE refresher.migration SET version = 0 WHERE version = 1")
    patient.execute("DELETE FROM refresher.migration WHERE version > 0")
    patient.finding("store", NOTE)


@pytest.mark.parametrize("owner", ["NOLOGIN", "NOLOGIN SUPERUSER"])
def test_one_that_may_not_be_used_is_opened(
    patient: Patient, make_role: Callable[..., str], owner: LiteralString
) -> None:
    keeper = make_role("Keeper", owner)
    patient.execute(
        f'ALTER SCHEMA refresher OWNER TO "{keeper}"',
        f'GRANT ALL ON ALL TABLES IN SCHEMA refresher TO "{keeper}"',
        'REVOKE ALL ON ALL TABLES IN SCHEMA refresher FROM "{role}"',
    )
    finding = patient.finding("store", ERROR)
    made_member = finding.sql == (f'GRANT "{keeper}" TO "{patient.role}"',)
    assert made_member is ("SUPERUSER" not in owner)
    patient.cure(finding)


def test_an_older_one_that_may_not_be_changed_is_told(
    patient: Patient, make_role: Callable[..., str]
) -> None:
    keeper = make_role("keeper", "NOLOGIN")
    patient.execute(
        "UPDATE refresher.migration SET version = 0 WHERE version = 1",
        "DELETE FROM refresher.migration WHERE version > 0",
        f'ALTER SCHEMA refresher OWNER TO "{keeper}"',
        'GRANT USAGE ON SCHEMA refresher TO "{role}"',
    )
    finding = patient.finding("store", ERROR)
    patient.execute(*finding.sql)
    patient.finding("store", NOTE)
