"""What is found about the server and the way to it."""

from collections.abc import Iterator

import pytest

from refresher.doctor.model import Severity
from refresher.doctor.origins import origin
from refresher.errors import UnreachableError
from tests import pooler as pgbouncer
from tests import standby
from tests.integration.doctor.conftest import PLAIN, Patient
from tests.pooler import PgBouncer

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


@pytest.fixture(scope="module")
def pooler(server: str) -> Iterator[PgBouncer]:
    with pgbouncer.running(server) as running:
        yield running


def test_the_server_and_its_role_are_told(patient: Patient) -> None:
    server = patient.facts().server
    assert (server.database, server.role) == (patient.database.name, patient.role)
    assert server.version.startswith(str(server.major))
    assert not server.superuser
    assert not server.replica
    for topic in ("version", "replica", "superuser", "pooler", "disconnects", "clock", "unread"):
        assert patient.findings(topic) == []


def test_a_superuser_is_noted(patient: Patient) -> None:
    assert patient.findings("superuser", patient.database.conninfo)


@pytest.mark.program("pgbouncer")
def test_a_pooler_in_transaction_mode_is_noticed(patient: Patient, pooler: PgBouncer) -> None:
    through = pooler.conninfo(patient.database.conninfo_as(patient.role))
    assert patient.facts(through).server.pooled
    (finding,) = patient.findings("pooler", through)
    assert finding.severity is NOTE
    assert patient.findings("unread", through) == []


def test_a_role_that_may_only_read_is_cured(patient: Patient) -> None:
    assert patient.findings("read_only") == []
    patient.execute('ALTER ROLE "{role}" SET default_transaction_read_only = on')
    patient.cure(patient.finding("read_only", ERROR))


def test_a_server_that_does_not_say_which_one_it_is(patient: Patient) -> None:
    patient.execute('ALTER FUNCTION refresher.lineage() OWNER TO "{role}"')
    assert patient.findings("lineage") == []
    patient.execute("REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC")
    finding = patient.finding("lineage", NOTE)
    assert finding.sql == (
        f'GRANT EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) TO "{patient.role}"',
    )
    patient.cure(finding)


def test_timeouts_are_told_with_where_they_come_from(patient: Patient) -> None:
    patient.execute(
        'ALTER ROLE "{role}" SET statement_timeout = "8s"',
        'ALTER DATABASE "{database}" SET lock_timeout = "2s"',
        'ALTER ROLE "{role}" IN DATABASE "{database}"'
        ' SET idle_in_transaction_session_timeout = "1min"',
    )
    told = {each.name: (each.value, origin(each)) for each in patient.facts().timeouts}
    assert told["statement_timeout"] == ("8s", "ALTER ROLE … SET")
    assert told["lock_timeout"] == ("2s", "ALTER DATABASE … SET")
    assert told["idle_in_transaction_session_timeout"] == (
        "1min",
        "ALTER ROLE … IN DATABASE … SET",
    )
    assert told["idle_session_timeout"] == ("0", "PostgreSQL's default")


@pytest.mark.pg(">= 17")
@pytest.mark.parametrize(
    "statement",
    [
        'ALTER ROLE "{role}" SET transaction_timeout = "30s"',
        'ALTER DATABASE "{database}" SET transaction_timeout = "30s"',
        'ALTER ROLE "{role}" IN DATABASE "{database}" SET transaction_timeout = "30s"',
    ],
)
def test_a_limit_on_transactions_is_lifted(patient: Patient, statement: str) -> None:
    patient.create("numbers", "SELECT 1 AS id")
    assert patient.findings("transaction_timeout") == []
    patient.execute(statement)
    patient.cure(patient.finding("transaction_timeout", WARNING))


@pytest.mark.pg("< 17")
def test_there_was_no_limit_on_transactions(patient: Patient) -> None:
    assert "transaction_timeout" not in {each.name for each in patient.facts().timeouts}


def test_a_limit_on_idle_sessions_is_lifted(patient: Patient) -> None:
    assert patient.findings("idle_session_timeout") == []
    patient.execute('ALTER ROLE "{role}" SET idle_session_timeout = "5min"')
    patient.cure(patient.finding("idle_session_timeout", NOTE))


