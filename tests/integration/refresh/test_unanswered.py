"""A COMMIT that is not answered has happened or not, and the record says which."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from refresher.config.model import View
from refresher.errors import FailureReason
from refresher.postgres.sessions import connect
from refresher.refresh import attempt
from refresher.refresh.session import Session
from refresher.refresh.task import Unrecorded
from refresher.runs import Outcome, Run
from refresher.store.migrate import migrate
from refresher.store.presence import close_lost_runs
from tests.conftest import Database
from tests.faults.instruments import cluster, proxy
from tests.faults.instruments.proxy import Proxy, Swallowed
from tests.project import GATED, gate_shut, refreshing
from tests.servers import endpoint_of, fast_directory
from tests.waiting import wait_until

from .conftest import Background, Workshop


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """Where a socket's path has room."""
    with tempfile.TemporaryDirectory(dir=fast_directory()) as path:
        yield Path(path)


@pytest.fixture
def between(database: Database, short_dir: Path, workshop: Workshop) -> Iterator[Proxy]:
    """A proxy that the worker goes through, and nobody else."""
    with proxy.running(short_dir, database.conninfo) as running:
        workshop.session = Session(
            endpoint_of(running.conninfo(database.conninfo)), worker="test/worker"
        )
        yield running
        workshop.session.discard()


def test_what_committed_is_a_success_though_nobody_said_so(
    workshop: Workshop, between: Proxy
) -> None:
    view = workshop.view("m", "SELECT id, v FROM t")
    between.swallow(1)

    run = workshop.refresh(view)

    assert between.swallowed == [Swallowed("COMMIT")]
    assert run.outcome is Outcome.SUCCEEDED
    assert workshop.history(view) == (run,)
    assert workshop.state(view).as_of == run.as_of
    assert workshop.rows("m") == workshop.rows("t")


def test_what_did_not_commit_is_a_failure(workshop: Workshop, between: Proxy) -> None:
    workshop.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END$$"
    )
    workshop.execute(
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON refresher.state"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    view = workshop.view("m", "SELECT id, v FROM t")

    run = workshop.refresh(view)

    assert (run.outcome, run.failure) == (Outcome.FAILED, FailureReason.CONNECTION)
    assert workshop.history(view) == (run,)
    assert workshop.state(view).as_of is None
    assert between.swallowed == []


@dataclass
class Stuck:
    """A refresh whose COMMIT waits for a standby that hears nothing."""

    workshop: Workshop
    view: View
    between: Proxy
    refresh: Background
    standby: cluster.Deaf

    def run(self) -> Run:
        (run,) = self.workshop.history(self.view)
        return run


@pytest.fixture
def stuck(short_dir: Path) -> Iterator[Stuck]:
    with (
        cluster.running() as pair,
        proxy.running(short_dir, pair.first.conninfo) as between,
        closing(connect(endpoint_of(pair.first.conninfo))) as connection,
        closing(connect(endpoint_of(pair.first.conninfo))) as keeper,
    ):
        migrate(connection)
        session = Session(endpoint_of(between.conninfo(pair.first.conninfo)), worker="test/worker")
        workshop = Workshop(endpoint_of(pair.first.conninfo), connection, session)
        view = workshop.view("m", GATED)
        with gate_shut(keeper):
            refresh = Background(workshop.attempt(view))
            wait_until(lambda: refreshing(connection), what="the refresh")
            pair.first.set("synchronous_standby_names", "*")
            standby = cluster.Deaf(pair.second)
        try:
            wait_until(lambda: cluster.committing(connection), what="the commit to be stuck")
            yield Stuck(workshop, view, between, refresh, standby)
        finally:
            standby.hear()
            refresh.thread.join()
            session.discard()


class TestACommitThatWaitsForAStandby:
    """It holds its fence, and nobody knows how it will end."""

    def test_is_read_once_it_is_let_go(self, stuck: Stuck) -> None:
        stuck.between.cut()
        wait_until(lambda: _waits_for_the_fence(stuck), what="the verdict to be waited for")
        assert stuck.run().outcome is None

        stuck.standby.hear()

        assert stuck.refresh.run().outcome is Outcome.SUCCEEDED
        assert stuck.run().outcome is Outcome.SUCCEEDED

    def test_is_left_to_others_after_a_while(
        self, stuck: Stuck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attempt, "_RECORDING_SECONDS", 1.0)
        stuck.between.cut()

        assert isinstance(stuck.refresh.result(), Unrecorded)

        undecided = close_lost_runs(stuck.workshop.connection, worker="test/other", in_flight=())
        assert (undecided, stuck.run().outcome) == ((), None)
        stuck.standby.hear()
        wait_until(lambda: stuck.run().outcome is Outcome.SUCCEEDED, what="the commit")

    def test_is_not_waited_for_by_who_has_to_leave(self, stuck: Stuck) -> None:
        stuck.between.cut()
        wait_until(lambda: _waits_for_the_fence(stuck), what="the verdict to be waited for")

        stuck.refresh.attempt.cancel()

        assert isinstance(stuck.refresh.result(), Unrecorded)
        assert stuck.run().outcome is None

    def test_can_t_be_undone_by_a_cancellation(self, stuck: Stuck) -> None:
        # PostgreSQL gives up waiting: what it committed stays committed.
        stuck.refresh.attempt.cancel()

        assert stuck.refresh.run().outcome is Outcome.SUCCEEDED
        assert stuck.run().outcome is Outcome.SUCCEEDED


def _waits_for_the_fence(stuck: Stuck) -> bool:
    rows = stuck.workshop.execute(
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND query LIKE '%refresher.fence%'"
    )
    return bool(rows)
