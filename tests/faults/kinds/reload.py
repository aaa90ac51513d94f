"""A source is emptied and filled again in one transaction, all the time, while views are refreshed.

A refresh that waits for such a transaction with a snapshot older than it would see an empty table.
The stage's own writer does it; here its commits are counted.
"""

from tests.faults.kind import Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage
from tests.waiting import wait_until

_LONGEST_RELOAD_SECONDS = 30.0
_RELOADS_A_REFRESH = 50
"""Rather more than come between two refreshes of a view that is due every second."""


def inject(stage: Stage[Place], times: int) -> None:
    """Have it done so often, and see that refreshes went on meanwhile."""
    (reloader,) = (writer for writer in stage.writers if writer.table == "reloads")
    commits, refreshes = len(reloader.commits), _refreshes(stage)
    for known in range(commits, commits + times):
        wait_until(
            lambda: reloader.commits[known:],  # noqa: B023 - it is called in this round only
            _LONGEST_RELOAD_SECONDS,
            what="the next reload",
        )
        stage.injected()
    met = _refreshes(stage) - refreshes
    assert met >= times // _RELOADS_A_REFRESH, f"{times} reloads met {met} refreshes only"


def _refreshes(stage: Stage[Place]) -> int:
    with stage.connect() as connection:
        row = connection.execute(
            "SELECT count(*) AS refreshes FROM witness.success WHERE view = 'reloaded'"
        ).fetchone()
    assert row is not None
    return int(row["refreshes"])


KIND = Kind(
    name="reload",
    shows="sources reloaded by TRUNCATE; INSERT",
    ci=200,
    full=2000,
    place=private,
    inject=inject,
)
