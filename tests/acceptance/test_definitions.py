"""Definitions that can't be applied: one clear error each, and whoever reads notices nothing."""

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refresher.postgres.sessions import Connection, connect
from tests.acceptance.process import Finished
from tests.acceptance.restarting import RestartedServer
from tests.conftest import Database
from tests.project import Project, gate_shut, gated, materialized
from tests.servers import endpoint_of
from tests.torture.readers import Readers
from tests.waiting import wait_until

STANDING = materialized("SELECT id FROM generate_series(1, 10) AS id")
_RELATIONS = """
SELECT oid::bigint AS oid, relname AS name FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm')
"""


@contextlib.contextmanager
def read_all_the_while(conninfo: str) -> Iterator[None]:
    """Read `numbers`, and find no read that failed, or showed nothing."""
    readers = Readers(conninfo, random.Random(1), count=1)  # noqa: S311 - reads to be repeated
    readable = {"numbers": ("id",)}
    with readers.reading(readable):
        yield
        readers.go_on_with(readable, step=1)
    assert readers.reads != []
    assert [read for read in readers.reads if read.error or not read.rows] == []


def relations(connection: Connection) -> dict[str, int]:
    """What there is, by name."""
    return {row["name"]: row["oid"] for row in connection.execute(_RELATIONS)}


def contents(connection: Connection) -> list[int]:
    return [row["id"] for row in connection.execute("SELECT id FROM numbers ORDER BY id")]


OLD_CONTENTS = list(range(1, 11))


def applied(project: Project) -> None:
    """What stands before anything goes wrong."""
    project.configure({"numbers": STANDING})
    project.apply()


def require_one_error(finished: Finished, *words: str) -> None:
    """It says once what is wrong, and shows nobody its insides."""
    said = finished.stdout + finished.stderr
    assert "Traceback" not in said
    for word in words:
        assert word in said, said


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT id FROM generate_series(1, 10) AS id WHERE AND", ["syntax error"]),
        ("SELECT id, nothing FROM generate_series(1, 10) AS id", ['"nothing" does not exist']),
        ("SELECT id FROM nowhere", ['"nowhere" does not exist']),
        ("SELECT 1 AS other", ["id"]),
    ],
)
def test_a_definition_that_can_not_be_is_refused_before_anything_is_done(
    project: Project, database: Database, query: str, words: list[str]
) -> None:
    applied(project)
    with database.connect() as connection:
        before = relations(connection)
        project.configure({"numbers": materialized(query), "more": materialized("SELECT 1 AS id")})
        with read_all_the_while(database.conninfo):
            planned = project.run("plan")
            tried = project.run("apply")
        for finished in (planned, tried):
            assert finished.code == 2
            require_one_error(finished, "numbers", *words)
        assert relations(connection) == before
        assert contents(connection) == OLD_CONTENTS


def test_what_may_not_be_read_leaves_the_old_contents(
    bare_database: Database, tmp_path: Path, make_role: Callable[..., str]
) -> None:
    role = make_role("applier")
    with bare_database.connect() as connection:
        connection.execute(
            "CREATE TABLE forbidden AS SELECT 1 AS id;"
            f"GRANT CREATE, TEMPORARY ON DATABASE {bare_database.name} TO {role};"
            f"GRANT CREATE, USAGE ON SCHEMA public TO {role}"
        )
        conninfo = bare_database.conninfo_as(role)
        project = Project(tmp_path, {"DATABASE_URL": conninfo})
        applied(project)
        before = relations(connection)
        project.configure({"numbers": materialized("SELECT id FROM forbidden")})
        with read_all_the_while(bare_database.conninfo):
            tried = project.run("apply")
        assert tried.code == 2
        require_one_error(tried, "numbers", f"GRANT SELECT ON public.forbidden TO {role}")
        assert relations(connection) == before
        assert contents(connection) == OLD_CONTENTS

        connection.execute(f"GRANT SELECT ON forbidden TO {role}")
        assert project.run("apply").code == 0
        assert contents(connection) == [1]