@pytest.mark.parametrize("whose", ["ROLE", "DATABASE"])
def test_too_few_connections_are_more_after_the_cure(patient: Patient, whose: str) -> None:
    assert patient.findings("connections") == []
    name = {"ROLE": patient.role, "DATABASE": patient.database.name}[whose]
    patient.execute(f'ALTER {whose} "{name}" CONNECTION LIMIT 5')
    patient.cure(patient.finding("connections", WARNING))


@pytest.mark.parametrize("name", ["log_lock_waits", "track_counts"])
def test_a_switch_that_is_off_is_noted(patient: Patient, name: str) -> None:
    patient.execute(f'ALTER ROLE "{{role}}" SET {name} = on')
    assert patient.findings(name) == []
    patient.execute(f'ALTER ROLE "{{role}}" SET {name} = off')
    finding = patient.finding(name, NOTE)
    assert finding.sql == (f"ALTER SYSTEM SET {name} = on", "SELECT pg_reload_conf()")


def test_an_index_larger_than_the_memory_it_is_built_in_is_noted(patient: Patient) -> None:
    patient.create("numbers", "SELECT id FROM generate_series(1, 100000) AS id")
    patient.execute("CREATE INDEX ON numbers (id)")
    assert patient.findings("maintenance_work_mem") == []
    patient.execute('ALTER ROLE "{role}" SET maintenance_work_mem = "1MB"')
    finding = patient.finding("maintenance_work_mem", NOTE)
    assert finding.cure is not None
    assert "databases.crm.session" in finding.cure


def test_what_queries_write_to_temporary_files_is_counted(patient: Patient) -> None:
    usage = patient.facts().usage
    assert usage is not None
    assert usage.temporary_bytes >= 0
    assert usage.counted_since <= usage.now
    assert usage.connections >= 1  # the superuser's own, at least
    assert patient.findings("work_mem") == []


def test_who_is_not_let_in_is_unreachable(patient: Patient) -> None:
    patient.execute('ALTER ROLE "{role}" NOLOGIN')
    with pytest.raises(UnreachableError, match="not permitted to log in"):
        patient.facts()


def test_what_may_not_be_looked_at_is_said_and_stops_nothing_else(patient: Patient) -> None:
    patient.create("numbers", "SELECT 1 AS id", grants={})
    patient.execute(
        "REVOKE ALL ON pg_catalog.pg_policy FROM PUBLIC", "GRANT SELECT ON numbers TO PUBLIC"
    )
    finding = patient.finding("unread", WARNING)
    assert finding.message == (
        "what the views read could not be looked at: permission denied for table pg_policy"
    )
    assert patient.findings("readers")
    patient.execute("GRANT SELECT ON pg_catalog.pg_policy TO PUBLIC")
    assert patient.findings("unread") == []


def test_nobody_is_waited_for(patient: Patient) -> None:
    patient.execute("CREATE TABLE source AS SELECT 1 AS id", 'GRANT SELECT ON source TO "{role}"')
    patient.create("numbers", "SELECT id FROM source")
    patient.define("missing", "SELECT id FROM source")
    with patient.database.connect() as keeper, keeper.transaction():
        keeper.execute("REFRESH MATERIALIZED VIEW numbers")
        keeper.execute("LOCK TABLE source")
        facts = patient.facts()
    assert facts.standing is not None
    assert facts.reads is not None
    assert {read.view for read in facts.reads} >= {"numbers"}


def test_nothing_is_left_behind(patient: Patient) -> None:
    patient.define("missing", "SELECT 1 AS id")
    patient.define("reader", "SELECT id FROM missing", PLAIN)
    query = "SELECT count(*) AS relations, max(oid) AS newest FROM pg_class"
    before = patient.admin.execute(query).fetchall()
    patient.facts()
    assert patient.admin.execute(query).fetchall() == before


def test_a_read_only_replica_is_looked_at_all_the_same(patient: Patient) -> None:
    patient.define("missing", "SELECT 1 AS id")
    assert patient.findings("replica") == []
    with standby.running() as conninfo:
        facts = patient.facts(conninfo)
        (finding,) = patient.findings("replica", conninfo)
    assert facts.unread == {}
    assert facts.standing is not None
    assert finding.severity is ERROR
    assert finding.cure is not None
    assert "primary" in finding.cure
