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
from tests.acceptance import process
from tests.acceptance.process import Finished, RefresherProcess

GATE = 4211
"""The advisory lock that `gated` definitions wait for."""


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
        draft.write_text(json.dumps(config, indent=1))
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
    """A materialized view whose refresh waits until nobody holds the gate shut."""
    query = f"SELECT 1 AS id, pg_advisory_xact_lock_shared({GATE})::text AS gate"
    return materialized(query, timeouts={"lock": "60s"}, **settings)


@contextlib.contextmanager
def gate_shut(connection: Any) -> Iterator[None]:
    """Keep every refresh of a gated view waiting, until the block ends."""
    connection.execute("SELECT pg_advisory_lock(%s)", [GATE])
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [GATE])
