"""A daemon's network goes silent: no FIN, no RST, and nothing comes any more.

PostgreSQL gives its fence back, another replica takes over, and the daemon itself finds out and
comes back once the network is mended.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from psycopg.conninfo import make_conninfo

from refresher.postgres.sessions import Connection
from tests.faults.daemons import Daemon
from tests.faults.instruments import network
from tests.faults.instruments.cluster import Member
from tests.faults.instruments.network import Network, Segment
from tests.faults.kind import Kind, Program, Root
from tests.faults.places import Place
from tests.faults.stage import Stage, Work

_REPLICAS = 3
_LIMIT_SECONDS = 15.0
_PATIENCE_SECONDS = 40.0
_START_SECONDS = 90.0
_LOOK_SECONDS = 0.05
_MOST_STAGGER_SECONDS = 2.0

_FREED = "fence freed"
_TAKEN = "taken over"
_NOTICED = "partition noticed"
_SIGNS = {_FREED, _TAKEN, _NOTICED}
_BACK = "back after mending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart(Place):
    """A server on a network; every replica has a segment of its own."""

    network: Network


@contextlib.contextmanager
def apart(folder: Path) -> Iterator[Apart]:
    """The place."""
    with network.running(_REPLICAS) as made:
        rules = folder / "pg_hba.conf"
        rules.write_text(f"local all all trust\nhost all all {made.range} trust\n")
        rules.chmod(0o644)
        listening = {"listen_addresses": made.address, "hba_file": str(rules)}
        server = Member(folder, "server", listening)
        server.start()
        try:
            yield Apart(
                superuser=server.conninfo,
                daemon=make_conninfo(server.conninfo, host=made.address),
                prefixes=tuple(tuple(segment.prefix) for segment in made.segments),
                network=made,
            )
        finally:
            server.stop()


@dataclass(slots=True)
class _Cut:
    """A daemon that nothing reaches, and when what should follow followed."""

    daemon: Daemon
    segment: Segment
    work: Work
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, what: str, *, happened: bool) -> None:
        """It has been seen now, unless it was before."""
        if happened:
            self.seconds.setdefault(what, time.monotonic() - self.began)


def inject(stage: Stage[Apart], times: int) -> None:
    """Cut off all three, one after the other, while a fourth goes on; then mend them."""
    with stage.daemons.extra() as fourth:
        fourth.wait_for_log("database.up", deadline=_START_SECONDS)
        for begin in range(0, times, _REPLICAS):
            cuts: list[_Cut] = []
            # Each is followed from its cut on: the next one may have to wait for its turn.
            with ThreadPoolExecutor(_REPLICAS) as following:
                followed = []
                for _ in range(min(_REPLICAS, times - begin)):
                    cuts.append(_cut(stage, cuts))
                    followed.append(following.submit(_measure, stage, cuts[-1]))
                    stage.injected()
                    stage.rest(stage.chance.uniform(0, _MOST_STAGGER_SECONDS))
            for measure in followed:
                measure.result()
            _mend(stage, cuts)


def _cut(stage: Stage[Apart], cuts: Sequence[_Cut]) -> _Cut:
    reached = {
        daemon.pid: (daemon, stage.place.network.segments[number % _REPLICAS])
        for number, daemon in enumerate(stage.daemons.members)
        if daemon not in [cut.daemon for cut in cuts]
    }
    work = stage.wait_for_work(by=reached.keys(), deadline=_PATIENCE_SECONDS)
    daemon, segment = reached[work.daemon]
    segment.cut()
    return _Cut(daemon, segment, work)


def _measure(stage: Stage[Apart], cut: _Cut) -> None:
    with stage.connect() as connection:

        def look() -> bool:
            _follow(connection, cut)
            return cut.seconds.keys() >= _SIGNS

        _watch(stage, look)
    for what in sorted(_SIGNS):
        stage.measured(what, cut.seconds.get(what), limit=_LIMIT_SECONDS)


def _follow(connection: Connection, cut: _Cut) -> None:
    row = connection.execute(
        "SELECT NOT EXISTS ("
        "SELECT FROM pg_stat_activity WHERE pid = %(backend)s AND backend_xid IS NOT NULL"
        ") AS freed,"
        " EXISTS (SELECT FROM refresher.fence WHERE view = %(view)s AND run > %(run)s) AS taken",
        {"backend": cut.work.backend, "view": cut.work.view, "run": cut.work.run},
    ).fetchone()
    assert row is not None
    cut.note(_FREED, happened=row["freed"])
    cut.note(_TAKEN, happened=row["taken"])
    cut.note(_NOTICED, happened=_said(cut.daemon, "database.down", cut.at))


def _mend(stage: Stage[Apart], cuts: Sequence[_Cut]) -> None:
    at, began = datetime.now(UTC), time.monotonic()
    for cut in cuts:
        cut.segment.mend()
        cut.began = began

    def back() -> bool:
        for cut in cuts:
            cut.note(_BACK, happened=_said(cut.daemon, "database.up", at))
        return all(_BACK in cut.seconds for cut in cuts)

    _watch(stage, back)
    for cut in cuts:
        stage.measured(_BACK, cut.seconds.get(_BACK), limit=_LIMIT_SECONDS)


def _watch(stage: Stage[Apart], look: Callable[[], bool]) -> None:
    """Look until there is nothing left to see, or nothing more will come."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not look() and time.monotonic() < deadline:
        stage.rest(_LOOK_SECONDS)


def _said(daemon: Daemon, event: str, since: datetime) -> bool:
    return any(
        said["event"] == event and datetime.fromisoformat(said["timestamp"]) >= since
        for said in daemon.events()
    )


KIND = Kind(
    name="partition",
    shows="a daemon's network goes silent, without a FIN",
    ci=3,
    full=30,
    place=apart,
    inject=inject,
    needs=(Root(), Program("ip", package="iproute2")),
)
