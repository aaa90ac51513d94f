"""Passwords are rotated under daemons, whose sessions are ended so that they need the new one.

By turns it is in a password file, in a service file, and in the configuration. libpq reads the
first two whenever it connects; for the third a daemon is told to reload.
"""

import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import cycle
from pathlib import Path

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.faults.daemons import Daemon
from tests.faults.instruments.configuration import configured, replace
from tests.faults.kind import Kind
from tests.faults.places import Private, private
from tests.faults.stage import Stage
from tests.waiting import wait_until

_ROLE = "keeper"
_LONGEST_TIME_WITHOUT_SECONDS = 3.0
_BACK_SECONDS = 15.0


@dataclass(slots=True)
class _Keeper:
    """The role whose password changes."""

    stage: Stage[Private]
    passwords: list[str] = field(default_factory=list)

    @property
    def conninfo(self) -> str:
        """How it connects, but for its password."""
        return make_conninfo(self.stage.place.superuser, user=_ROLE)

    def rotate(self) -> str:
        """Give it a new password, and end all sessions that came by the old one."""
        self.passwords.append(secrets.token_hex(16))
        with self.stage.connect() as connection:
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(_ROLE), sql.Literal(self.passwords[-1])
                )
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                [_ROLE],
            )
        return self.passwords[-1]


def inject(stage: Stage[Private], times: int) -> None:
    """Rotate it so often, in one way after the other."""
    with _keeper(stage) as keeper:
        ways = cycle((_password_file, _service_file, _configuration))
        for _ in range(times):
            next(ways)(stage, keeper)


def _password_file(stage: Stage[Private], keeper: _Keeper) -> None:
    path = stage.folder / "passwords"

    def write(password: str) -> None:
        _write_secret(path, f"*:*:*:*:{password}\n")

    conninfo = make_conninfo(keeper.conninfo, passfile=str(path))
    _rotate_extra(stage, keeper, write, {"DATABASE_URL": conninfo})


def _service_file(stage: Stage[Private], keeper: _Keeper) -> None:
    path = stage.folder / "services"

    def write(password: str) -> None:
        told = {**conninfo_to_dict(keeper.conninfo), "password": password}
        _write_secret(path, "[crm]\n" + "".join(f"{key}={told[key]}\n" for key in told))

    environment = {"DATABASE_URL": "service=crm", "PGSERVICEFILE": str(path)}
    _rotate_extra(stage, keeper, write, environment)


def _rotate_extra(
    stage: Stage[Private],
    keeper: _Keeper,
    write: Callable[[str], None],
    environment: dict[str, str],
) -> None:
    write(keeper.rotate())
    with stage.daemons.extra(environment=environment) as daemon:
        daemon.wait_for_log("database.up", deadline=60.0)
        _rotate(stage, keeper, [daemon], write)


def _configuration(stage: Stage[Private], keeper: _Keeper) -> None:
    members = list(stage.daemons.members)
    told = '"${DATABASE_URL}"'
    before = stage.config_path.read_text()

    def with_password(password: str) -> str:
        conninfo = make_conninfo(keeper.conninfo, password=password)
        return before.replace(told, "'" + conninfo.replace("'", "''") + "'")

    def write(password: str) -> None:
        replace(stage.config_path, with_password(password).encode())
        for member in members:
            member.signal(signal.SIGHUP)

    first = keeper.rotate()
    with configured(stage, lambda _: with_password(first)):
        wait_until(lambda: _connected(stage) >= len(members), what="all to connect as the keeper")
        _rotate(stage, keeper, members, write)


def _rotate(
    stage: Stage[Private],
    keeper: _Keeper,
    daemons: list[Daemon],
    write: Callable[[str], None],
) -> None:
    """Rotate under daemons that work, let them be without for a while, and tell them."""
    refusals = [_refusals(daemon) for daemon in daemons]
    password = keeper.rotate()
    stage.injected()
    for daemon, known in zip(daemons, refusals, strict=True):
        wait_until(
            partial(_refused, daemon, known),
            what=f"daemon {daemon.pid} to say that it lacks the password",
        )
    stage.rest(stage.chance.uniform(0, _LONGEST_TIME_WITHOUT_SECONDS))
    write(password)
    began = _now(stage)
    for daemon in daemons:
        (took,) = wait_until(
            partial(_refreshed, stage, daemon, began),
            60.0,
            what=f"daemon {daemon.pid} to refresh something by the new password",
        )
        stage.measured("refreshed by the new one", took, limit=_BACK_SECONDS)
        said = daemon.log()
        told = [number for number, secret in enumerate(keeper.passwords) if secret in said]
        assert not told, f"daemon {daemon.pid} told passwords {told} of {len(keeper.passwords)}"


@contextmanager
def _keeper(stage: Stage[Private]) -> Iterator[_Keeper]:
    """A role that has to give a password, as no other has to."""
    rules = stage.place.server.data_dir / "pg_hba.conf"
    before = rules.read_text()
    with stage.connect() as connection:
        connection.execute(f"CREATE ROLE {_ROLE} SUPERUSER LOGIN".encode())
        rules.write_text(f"local all {_ROLE} scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield _Keeper(stage)
    finally:
        with stage.connect() as connection:
            rules.write_text(before)
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"REASSIGN OWNED BY {_ROLE} TO CURRENT_USER".encode())
            connection.execute(f"DROP ROLE {_ROLE}".encode())


def _write_secret(path: Path, text: str) -> None:
    replace(path, b"")
    path.chmod(0o600)  # libpq heeds no password file that others may read
    path.write_text(text)


def _refused(daemon: Daemon, known: int) -> bool:
    return _refusals(daemon) > known


def _refusals(daemon: Daemon) -> int:
    """How often it said that it was refused for its password."""
    return sum(
        logged["event"] == "database.down" and "password authentication failed" in logged["error"]
        for logged in daemon.events()
    )


def _now(stage: Stage[Private]) -> datetime:
    with stage.connect() as connection:
        row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    now: datetime = row["now"]
    return now


def _connected(stage: Stage[Private]) -> int:
    """How many daemons have a session of the keeper's for their loop."""
    with stage.connect() as connection:
        row = connection.execute(
            "SELECT count(*) AS loops FROM pg_stat_activity"
            " WHERE usename = %s AND application_name = 'refresher loop'",
            [_ROLE],
        ).fetchone()
    assert row is not None
    return int(row["loops"])


def _refreshed(stage: Stage[Private], daemon: Daemon, since: datetime) -> list[float]:
    """After how many seconds this daemon began a refresh that succeeded; empty if it has not."""
    with stage.connect() as connection:
        rows = connection.execute(
            "SELECT extract(epoch FROM started_at - %s)::float8 AS seconds"
            " FROM refresher.run WHERE outcome = 'succeeded' AND started_at >= %s"
            " AND split_part(worker, '/', 2) = %s ORDER BY started_at LIMIT 1",
            [since, since, str(daemon.pid)],
        )
        return [row["seconds"] for row in rows]


KIND = Kind(
    name="password",
    shows="password rotation",
    ci=3,
    full=10,
    place=private,
    inject=inject,
)
