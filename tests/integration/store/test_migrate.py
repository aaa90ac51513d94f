import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

import refresher.store
from refresher.errors import StoreError
from refresher.postgres import sessions
from refresher.store.migrate import migrate, migrations, require_current
from refresher.store.presence import beat
from tests.conftest import Database
from tests.waiting import wait_until

SCHEMA = Path(refresher.store.__file__).with_name("schema.sql")

DESCRIPTION = """
SELECT 'relation' AS kind, c.relname::text AS name,
    concat_ws(' ', c.relkind, c.relpersistence, c.reloptions,
        obj_description(c.oid, 'pg_class'), c.relacl) AS description
FROM pg_class AS c WHERE c.relnamespace = 'refresher'::regnamespace
UNION ALL
SELECT 'column', c.relname || ' ' || a.attnum,
    concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        a.attidentity, a.attgenerated, a.attcollation, pg_get_expr(d.adbin, d.adrelid),
        col_description(c.oid, a.attnum), a.attacl)
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'refresher'::regnamespace AND a.attnum > 0
UNION ALL
SELECT 'constraint', conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'refresher'::regnamespace
UNION ALL
SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'refresher'::regnamespace
UNION ALL
SELECT 'view', c.relname::text, pg_get_viewdef(c.oid)
FROM pg_class AS c WHERE c.relnamespace = 'refresher'::regnamespace AND c.relkind = 'v'
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid)
FROM pg_proc AS p WHERE p.pronamespace = 'refresher'::regnamespace
UNION ALL
SELECT 'trigger', t.tgrelid::regclass || ' ' || t.tgname, pg_get_triggerdef(t.oid)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'refresher'::regnamespace
UNION ALL
SELECT 'type', typname::text, typtype::text
FROM pg_type WHERE typnamespace = 'refresher'::regnamespace
"""


def describe(connection: sessions.Connection) -> dict[tuple[str, str], str]:
    rows = connection.execute(DESCRIPTION).fetchall()
    return {(row["kind"], row["name"]): row["description"] for row in rows}


def value(connection: sessions.Connection, query: str, parameters: Any = None) -> Any:
    row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    (found,) = row.values()
    return found


