"""A share of what `make test-pooler` and `make test-least-privilege` run in full."""

import pytest

from tests.conftest import Database
from tests.project import Project, gate_shut, gated, materialized
from tests.roads import Road


@pytest.fixture(
    params=[
        pytest.param(Road.PGBOUNCER, marks=pytest.mark.program("pgbouncer")),
        Road.LEAST_PRIVILEGE,
    ]
)
def road(request: pytest.FixtureRequest) -> Road:
    """Both that are not the usual one."""
    return Road(request.param)


def test_views_are_created_refreshed_and_cancelled_on_every_road(
    project: Project, database: Database
) -> None:
    with database.connect() as keeper:
        keeper.execute("CREATE TABLE numbers AS SELECT generate_series(1, 10) AS id")
        project.configure(
            {
                "copies": materialized("SELECT id FROM numbers", schedule={"every": "1s"}),
                "below": materialized("SELECT id FROM copies", schedule={"after": "upstream"}),
                "slow": gated(schedule="manual"),
            }
        )
        assert project.run("apply").code == 0
        with project.daemon("--drain", "0s") as daemon:
            daemon.wait_for_log("run.succeeded", view="copies", trigger="schedule", rows=10)
            daemon.wait_for_log("run.succeeded", view="below", trigger="upstream", rows=10)
            assert project.run("run-now", "slow", "--strategy", "full").code == 0
            with gate_shut(keeper):
                assert project.run("run-now", "slow", "--no-wait").code == 0
                daemon.wait_for_log("run.started", view="slow", trigger="manual")
                assert daemon.stop() == 0
            assert daemon.log_events("run.cancelled", view="slow")
        assert not daemon.log_events("run.failed")
