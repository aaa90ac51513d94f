"""What was recorded on another server does not count, until the view is refreshed here."""

import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from refresher.config.model import View
from refresher.embedded.account import Account
from refresher.embedded.installation import Installation
from refresher.freshness import Distrust
from refresher.postgres.sessions import Connection, connect
from refresher.refresh.session import Session
from refresher.runs import Outcome, Trigger
from refresher.store.migrate import migrate
from refresher.store.state import read_clock
from tests.faults.instruments import cluster
from tests.faults.instruments.cluster import Member
from tests.servers import endpoint_of

from .conftest import Workshop

CASTAGNOLI = 0x82F63B78
"""The polynomial of CRC-32C, reflected."""


@contextmanager
def workshop_on(member: Member, views: dict[str, View] | None = None) -> Iterator[Workshop]:
    endpoint = endpoint_of(member.conninfo)
    session = Session(endpoint, worker="test/worker")
    with closing(connect(endpoint)) as connection:
        migrate(connection)
        yield Workshop(endpoint, connection, session, dict(views or {}))
    session.discard()


def refresh_two(member: Member) -> dict[str, View]:
    """Make a table, and two views of which the lower one is refreshed before the upper one."""
    with workshop_on(member) as workshop:
        workshop.execute("CREATE TABLE t AS SELECT id FROM generate_series(1, 10) AS id")
        above = workshop.view("above", "SELECT id FROM t")
        below = workshop.view("below", "SELECT id FROM above")
        for view in (above, below):
            assert workshop.refresh(view).succeeded
        assert {row["state"] for row in told(workshop.connection)} == {"fresh"}
        return workshop.views


def told(connection: Connection) -> list[dict[str, Any]]:
    return connection.execute(
        "SELECT view, state, as_of, data_as_of, staleness FROM refresher.freshness ORDER BY view"
    ).fetchall()


def heals(member: Member, views: dict[str, View]) -> None:
    """Nothing recorded elsewhere counts; refreshes top down make it known again."""
    with workshop_on(member, views) as workshop:
        above, below = views["above"], views["below"]
        nothing = {"state": "unknown", "as_of": None, "data_as_of": None, "staleness": None}
        assert told(workshop.connection) == [{"view": name, **nothing} for name in views]
        for view in (above, below):
            state = workshop.state(view)
            assert (state.distrust, state.populated) == (Distrust.LINEAGE, True)
            assert state.rows == 10  # what max_shrink compares with

        early = workshop.refresh(below)
        assert early.succeeded
        assert workshop.state(below).as_of == early.as_of
        assert (workshop.state(below).data_as_of, workshop.state(below).oldest) == (
            None,
            ("below", "above"),
        )
        workshop.refresh(above)
        again = workshop.refresh(below, trigger=Trigger.UPSTREAM)
        assert again.outcome is Outcome.SUCCEEDED
        assert {row["state"] for row in told(workshop.connection)} == {"fresh"}


@pytest.fixture
def pair() -> Iterator[cluster.Pair]:
    with cluster.running() as running:
        yield running


def test_a_promoted_standby(pair: cluster.Pair) -> None:
    views = refresh_two(pair.primary)
    pair.wait_replayed()
    with closing(pair.standby.connect()) as standby:
        assert {row["state"] for row in told(standby)} == {"fresh"}

    pair.promote()

    heals(pair.primary, views)


def test_a_copy_that_became_another_cluster(pair: cluster.Pair) -> None:
    views = refresh_two(pair.primary)
    pair.wait_replayed()
    copy = pair.standby
    pair.primary.stop()
    copy.stop()
    (copy.data_dir / "standby.signal").unlink()
    rename_cluster(copy.data_dir)
    copy.start()

    heals(copy, views)


def test_a_clock_that_was_put_back_keeps_no_refresh_from_happening(workshop: Workshop) -> None:
    view = workshop.view("m", "SELECT id, v FROM t")
    rows = workshop.refresh(view).rows
    workshop.execute(
        "UPDATE refresher.state SET as_of = as_of + interval '1 hour',"
        " data_as_of = data_as_of + interval '1 hour'"
    )
    before = workshop.state(view)
    assert (before.as_of, before.distrust, before.rows) == (None, Distrust.CLOCK, rows)

    run = workshop.refresh(view, trigger=Trigger.SCHEDULE, due_at=read_clock(workshop.connection))

    assert run.succeeded
    assert workshop.state(view).as_of == workshop.state(view).data_as_of == run.as_of


def test_a_platform_that_does_not_tell(workshop: Workshop, make_role: Callable[..., str]) -> None:
    role = make_role("owner")
    lineage = "SELECT refresher.lineage() AS lineage"
    view = workshop.view("m", "SELECT id, v FROM t")
    workshop.refresh(view)
    with workshop.connection.transaction(force_rollback=True):
        for statement in (
            "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
            "GRANT CREATE ON SCHEMA refresher TO {}",
            "ALTER FUNCTION refresher.lineage() OWNER TO {}",
        ):
            workshop.connection.execute(sql.SQL(statement).format(sql.Identifier(role)))
        assert workshop.execute(lineage) == [{"lineage": None}]
        assert workshop.state(view).distrust is Distrust.LINEAGE

        workshop.execute("UPDATE refresher.state SET lineage = NULL")
        assert workshop.state(view).distrust is None
    assert workshop.state(view).distrust is None


def rename_cluster(data_dir: Path) -> None:
    """Give a stopped server another system identifier, and WAL that begins with it.

    pg_control begins with the identifier and has a checksum of all before it (src/include/catalog/
    pg_control.h); pg_resetwal writes new WAL for the identifier it finds there.
    """
    path = data_dir / "global" / "pg_control"
    content = bytearray(path.read_bytes())
    (place,) = [
        offset
        for offset in range(200, 400, 4)
        if struct.unpack_from("=I", content, offset)[0] == checksum(content[:offset])
    ]
    struct.pack_into("=Q", content, 0, struct.unpack_from("=Q", content)[0] + 1)
    struct.pack_into("=I", content, place, checksum(content[:place]))
    path.write_bytes(content)
    account, installation = Account.for_server(), Installation.find()
    done = subprocess.run(
        [installation.program("pg_resetwal"), "--force", "--pgdata", str(data_dir)],
        env=installation.environment,
        user=account.user if account.switched else None,
        group=account.group if account.switched else None,
        extra_groups=[] if account.switched else None,
        cwd=os.sep,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def checksum(content: bytes | bytearray) -> int:
    """CRC-32C."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ CASTAGNOLI * (crc & 1)
    return crc ^ 0xFFFFFFFF
