import socket
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from refresher import embedded
from refresher.errors import UnreachableError
from refresher.postgres import sessions
from tests.conftest import Database
from tests.servers import endpoint_of, fast_directory
from tests.waiting import wait_until

HOUR = timedelta(hours=1)
GUARDED = "hunter2"


@pytest.fixture
def refused_port() -> Iterator[int]:
    """A port that is taken and that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def set_for_role(connection: sessions.Connection, role: str, setting: str, value: str) -> None:
    connection.execute(
        sql.SQL("ALTER ROLE {} SET {} = {}").format(
            sql.Identifier(role), sql.Identifier(setting), sql.Literal(value)
        )
    )


def one(connection: sessions.Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    (value,) = row.values()
    return value


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_roles_default_isolation_does_not_apply(
    bare_database: Database, make_role: Callable[..., str], level: str
) -> None:
    role = make_role("strict")
    with bare_database.connect() as admin:
        set_for_role(admin, role, "default_transaction_isolation", level)

    with bare_database.connect_as(role) as connection, connection.transaction():
        assert one(connection, "SHOW default_transaction_isolation") == level
        assert one(connection, "SHOW transaction_isolation") == "read committed"


def test_a_role_that_may_only_read_is_told_so(
    bare_database: Database, make_role: Callable[..., str]
) -> None:
    role = make_role("reader")
    with bare_database.connect() as admin:
        set_for_role(admin, role, "default_transaction_read_only", "on")

    with pytest.raises(UnreachableError, match="ALTER ROLE … SET default_transaction_read_only"):
        bare_database.connect_as(role)


def test_nobody_listening_is_one_line_without_the_password(refused_port: int) -> None:
    conninfo = f"host=127.0.0.1 port={refused_port} user=u password={GUARDED} dbname=d"

    with pytest.raises(UnreachableError) as caught:
        sessions.connect(endpoint_of(conninfo))

    told = str(caught.value)
    assert told.startswith("can't connect to database 'crm': ")
    assert "refused" in told
    assert "\n" not in told
    assert GUARDED not in told


def test_a_refused_login_is_told(bare_database: Database) -> None:
    conninfo = make_conninfo(bare_database.conninfo, user="nobody_here", password=GUARDED)

    with pytest.raises(UnreachableError, match='"nobody_here"') as caught:
        sessions.connect(endpoint_of(conninfo))

    assert GUARDED not in str(caught.value)


def test_an_endpoint_shows_no_secret(bare_database: Database) -> None:
    endpoint = endpoint_of(make_conninfo(bare_database.conninfo, password=GUARDED))

    assert GUARDED not in repr(endpoint)


def test_this_server_notices_a_vanished_client(bare_database: Database) -> None:
    with bare_database.connect() as connection:
        assert sessions.detects_disconnects(connection)
        assert one(connection, "SHOW client_connection_check_interval") == "0"


def test_local_settings_end_with_their_transaction_and_take_no_snapshot(
    bare_database: Database,
) -> None:
    settings = sessions.local_settings(
        {"work_mem": "1MB", "my.own": "it's"}, statement=HOUR, lock=HOUR, checks_client=True
    )
    with bare_database.connect() as connection:
        connection.execute(sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ; {}").format(settings))
        # Refused once a snapshot has been taken.
        connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        inside = [one(connection, f"SHOW {name}") for name in ("work_mem", "my.own")]
        timeout = one(connection, "SHOW statement_timeout")
        connection.execute("ROLLBACK")

        assert inside == ["1MB", "it's"]
        assert timeout == "1h"
        assert one(connection, "SHOW work_mem") != "1MB"
        assert one(connection, "SHOW statement_timeout") == "0"


def test_a_client_that_is_stopped_keeps_no_locks_of_a_short_transaction(
    bare_database: Database,
) -> None:
    with bare_database.connect() as connection:
        with sessions.short_transaction(connection):
            assert one(connection, "SHOW idle_in_transaction_session_timeout") == "10s"
        assert one(connection, "SHOW idle_in_transaction_session_timeout") == "0"


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(seconds=5), "5000ms"),
        (timedelta(milliseconds=300), "300ms"),
        (timedelta(microseconds=1), "1ms"),
        (timedelta(), "1ms"),
    ],
)
def test_a_timeout_is_never_none(duration: timedelta, text: str) -> None:
    assert sessions.milliseconds(duration) == text


def test_a_refusal_within_the_connection_closes_it(
    bare_database: Database, make_role: Callable[..., str]
) -> None:
    role = make_role("reader")
    with bare_database.connect() as admin:
        set_for_role(admin, role, "default_transaction_read_only", "on")
        with pytest.raises(UnreachableError):
            bare_database.connect_as(role)

        left = sql.SQL("SELECT count(*) FROM pg_stat_activity WHERE usename = {}").format(
            sql.Literal(role)
        )
        with bare_database.connect() as watcher:
            wait_until(lambda: one(watcher, left.as_string()) == 0)


@pytest.mark.parametrize("style", ["German", "SQL, DMY", "Postgres, MDY"])
def test_times_are_read_whatever_style_a_role_likes(
    bare_database: Database, make_role: Callable[..., str], style: str
) -> None:
    role = make_role("stylish")
    with bare_database.connect() as admin:
        set_for_role(admin, role, "datestyle", style)

    with bare_database.connect_as(role) as connection:
        moment = one(connection, "SELECT timestamptz '2026-02-01 03:04:05.678+00'")

    assert moment == datetime(2026, 2, 1, 3, 4, 5, 678_000, tzinfo=UTC)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "UTF8"])
def test_text_is_text_whatever_a_database_is_encoded_in(
    server: str, maintenance: sessions.Connection, worker_id: str, encoding: str
) -> None:
    name = f"encoded_{worker_id}_{encoding.lower()}"
    maintenance.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
    )
    try:
        with sessions.connect(endpoint_of(make_conninfo(server, dbname=name))) as connection:
            assert one(connection, "SELECT 'Größe'") == "Größe"
    finally:
        maintenance.execute(f"DROP DATABASE {name}")


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory a server's own account can enter; root's temporary ones are closed to it."""
    with tempfile.TemporaryDirectory(prefix="refresher-test-", dir=fast_directory()) as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def test_a_server_on_a_network_looks_whether_the_client_is_still_there(
    open_dir: Path, free_port: int
) -> None:
    rules = open_dir / "pg_hba.conf"
    rules.write_text("host all all 127.0.0.1/32 trust\nlocal all all trust\n")
    listening = {"listen_addresses": "127.0.0.1", "port": str(free_port)}
    with embedded.start(settings={**listening, "hba_file": str(rules)}) as server:
        over_tcp = make_conninfo(server.conninfo, host="127.0.0.1")
        with sessions.connect(endpoint_of(over_tcp)) as connection:
            looks = [
                one(connection, f"SHOW tcp_keepalives_{what}")
                for what in ("idle", "interval", "count")
            ]

    assert looks == ["30", "10", "3"]
