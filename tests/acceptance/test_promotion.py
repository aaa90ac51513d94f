"""A standby becomes the primary while daemons are still connected to the old one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.web import metric
from tests.faults.instruments import cluster, proxy
from tests.faults.instruments.cluster import Pair
from tests.faults.instruments.proxy import Proxy
from tests.project import Project, materialized
from tests.servers import fast_directory
from tests.waiting import wait_until

NUMBERS = materialized("SELECT id FROM generate_series(1, 10) AS id", schedule={"every": "1s"})
STALENESS = 'refresher_view_staleness_seconds{database="crm",view="numbers"}'


@pytest.fixture
def pair() -> Iterator[Pair]:
    with cluster.running() as running:
        yield running


@pytest.fixture
def between(pair: Pair) -> Iterator[Proxy]:
    """An address that leads to the primary, until it leads to the other one."""
    with (
        tempfile.TemporaryDirectory(dir=fast_directory()) as path,
        proxy.running(Path(path), pair.primary.conninfo) as running,
    ):
        yield running


def test_every_part_of_a_daemon_leaves_a_primary_that_takes_no_writes_any_more(
    tmp_path: Path, pair: Pair, between: Proxy
) -> None:
    project = Project(tmp_path, {"DATABASE_URL": between.conninfo(pair.primary.conninfo)})
    project.configure({"numbers": NUMBERS})
    with project.daemon("--apply") as daemon:
        daemon.wait_for_log("run.succeeded", trigger="schedule")
        wait_until(lambda: metric(daemon, STALENESS) is not None, what="the first reading")

        # It breaks no connection, and answers whoever only reads.
        pair.primary.set("default_transaction_read_only", "on")
        daemon.wait_for_log("database.down")
        pair.wait_replayed()
        demoted = pair.promote()
        between.lead_to(pair.primary.conninfo)

        since = daemon.mark()
        daemon.wait_for_log("database.up", since=since)
        daemon.wait_for_log("run.succeeded", view="numbers", since=since)
        wait_until(lambda: _looking(demoted) == [], what="the old primary to be left")
        wait_until(lambda: (metric(daemon, STALENESS) or 60) < 5, what="the truth")
        assert daemon.stop() == 0


def _looking(member: cluster.Member) -> list[str]:
    """What parts of the daemon are connected to a server; a worker leaves it when it next works."""
    with member.connect() as connection:
        rows = connection.execute(
            "SELECT application_name FROM pg_stat_activity"
            " WHERE application_name IN ('refresher loop', 'refresher observer', 'refresher watch')"
        )
        return [row["application_name"] for row in rows]
