"""Views that are vacuumed and analysed after their refreshes, by a daemon's thread for that."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from psycopg import sql

from refresher.config.model import View
from refresher.daemon.vacuuming import Vacuumer
from refresher.events import Event, ViewDegraded, ViewVacuumed
from refresher.postgres.sessions import Connection, Endpoint
from tests.conftest import Database
from tests.servers import endpoint_of
from tests.unit import builders
from tests.waiting import wait_until


@dataclass
class Site:
    """A database with materialized views of one changing table, and vacuumers."""

    database: Database
    connection: Connection
    stack: ExitStack
    views: dict[str, View] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    needed: set[str] = field(default_factory=set)

    def execute(self, statement: str) -> list[dict[str, Any]]:
        cursor = self.connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def view(self, name: str = "v", *, rows: int = 1000, **fields: Any) -> View:
        """Create, fill and analyse one."""
        self.execute(
            f"CREATE TABLE {name}_source AS SELECT id, 0 AS n FROM generate_series(1, {rows}) AS id"
        )
        self.execute(f"CREATE MATERIALIZED VIEW {name} AS SELECT * FROM {name}_source")
        self.execute(f"CREATE UNIQUE INDEX ON {name} (id)")
        self.execute(f"ANALYZE {name}")
        self.views[name] = builders.view(name, **fields)
        return self.views[name]

    def churn(self, name: str = "v") -> None:
        """Change every row, and refresh with PostgreSQL's own means."""
        self.execute(f"UPDATE {name}_source SET n = n + 1")
        self.execute(f"REFRESH MATERIALIZED VIEW CONCURRENTLY {name}")
        wait_until(lambda: self.dead_rows(name) > 0, what="PostgreSQL to count")

    def dead_rows(self, name: str = "v") -> int:
        (row,) = self.execute(f"SELECT pg_stat_get_dead_tuples('{name}'::regclass) AS dead")
        return int(row["dead"])

    def live_rows(self, name: str) -> int:
        (row,) = self.execute(f"SELECT pg_stat_get_live_tuples('{name}'::regclass) AS live")
        return int(row["live"])

    def vacuumer(self, endpoint: Endpoint | None = None) -> Vacuumer:
        """One at work."""
        vacuumer = Vacuumer(
            "crm",
            endpoint or self.database.endpoint,
            self.views,
            needed=lambda name: name in self.needed,
            emit=self.events.append,
        )
        vacuumer.start()
        self.stack.callback(vacuumer.stop)
        return vacuumer

    def guest(self, role: str) -> Endpoint:
        """How a role connects that may read the store, and do nothing with views."""
        self.execute(f"GRANT USAGE ON SCHEMA refresher TO {role}")
        self.execute(f"GRANT SELECT ON refresher.state TO {role}")
        return endpoint_of(self.database.conninfo_as(role))

    def vacuumed(self, name: str = "v") -> list[ViewVacuumed]:
        return [
            each for each in self.events if isinstance(each, ViewVacuumed) and each.view == name
        ]

    def wait_vacuumed(self, name: str = "v") -> ViewVacuumed:
        return wait_until(lambda: self.vacuumed(name), 20, what=f"{name} to be vacuumed")[-1]


@pytest.fixture
def site(database: Database) -> Iterator[Site]:
    with database.connect() as connection, ExitStack() as stack:
        yield Site(database, connection, stack)


def test_the_dead_rows_of_churn_are_removed(site: Site) -> None:
    site.view()
    site.churn()
    assert site.dead_rows() >= 1000

    site.vacuumer().refreshed("v")

    done = site.wait_vacuumed()
    assert (done.command, done.dead_rows) == ("VACUUM", 0)
    assert done.reason.startswith("1,000 of ")
    assert site.dead_rows() == 0


def test_space_is_not_given_back_for_that_would_cancel_readers_on_standbys(site: Site) -> None:
    site.view(rows=20_000)
    site.execute("DELETE FROM v_source WHERE id > 100")
    (before,) = site.execute("SELECT pg_relation_size('v') AS bytes")
    site.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY v")
    wait_until(lambda: site.dead_rows() > 19_000, what="PostgreSQL to count")

    site.vacuumer().refreshed("v")

    assert site.wait_vacuumed().dead_rows == 0
    (after,) = site.execute("SELECT pg_relation_size('v') AS bytes")
    assert after == before


def test_a_new_view_is_analysed_at_the_start(site: Site) -> None:
    site.view("rested")
    site.view("new")
    site.execute("DROP MATERIALIZED VIEW new")
    site.execute("CREATE MATERIALIZED VIEW new AS SELECT * FROM new_source")
    wait_until(lambda: site.live_rows("new") == 1000, 20, what="PostgreSQL to count")

    site.vacuumer().look()

    done = site.wait_vacuumed("new")
    assert (done.command, done.reason) == ("ANALYZE", "it was never analysed")
    (row,) = site.execute("SELECT reltuples FROM pg_class WHERE relname = 'new'")
    assert row["reltuples"] == 1000
    assert site.vacuumed("rested") == []