def test_somebody_elses_table_is_left_alone(project: Project, database: Database) -> None:
    applied(project)
    with database.connect() as connection:
        connection.execute("CREATE TABLE taken AS SELECT 7 AS id")
        before = relations(connection)
        project.configure({"numbers": STANDING, "taken": materialized("SELECT 1 AS id")})
        assert project.run("plan").code == 2
        tried = project.run("apply")
        assert tried.code == 2
        require_one_error(tried, "public.taken is a table")
        assert relations(connection) == before


def test_a_duplicate_key_leaves_the_old_contents(project: Project, database: Database) -> None:
    applied(project)
    project.configure(
        {"numbers": materialized("SELECT id % 5 AS id FROM generate_series(1, 9) id")}
    )
    with database.connect() as connection:
        before = relations(connection)
        with read_all_the_while(database.conninfo):
            tried = project.run("apply")
        assert tried.code == 1
        require_one_error(tried, "numbers", "repeat in what index numbers_id_key wants unique")
        (failed, _) = project.run("history", "numbers", "--json").json()
        assert failed["failure"] == "not_unique"
        assert relations(connection) == before
        assert contents(connection) == OLD_CONTENTS
        assert project.run("plan").code == 10

        project.configure(
            {"numbers": materialized("SELECT DISTINCT id % 5 AS id FROM generate_series(1, 9) id")}
        )
        assert project.run("apply").code == 0
        assert contents(connection) == [0, 1, 2, 3, 4]
        assert relations(connection).keys() == before.keys()


def test_of_two_that_apply_at_once_one_does_it(project: Project, database: Database) -> None:
    applied(project)
    project.configure({"numbers": gated()})
    with (
        database.connect() as keeper,
        database.connect() as connection,
        read_all_the_while(database.conninfo),
        project.start("apply", "--json") as one,
        project.start("apply", "--json") as other,
    ):
        with gate_shut(keeper):
            wait_until(lambda: fillings(connection), what="the first fill")
            wait_until(lambda: len(applying(connection)) > 1, what="the other one")
            assert contents(connection) == OLD_CONTENTS
        assert [one.wait(), other.wait()] == [0, 0]
        assert contents(connection) == [1]
        done = "SELECT FROM refresher.run WHERE view = 'numbers' AND outcome = 'succeeded'"
        assert len(connection.execute(done).fetchall()) == 2
        assert len(relations(connection)) == 1
    assert project.run("plan").code == 0


def fillings(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT FROM refresher.run WHERE view = 'numbers' AND outcome IS NULL"
    ).fetchone()
    return row is not None


def applying(connection: Connection) -> list[int]:
    """The processes that are connected."""
    rows = connection.execute(
        "SELECT DISTINCT application_name FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'refresher %'"
    )
    return [row["application_name"] for row in rows]


def test_a_server_that_is_restarted_while_definitions_are_applied(
    tmp_path: Path, own_server: RestartedServer
) -> None:
    own_server.start()
    project = Project(tmp_path, {"DATABASE_URL": own_server.conninfo})
    applied(project)
    project.configure({"numbers": gated(), "after": materialized("SELECT id FROM numbers")})
    with project.start("apply") as process:
        with connect(endpoint_of(own_server.conninfo)) as keeper:
            keeper.execute("SELECT pg_advisory_lock(4211)")
            wait_until(lambda: fillings(keeper), what="the first fill")
            own_server.stop()
        finished = process.finished()
    assert finished.code in {1, 3}
    require_one_error(finished, "crm")
    own_server.start()
    with connect(endpoint_of(own_server.conninfo)) as connection:
        assert contents(connection) == OLD_CONTENTS
        assert project.run("apply").code == 0
        assert contents(connection) == [1]
        assert relations(connection).keys() == {"numbers", "after"}
    assert project.run("plan").code == 0
