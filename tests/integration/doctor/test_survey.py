"""What the recipe of `refresher doctor --sql` knows of a real database."""

from collections.abc import Callable

import pytest

from refresher.config.model import Database as DatabaseConfig
from refresher.config.model import Secret
from refresher.doctor.recipe import Site, recipe
from refresher.doctor.survey import imagine, survey
from refresher.names import RelationName
from refresher.postgres.sessions import connect
from tests.integration.doctor.conftest import PLAIN, Patient

NEW = "new_daemon"


def surveyed(patient: Patient, role: str = NEW) -> Site:
    return survey(patient.database.endpoint, patient.views, role=role)


def statements(site: Site) -> list[str]:
    return [statement for part in recipe(site) for statement in part.statements]


def test_sources_are_found_before_anything_stands(patient: Patient) -> None:
    patient.execute(
        "CREATE SCHEMA sales", "CREATE TABLE sales.orders (id int)", "CREATE TABLE people (id int)"
    )
    patient.define("below", "SELECT id FROM copies JOIN people USING (id)")
    patient.define("copies", "SELECT id FROM sales.orders", PLAIN)
    below, copies = surveyed(patient).views
    assert below.reads == (RelationName("public", "people"),)
    assert copies.reads == (RelationName("sales", "orders"),)
    assert not below.borrowed


def test_what_can_not_be_tried_is_unknown(patient: Patient) -> None:
    patient.define("wrong", "SELECT id FROM nowhere")
    patient.define("many", "SELECT 1; SELECT 2")
    assert [view.reads for view in surveyed(patient).views] == [None, None]


def test_a_changed_definition_counts_and_else_what_stands(patient: Patient) -> None:
    patient.execute("CREATE TABLE a (id int)", "CREATE TABLE b (id int)")
    patient.create("one", "SELECT id FROM a")
    patient.create("two", "SELECT id FROM a")
    patient.define("one", "SELECT id FROM b")
    patient.define("two", "SELECT id FROM nowhere")
    one, two = surveyed(patient, patient.role).views
    assert one.reads == (RelationName("public", "b"),)
    assert two.reads == (RelationName("public", "a"),)


def test_who_owns_what_decides(patient: Patient, make_role: Callable[..., str]) -> None:
    owner = make_role("owner", "NOLOGIN")
    patient.execute("CREATE TABLE a (id int)", f"ALTER TABLE a OWNER TO {owner}")
    patient.create("theirs", "SELECT id FROM a")
    patient.define("wanted", "SELECT id FROM a", owner=owner)
    patient.define("nobodys", "SELECT id FROM a", owner="nobody_here")
    site = surveyed(patient)
    theirs, wanted, nobodys = site.views
    assert (theirs.borrowed, theirs.owner) == (True, patient.role)
    assert (wanted.borrowed, wanted.owner, wanted.reads) == (False, owner, ())
    assert nobodys.reads == (RelationName("public", "a"),)
    assert site.missing_owners == {"nobody_here"}
    assert site.superusers == frozenset()


def test_the_store_and_the_role_are_looked_for(patient: Patient) -> None:
    site = surveyed(patient)
    assert not site.role_stands
    assert site.store_owner == patient.role
    assert "run" in site.store_relations
    assert f"ALTER SCHEMA refresher OWNER TO {NEW}" in statements(site)
    assert surveyed(patient, patient.role).role_stands
    patient.execute("DROP SCHEMA refresher CASCADE")
    assert f"CREATE SCHEMA refresher AUTHORIZATION {NEW}" in statements(surveyed(patient))


def test_a_schema_that_is_missing_is_made(patient: Patient) -> None:
    patient.define("v", "SELECT 1 AS id", relation=RelationName("Later", "v"))
    assert f'CREATE SCHEMA "Later" AUTHORIZATION {NEW}' in statements(surveyed(patient))


def test_nothing_is_left_behind(patient: Patient) -> None:
    patient.define("v", "SELECT 1 AS id")
    query = "SELECT count(*) AS relations, max(oid) AS newest FROM pg_class"
    before = patient.admin.execute(query).fetchall()
    surveyed(patient)
    assert patient.admin.execute(query).fetchall() == before


def test_a_store_that_is_handed_over_works(patient: Patient, make_role: Callable[..., str]) -> None:
    role = make_role("heir")
    patient.execute(*statements(surveyed(patient, role)))
    patient.role = role
    assert patient.findings("store") == []
    with connect(patient.database.endpoint) as connection:
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner)::text AS owner FROM pg_class"
            " WHERE relnamespace = 'refresher'::regnamespace AND relkind IN ('r', 'v', 'S')"
        ).fetchall()
    assert owners == [{"owner": role}]


@pytest.mark.parametrize(
    ("conninfo", "name"),
    [
        ("postgresql://u:p@h/shop", "shop"),
        ("host=h dbname='my shop'", "my shop"),
        ("service=crm", "crm"),
        ("embedded", "crm"),
    ],
)
def test_without_a_server_the_configuration_is_all_there_is(
    patient: Patient, conninfo: str, name: str
) -> None:
    patient.define("v", "SELECT 1 AS id", owner="o")
    database = DatabaseConfig(alias="crm", conninfo=Secret(conninfo))
    site = imagine(database, patient.views, version=16, role=NEW)
    assert (site.major, site.database) == (16, name)
    (view,) = site.views
    assert (view.owner, view.reads) == ("o", None)