def test_what_somebody_still_sees_is_left_and_not_tried_for_again(site: Site) -> None:
    site.view()
    vacuumer = site.vacuumer()
    with site.database.connect() as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM v")
        site.churn()
        vacuumer.refreshed("v")
        done = site.wait_vacuumed()
    assert done.dead_rows == 1000
    site.view("next")
    site.churn("next")
    vacuumer.replace_views(site.views)
    site.wait_vacuumed("next")
    assert site.vacuumed() == [done]


def test_who_wants_none_or_is_needed_is_left_alone(site: Site) -> None:
    site.view("never", vacuum=False)
    site.view("due")
    site.view("idle")
    for name in site.views:
        site.churn(name)
    site.needed.add("due")
    vacuumer = site.vacuumer()
    for name in site.views:
        vacuumer.refreshed(name)
    site.wait_vacuumed("idle")
    assert [each.view for each in site.events if isinstance(each, ViewVacuumed)] == ["idle"]
    site.needed.clear()
    vacuumer.refreshed("due")
    site.wait_vacuumed("due")


def _slow(site: Site) -> None:
    """Have VACUUM take seconds, at its configured delay."""
    site.execute(f"ALTER DATABASE {site.database.name} SET vacuum_cost_limit = 1")
    site.execute(f"ALTER DATABASE {site.database.name} SET vacuum_cost_page_hit = 100")


def _vacuums(site: Site) -> bool:
    return bool(
        site.execute(
            "SELECT relid FROM pg_stat_progress_vacuum"
            " WHERE datname = current_database() AND relid = 'v'::regclass"
        )
    )


def test_it_gives_way_to_a_refresh(site: Site) -> None:
    site.view(rows=200_000)
    site.churn()
    _slow(site)
    site.vacuumer().refreshed("v")
    wait_until(lambda: _vacuums(site), what="VACUUM to begin")
    with site.connection.transaction():
        site.execute("SET LOCAL lock_timeout = '300ms'")
        site.execute("REFRESH MATERIALIZED VIEW v")
    assert not _vacuums(site)
    assert site.events == []


def test_it_gives_way_to_what_becomes_due_here(site: Site) -> None:
    site.view(rows=200_000)
    site.churn()
    _slow(site)
    site.vacuumer().refreshed("v")
    wait_until(lambda: _vacuums(site), what="VACUUM to begin")
    site.needed.add("v")
    wait_until(lambda: not _vacuums(site), what="VACUUM to be cancelled")
    assert site.events == []


def test_it_ends_with_the_daemon(site: Site) -> None:
    site.view(rows=200_000)
    site.churn()
    _slow(site)
    vacuumer = site.vacuumer()
    vacuumer.refreshed("v")
    wait_until(lambda: _vacuums(site), what="VACUUM to begin")
    vacuumer.stop()
    assert not _vacuums(site)
    assert not [thread for thread in threading.enumerate() if thread.name == "crm vacuum"]


def test_what_is_locked_is_left_to_a_later_refresh(site: Site) -> None:
    site.view("v")
    site.view("z")
    site.churn("v")
    site.churn("z")
    vacuumer = site.vacuumer()
    with site.database.connect() as other, other.transaction():
        other.execute("LOCK TABLE v_source")
        other.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY v")
        vacuumer.refreshed("v")
        vacuumer.refreshed("z")
        site.wait_vacuumed("z")
        assert site.vacuumed("v") == []
    vacuumer.refreshed("v")
    site.wait_vacuumed("v")


def test_who_may_not_is_told_once(site: Site, make_role: Callable[..., str]) -> None:
    role = make_role("guest")
    site.view("v")
    site.churn("v")
    vacuumer = site.vacuumer(site.guest(role))
    vacuumer.refreshed("v")

    def told() -> list[ViewDegraded]:
        return [each for each in site.events if isinstance(each, ViewDegraded)]

    (degraded,) = wait_until(told, what="the problem")
    assert "it can't be vacuumed: it belongs to" in degraded.problem
    vacuumer.refreshed("v")
    site.view("own")
    site.execute(f"ALTER MATERIALIZED VIEW own OWNER TO {role}")
    site.execute(f"GRANT SELECT ON own_source TO {role}")
    site.churn("own")
    vacuumer.replace_views(site.views)
    site.wait_vacuumed("own")
    assert told() == [degraded]


@pytest.mark.pg(">= 17")
def test_maintain_is_enough(site: Site, make_role: Callable[..., str]) -> None:
    role = make_role("guest")
    site.view()
    site.churn()
    site.connection.execute(sql.SQL("GRANT MAINTAIN ON v TO {}").format(sql.Identifier(role)))
    site.vacuumer(site.guest(role)).refreshed("v")
    assert site.wait_vacuumed().dead_rows == 0


def test_a_lost_connection_is_made_again(site: Site) -> None:
    site.view()
    site.churn()
    vacuumer = site.vacuumer()
    vacuumer.refreshed("v")
    site.wait_vacuumed()
    site.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'refresher vacuum'"
    )
    site.view("z")
    site.churn("z")
    vacuumer.replace_views(site.views)
    site.wait_vacuumed("z")
