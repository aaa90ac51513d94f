"""Daemons of two configurations in one database: what each of them does to what they share."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from refresher.catalog.introspection import read_graph
from refresher.config.digest import digest
from refresher.config.model import Database as DatabaseConfig
from refresher.config.model import Secret, View
from refresher.daemon.chores import Chores
from refresher.events import ConfigCurrent, ConfigOutdated, Event
from refresher.postgres.sessions import Connection
from refresher.store.registry import forget_abandoned, left_to_daemons, register
from tests.conftest import Database
from tests.integration.store.conftest import make_view, values
from tests.integration.store.test_presence import silence

HOUR = timedelta(hours=1)
CRM = DatabaseConfig(alias="crm", conninfo=Secret(""))

OLD = {name: make_view(name, max_staleness=HOUR) for name in ("removed", "changed", "same")}
NEW = {
    "changed": replace(OLD["changed"], max_staleness=2 * HOUR),
    "same": OLD["same"],
    "added": make_view("added", max_staleness=HOUR),
}


@dataclass
class Replica:
    """A daemon's chores on a connection of its own."""

    connection: Connection
    worker: str
    views: Mapping[str, View]
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chores = Chores(CRM, worker=self.worker, emit=self.events.append, in_flight=lambda: ())
        self.begin()

    def begin(self) -> None:
        self.chores.greet(self.connection, self.views)
        self.chores.begin(self.connection, self.views)

    def reload(self, views: Mapping[str, View]) -> None:
        self.views = dict(views)
        self.chores.refresh_graph()
        self.go_round()

    def go_round(self) -> None:
        """What the loop does every two seconds, with what it does every thirty."""
        self.chores.refresh_graph()
        self.chores.do(self.connection, self.views)

    @property
    def left(self) -> set[str]:
        return set(self.chores.left)


@pytest.fixture
def connections(database: Database) -> Iterator[list[Connection]]:
    with database.connect() as one, database.connect() as other, database.connect() as third:
        yield [one, other, third]


def registered(connection: Connection) -> dict[str, dict[str, Any]]:
    rows = connection.execute("SELECT *, xmin::text AS version FROM refresher.view").fetchall()
    return {row["name"]: row for row in rows}


def go_round(*replicas: Replica) -> None:
    for _ in range(3):
        for replica in replicas:
            replica.go_round()


def test_the_newer_configuration_stands_and_is_not_written_over(
    connections: list[Connection],
) -> None:
    old = Replica(connections[0], "old", OLD)
    new = Replica(connections[1], "new", NEW)
    go_round(old, new)
    assert (old.left, new.left) == ({"changed", "same"}, set())
    assert old.events == [ConfigOutdated(database="crm", views=2, newer="new")]
    assert new.events == []

    told = registered(connections[2])
    assert {name: row["max_staleness"] for name, row in told.items()} == {
        "removed": HOUR,
        "changed": 2 * HOUR,
        "same": HOUR,
        "added": HOUR,
    }
    go_round(old, new)
    old.begin()  # it lost its connection
    go_round(new, old)
    assert registered(connections[2]) == told
    assert old.left == {"changed", "same"}


def test_whoever_was_there_before_an_outage_is_given_time_to_come_back(
    connections: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Replica(connections[0], "old", OLD)
    new = Replica(connections[1], "new", NEW)
    go_round(old, new)
    told = registered(connections[2])

    # The database was away for five minutes, and the older one is the first to be back.
    monotonic = time.monotonic
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: monotonic() + 300)
        silence(connections[2], "old", "5 minutes")
        silence(connections[2], "new", "5 minutes")
        old.begin()
        assert old.left == {"changed", "same"}
        new.begin()
        go_round(old)
        assert old.left == {"changed", "same"}
        assert registered(connections[2]) == told

        # Nor does it wait for ever.
        silence(connections[2], "new", "11 seconds")
        patch.setattr(time, "monotonic", lambda: monotonic() + 311)
        old.go_round()
        assert old.left == set()


