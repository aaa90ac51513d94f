from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from refresher.config.model import Secret
from refresher.demo.place import Place, RefusedError, ignored_environment, own_place
from refresher.errors import RefresherError, UnreachableError

TAKEN = """
    SELECT datname FROM pg_database WHERE datname = 'refresher_demo'
    UNION ALL SELECT rolname FROM pg_roles WHERE rolname IN ('authenticator', 'service_role')
"""


def fetch(conninfo: Secret, query: str) -> list[Any]:
    with psycopg.connect(conninfo.reveal(), autocommit=True) as connection:
        return [row[0] for row in connection.execute(query)]


def run(conninfo: Secret, *statements: str) -> None:
    with psycopg.connect(conninfo.reveal(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_roles_have_the_incidents_limits(place: Place) -> None:
    limits = {role: fetch(login, "SHOW statement_timeout") for role, login in place.readers.items()}
    assert limits == {"authenticator": ["8s"], "service_role": ["0"]}


def test_nothing_is_left_behind(demo_server: Secret) -> None:
    with own_place(demo_server, keep=False):
        assert len(fetch(demo_server, TAKEN)) == 3
    assert fetch(demo_server, TAKEN) == []


def test_nothing_is_left_behind_when_the_demo_fails(demo_server: Secret) -> None:
    with pytest.raises(KeyboardInterrupt), own_place(demo_server, keep=False):
        raise KeyboardInterrupt
    assert fetch(demo_server, TAKEN) == []


def test_what_a_killed_demo_left_is_replaced(demo_server: Secret) -> None:
    with own_place(demo_server, keep=True) as left:
        run(left.owner, "CREATE TABLE leftover ()")
    with own_place(demo_server, keep=False) as place:
        assert fetch(place.owner, "SELECT to_regclass('leftover')") == [None]


def test_a_running_demo_is_left_alone(demo_server: Secret, place: Place) -> None:
    with pytest.raises(RefusedError, match="another demo runs"), own_place(demo_server, keep=False):
        pass
    assert fetch(place.owner, "SELECT 1") == [1]


def test_of_two_demos_that_begin_at_once_one_is_refused(demo_server: Secret) -> None:
    """The other has taken the lock, and made nothing yet that could be seen."""
    with psycopg.connect(demo_server.reveal(), dbname="postgres") as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('refresher demo', 0))")
        with pytest.raises(RefusedError, match="another demo runs") as refused:
            own_place(demo_server, keep=False).__enter__()
    assert refused.value.exit_code == 2
    assert fetch(demo_server, TAKEN) == []


def test_demos_meet_whatever_database_their_urls_name(demo_server: Secret, place: Place) -> None:
    elsewhere = Secret(make_conninfo(demo_server.reveal(), dbname="template1"))
    with pytest.raises(RefusedError, match="another demo runs"):
        own_place(elsewhere, keep=False).__enter__()
    assert fetch(place.owner, "SELECT 1") == [1]


def test_a_server_without_the_common_database_will_do(demo_server: Secret) -> None:
    run(demo_server, "CREATE DATABASE sole")
    only = Secret(make_conninfo(demo_server.reveal(), dbname="sole"))
    run(only, "ALTER DATABASE postgres RENAME TO renamed")
    try:
        with own_place(only, keep=False) as place:
            assert fetch(place.owner, "SELECT 1") == [1]
            with pytest.raises(RefusedError, match="another demo runs"):
                own_place(only, keep=False).__enter__()
    finally:
        run(only, "ALTER DATABASE renamed RENAME TO postgres")
        run(demo_server, "DROP DATABASE sole WITH (FORCE)")


def test_demos_can_follow_at_once(demo_server: Secret) -> None:
    for _ in range(5):
        with own_place(demo_server, keep=False):
            pass


def test_a_lock_that_the_server_took_away_is_not_missed(demo_server: Secret) -> None:
    with own_place(demo_server, keep=False):
        run(
            demo_server,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
    assert fetch(demo_server, TAKEN) == []


def test_what_can_not_be_removed_is_named(demo_server: Secret) -> None:
    def keep_something() -> None:
        with own_place(demo_server, keep=False):
            run(demo_server, "CREATE DATABASE keeper OWNER authenticator")

    with pytest.raises(RefresherError, match="can't remove its database refresher_demo") as left:
        keep_something()
    run(demo_server, "DROP DATABASE keeper", "DROP ROLE authenticator, service_role")
    assert left.value.exit_code == 1


@pytest.mark.parametrize(
    ("make", "unmake"),
    [
        ("CREATE ROLE authenticator", "DROP ROLE authenticator"),
        ("CREATE DATABASE refresher_demo", "DROP DATABASE refresher_demo"),
    ],
)
def test_what_is_not_its_own_is_not_touched(demo_server: Secret, make: str, unmake: str) -> None:
    run(demo_server, make)
    try:
        with pytest.raises(RefusedError, match="did not make") as refused:
            own_place(demo_server, keep=False).__enter__()
        assert refused.value.exit_code == 2
        assert fetch(demo_server, TAKEN) == [make.rsplit(maxsplit=1)[-1]]
    finally:
        run(demo_server, unmake)


def test_an_ordinary_user_is_refused(demo_server: Secret) -> None:
    run(demo_server, "CREATE ROLE ordinary LOGIN")
    ordinary = Secret(make_conninfo(demo_server.reveal(), user="ordinary"))
    try:
        with pytest.raises(RefusedError, match="CREATEDB and CREATEROLE"):
            own_place(ordinary, keep=False).__enter__()
        assert fetch(demo_server, TAKEN) == []
    finally:
        run(demo_server, "DROP ROLE ordinary")


def test_a_user_who_may_create_databases_and_roles_is_enough(demo_server: Secret) -> None:
    run(demo_server, "CREATE ROLE maker LOGIN CREATEDB CREATEROLE")
    maker = Secret(make_conninfo(demo_server.reveal(), user="maker"))
    try:
        with own_place(maker, keep=False) as place:
            assert fetch(place.readers["authenticator"], "SELECT 1") == [1]
        assert fetch(demo_server, TAKEN) == []
    finally:
        run(demo_server, "DROP ROLE maker")


def test_a_url_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(RefusedError) as refused:
        own_place(Secret("postgresql://crm:hunter2@[broken"), keep=False).__enter__()
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_server_that_does_not_answer_is_unreachable() -> None:
    with pytest.raises(UnreachableError) as unreachable:
        own_place(Secret("host=/nowhere password=hunter2"), keep=False).__enter__()
    assert "hunter2" not in str(unreachable.value)


def test_the_environment_chooses_nothing(
    demo_server: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "/nowhere")
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=1")
    with ignored_environment():
        assert fetch(demo_server, "SHOW statement_timeout") == ["0"]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect("dbname=postgres")
