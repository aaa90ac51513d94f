"""Readers that stay in their transaction, against plain refreshes, which wait for all of them.

While a plain refresh waits, every new reader waits behind it. So it gives way after 300 ms, long
before PostgreSQL would look for a deadlock and perhaps end a reader, and tries again later.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from psycopg import sql

from refresher.postgres.sessions import Connection
from tests.faults.instruments.configuration import configured
from tests.faults.kind import Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage
from tests.waiting import wait_until

_VIEWS = ("plain", "ordered", "reloaded", "through")
_MOST_WAIT_SECONDS = 1.0
"""300 ms, and what a busy machine makes of it."""
_CAUGHT_UP_SECONDS = 15.0


def inject(stage: Stage[Place], times: int) -> None:
    """Read several views at once, each until a refresh of it has given way."""
    with configured(stage, _refresh_plainly):
        stage.wait_refreshed(_VIEWS)
        for first in range(0, times, len(_VIEWS)):
            views = _VIEWS[: times - first]
            with ThreadPoolExecutor(len(views)) as readers:
                list(readers.map(partial(_read, stage), views))


def _refresh_plainly(config: str) -> str:
    # Not `slow`: it would keep its readers, who look at all views at once, for three seconds.
    for view in _VIEWS:
        config = config.replace(f"  {view}: {{", f"  {view}: {{strategy: full, ")
    return config


def _read(stage: Stage[Place], view: str) -> None:
    waits: list[float] = []
    with stage.connect() as reader, stage.connect() as others:
        newest = _newest_run(others)

        def gave_way() -> bool:
            began = time.monotonic()
            _contents(others, view)
            waits.append(time.monotonic() - began)
            return _gave_way(others, view, newest)

        with reader.transaction():
            seen = _contents(reader, view)
            wait_until(gave_way, 30.0, what=f"a refresh of {view} to give way to a reader")
            stage.injected()
            assert _contents(reader, view) == seen, f"{view} was exchanged under its reader"
    stage.measured("other readers waited", max(waits), limit=_MOST_WAIT_SECONDS)
    stage.measured("caught up", stage.wait_refreshed([view]), limit=_CAUGHT_UP_SECONDS)


def _contents(connection: Connection, view: str) -> list[int]:
    rows = connection.execute(
        sql.SQL("SELECT DISTINCT made_by FROM {}").format(sql.Identifier(view))
    )
    return [row["made_by"] for row in rows]


def _newest_run(connection: Connection) -> int:
    row = connection.execute("SELECT max(id) AS id FROM refresher.run").fetchone()
    assert row is not None
    return int(row["id"])


def _gave_way(connection: Connection, view: str, after: int) -> bool:
    row = connection.execute(
        "SELECT FROM refresher.run WHERE id > %s AND view = %s AND failure = 'lock_timeout'",
        [after, view],
    ).fetchone()
    return row is not None


KIND = Kind(
    name="long-reader",
    shows="a long reader against a plain refresh",
    ci=20,
    full=50,
    place=private,
    inject=inject,
)
