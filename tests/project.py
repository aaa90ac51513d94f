"""A user's folder: config.yaml, sql/, and the environment commands are run in."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from refresher.cli.main import _run
from refresher.postgres.sessions import Connection
from tests.acceptance import process
from tests.acceptance.process import Finished, RefresherProcess

_GATE = 4211
"""The advisory lock whose holder keeps gated views waiting."""
GATED = f"""
WITH RECURSIVE gate (nap, open) AS (
    SELECT NULL::text, pg_try_advisory_xact_lock_shared({_GATE})
    UNION ALL
    SELECT pg_sleep(0.02)::text, pg_try_advisory_xact_lock_shared({_GATE})
    FROM gate WHERE NOT open
)
SELECT 1 AS id, bool_or(open) AS open FROM gate
"""
"""A query that ends when the gate is open."""


@dataclass(slots=True)
class Project:
    """A folder with a configuration for one database, `crm`, unless told otherwise."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def configure(self, views: Mapping[str, Mapping[str, Any]], **sections: Any) -> None:
        """Write config.yaml; a view's `query` goes to its file, the rest is as in the config."""
        (self.folder / "sql").mkdir(exist_ok=True)
        for name, view in views.items():
            (self.folder / "sql" / f"{name}.sql").write_text(view["query"])
        config = {
            "databases": {"crm": {"conninfo": "${DATABASE_URL}"}},
            "server": {"listen": "127.0.0.1:0"},
            "views": {
                name: {key: value for key, value in view.items() if key != "query"}
                for name, view in views.items()
            },
            **sections,
        }
        # Replaced as a whole, as editors do: a half-written file is no test of ours.
        draft = self.folder / "config.yaml.new"
        # As it is: YAML does not read the escapes of JSON beyond the first plane of Unicode.
        draft.write_text(json.dumps(config, indent=1, ensure_ascii=False), encoding="utf-8")
        draft.rename(self.folder / "config.yaml")

    def call(self, *arguments: str) -> int:
        """Call a command in this process; returns the exit code."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name in set(os.environ) - set(process.clean_environment()):
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            return _run(arguments)

    def apply(self) -> None:
        """Create what is configured, without the price of a process."""
        assert self.call("apply") == 0

    def run(self, *arguments: str, deadline: float = process.PATIENCE) -> Finished:
        """Run a command to its end."""
        return process.run_refresher(
            *arguments, cwd=self.folder, env=self.environment, deadline=deadline
        )

    def start(self, *arguments: str, **settings: Any) -> RefresherProcess:
        """Start a command; it is a context manager."""
        return RefresherProcess(*arguments, cwd=self.folder, env=self.environment, **settings)

    def daemon(self, *arguments: str) -> AbstractContextManager[RefresherProcess]:
        """Start the daemon, and wait until it is up."""
        return process.daemon(*arguments, cwd=self.folder, env=self.environment)


def materialized(query: str, **settings: Any) -> dict[str, Any]:
    """A materialized view with the key `id`."""
    return {"kind": "materialized_view", "key": ["id"], "query": query, **settings}


def gated(**settings: Any) -> dict[str, Any]:
    """A materialized view whose refresh asks until the gate is open; it waits for no lock."""
    return materialized(GATED, **settings)


@contextlib.contextmanager
def gate_shut(connection: Connection) -> Iterator[None]:
    """Keep every refresh of a gated view waiting, until the block ends."""
    connection.execute("SELECT pg_advisory_lock(%s)", [_GATE])
    try:
        yield
    finally:
        open_gate(connection)


def open_gate(connection: Connection) -> None:
    """Let the refreshes of gated views go on."""
    connection.execute("SELECT pg_advisory_unlock_all()")


def refreshing(connection: Connection) -> list[int]:
    """The server's processes that refresh a view of this database at this moment."""
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()"
        " AND query ILIKE '%REFRESH MATERIALIZED VIEW%'"
    )
    return [row["pid"] for row in rows]


def joining(connection: Connection) -> bool:
    """Whether a command waits for the end of somebody else's refresh: it asks again and again."""
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'refresher %%' AND query LIKE %s",
        ["SELECT EXISTS%AS running"],
    ).fetchone()
    return row is not None and row["count"] > 0