def grant(connection: sessions.Connection, statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def test_schema_sql_is_what_the_migrations_make(
    database: Database, bare_database: Database
) -> None:
    with database.connect() as migrated, bare_database.connect() as written:
        written.execute(SCHEMA.read_bytes())
        made, described = describe(migrated), describe(written)

    kinds = {kind for kind, _ in made}
    assert kinds == {"relation", "column", "constraint", "index", "view", "function", "type"}
    assert described == made


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [step.version for step in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_current_store_is_left_alone(database: Database) -> None:
    with database.connect() as connection:
        before = value(connection, "SELECT max(xmin::text::bigint) FROM pg_class")

        assert migrate(connection) == ()

        require_current(connection)
        assert value(connection, "SELECT max(xmin::text::bigint) FROM pg_class") == before


@pytest.mark.parametrize("level", ["read committed", "repeatable read"])
def test_replicas_that_start_at_once_migrate_once(
    bare_database: Database, make_role: Callable[..., str], level: str
) -> None:
    role = make_role("daemon")
    at_once = threading.Barrier(3)

    def start() -> int:
        with bare_database.connect_as(role) as connection:
            at_once.wait()
            return len(migrate(connection))

    with bare_database.connect() as admin, ThreadPoolExecutor(3) as replicas:
        grant(admin, "GRANT CREATE ON DATABASE {} TO {}", bare_database.name, role)
        admin.execute(
            sql.SQL("ALTER ROLE {} SET default_transaction_isolation = {}").format(
                sql.Identifier(role), sql.Literal(level)
            )
        )
        # All three find no store before one may make it.
        with admin.transaction():
            admin.execute("SELECT pg_advisory_xact_lock(7210370051)")
            started = [replicas.submit(start) for _ in range(3)]
            waiting = (
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event = 'advisory'"
            )
            with bare_database.connect() as watcher:
                wait_until(lambda: value(watcher, waiting) == 3)
        ran = sorted(replica.result() for replica in started)

        assert ran == [0, 0, len(migrations())]
        assert value(admin, "SELECT count(*) FROM refresher.migration") == len(migrations())


def test_an_upgrade_does_not_stand_in_the_way_of_long_refreshes(database: Database) -> None:
    with database.connect() as connection, database.connect() as refresh:
        connection.execute(
            "DELETE FROM refresher.migration"
            " WHERE version = (SELECT max(version) FROM refresher.migration)"
        )
        with refresh.transaction():
            refresh.execute("SELECT FROM refresher.state, refresher.worker")
            with pytest.raises(StoreError, match="refreshes at work use it"):
                migrate(connection)
        assert value(connection, "SELECT max(version) FROM refresher.migration") == (
            len(migrations()) - 1
        )


def test_a_newer_store_is_refused(database: Database) -> None:
    newest = len(migrations())
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO refresher.migration (version, name) VALUES (%s, 'later')", [newest + 1]
        )
        for refused in (migrate, require_current):
            with pytest.raises(
                StoreError, match=f"newer than this refresher, which knows {newest}"
            ):
                refused(connection)


def test_no_store_is_told_with_what_makes_one(bare_database: Database) -> None:
    with (
        bare_database.connect() as connection,
        pytest.raises(StoreError, match="run `refresher apply` or `refresher run` first"),
    ):
        require_current(connection)


def test_a_role_without_create_works_on_a_current_store(
    bare_database: Database, make_role: Callable[..., str]
) -> None:
    role = make_role("daemon")
    with bare_database.connect() as admin:
        grant(admin, "CREATE SCHEMA refresher AUTHORIZATION {}", role)

        with bare_database.connect_as(role) as connection:
            assert not value(
                connection, "SELECT has_database_privilege(current_database(), 'CREATE')"
            )
            assert len(migrate(connection)) == len(migrations())
            assert migrate(connection) == ()
            beat(connection, worker="w", kind="daemon", views=["v"])
            assert value(connection, "SELECT count(*) FROM refresher.freshness") == 0


def test_a_role_that_may_not_make_a_store_is_told_what_to_have_run(
    bare_database: Database, make_role: Callable[..., str]
) -> None:
    role = make_role("daemon")
    with bare_database.connect_as(role) as connection:
        with pytest.raises(StoreError) as caught:
            migrate(connection)
        assert f"have somebody run CREATE SCHEMA refresher AUTHORIZATION {role}" in str(
            caught.value
        )

        with bare_database.connect() as admin:
            admin.execute("CREATE SCHEMA refresher")
        with pytest.raises(StoreError, match="ALTER SCHEMA refresher OWNER TO"):
            migrate(connection)


def test_a_role_that_may_not_read_the_store_is_told(
    database: Database, make_role: Callable[..., str]
) -> None:
    role = make_role("stranger")
    with database.connect_as(role) as connection:
        for refused in (migrate, require_current):
            with pytest.raises(StoreError, match="may not read the schema refresher"):
                refused(connection)


def test_a_schema_that_is_somebody_elses_is_left_as_it_is(bare_database: Database) -> None:
    with bare_database.connect() as connection:
        connection.execute("CREATE SCHEMA refresher; CREATE TABLE refresher.run (mine int)")

        with pytest.raises(StoreError, match='relation "run" already exists'):
            migrate(connection)

        assert (
            value(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'refresher'") == 1
        )


def test_default_privileges_do_not_open_the_store(
    bare_database: Database, make_role: Callable[..., str]
) -> None:
    role, anon = make_role("daemon"), make_role("anon")
    with bare_database.connect() as admin:
        grant(admin, "GRANT CREATE ON DATABASE {} TO {}", bare_database.name, role)
        for kind in ("SCHEMAS", "TABLES", "SEQUENCES"):
            for grantee in ("{1}", "PUBLIC"):
                grant(
                    admin,
                    f"ALTER DEFAULT PRIVILEGES FOR ROLE {{0}} GRANT ALL ON {kind} TO {grantee}",
                    role,
                    anon,
                )
        with bare_database.connect_as(role) as connection:
            migrate(connection)

        acl = value(admin, "SELECT nspacl FROM pg_namespace WHERE nspname = 'refresher'")
        assert acl == [f"{role}=UC/{role}"]
        granted = admin.execute(
            "SELECT DISTINCT a.grantee::regrole::text AS role FROM pg_class AS c,"
            " aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a"
            " WHERE c.relnamespace = 'refresher'::regnamespace"
        ).fetchall()
        assert granted == [{"role": role}]


def test_a_store_that_lost_its_version_says_how_to_go_on(database: Database) -> None:
    """As a restore without data leaves it."""
    with database.connect() as connection:
        connection.execute("TRUNCATE refresher.migration")

        with pytest.raises(StoreError, match="DROP SCHEMA refresher CASCADE"):
            migrate(connection)