@pytest.mark.parametrize("ends", ["dies", "leaves", "drains"])
def test_when_the_newer_one_ends_the_older_one_stands_again(
    connections: list[Connection], ends: str
) -> None:
    old = Replica(connections[0], "old", OLD)
    new = Replica(connections[1], "new", NEW)
    go_round(old, new)

    if ends == "dies":
        silence(connections[2], "new")
    elif ends == "leaves":
        new.chores.leave(new.connection)
    else:
        new.chores.retire(new.connection, new.views)
        new.go_round()
    go_round(old)

    assert old.left == set()
    assert old.events[-1] == ConfigCurrent(database="crm")
    told = registered(connections[2])
    assert told["changed"]["max_staleness"] == HOUR
    assert told["added"]["max_staleness"] == HOUR, "nobody else has said anything of it"
    if ends == "drains":
        go_round(new, old)
        assert (old.left, new.left) == (set(), set())
        assert registered(connections[2]) == told
        forget_abandoned(connections[2])
        assert registered(connections[2]).keys() == told.keys(), "it still lives"


def test_a_reload_makes_a_configuration_the_newest(connections: list[Connection]) -> None:
    old = Replica(connections[0], "old", OLD)
    new = Replica(connections[1], "new", NEW)
    go_round(old, new)
    old.reload(NEW)
    go_round(old, new)
    assert (old.left, new.left) == (set(), set())
    assert registered(connections[2])["changed"]["max_staleness"] == 2 * HOUR

    new.reload(OLD)
    assert new.left == set()
    go_round(old)
    assert old.left == {"changed", "same"}


def test_replicas_of_one_configuration_share_everything(connections: list[Connection]) -> None:
    replicas = [Replica(connections[number], f"w/{number}", dict(NEW)) for number in (0, 1)]
    go_round(*replicas)
    assert [replica.left for replica in replicas] == [set(), set()]
    assert [replica.events for replica in replicas] == [[], []]


def test_configurations_with_other_views_each_do_not_meet(connections: list[Connection]) -> None:
    one = Replica(connections[0], "one", {"removed": OLD["removed"]})
    other = Replica(connections[1], "other", {"added": NEW["added"]})
    go_round(one, other)
    assert (one.left, other.left, one.events, other.events) == (set(), set(), [], [])
    assert registered(connections[2]).keys() == {"removed", "added"}


def test_a_view_is_forgotten_when_nobody_has_it(connections: list[Connection]) -> None:
    old, older = (Replica(connections[number], f"w/{number}", OLD) for number in (0, 1))
    new = Replica(connections[2], "new", NEW)
    go_round(old, older, new)
    forget_abandoned(connections[2])
    assert registered(connections[2]).keys() == OLD.keys() | NEW.keys()

    old.chores.leave(old.connection)
    forget_abandoned(connections[2])
    assert "removed" in registered(connections[2]), "another replica has it"

    silence(connections[2], older.worker, "59 minutes")
    go_round(new)
    forget_abandoned(connections[2])
    assert "removed" in registered(connections[2]), "it may come back"

    silence(connections[2], older.worker, "61 minutes")
    forget_abandoned(connections[2])
    assert registered(connections[2]).keys() == NEW.keys()


def test_commands_do_not_overrule_daemons(connections: list[Connection]) -> None:
    new = Replica(connections[0], "new", NEW)
    told = registered(connections[2])
    shell = connections[1]

    def register_as_a_command(views: Mapping[str, View]) -> None:
        left = left_to_daemons(shell, digest(CRM, views), views)
        register(shell, views, read_graph(shell, views), max_parallel=1, left=left)

    register_as_a_command(OLD)
    now = registered(shell)
    assert now.keys() == OLD.keys() | NEW.keys()
    assert {name: now[name] for name in NEW} == told, "nothing of it was written over"
    assert values(shell, "SELECT view FROM refresher.fence ORDER BY 1") == sorted(now)

    new.chores.leave(new.connection)
    register_as_a_command(OLD)
    assert registered(shell)["changed"]["max_staleness"] == HOUR
