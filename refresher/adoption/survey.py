"""Looking at a database: what can be imported from it, and who refreshes that until now."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from refresher.adoption.choice import choose
from refresher.adoption.jobs import read_jobs
from refresher.adoption.model import Adoptable, Jobs
from refresher.adoption.standing import read_adoptable, read_candidates, read_role
from refresher.config.model import Kind
from refresher.errors import CatalogError
from refresher.names import RelationName
from refresher.postgres.sessions import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found."""

    views: Sequence[Adoptable]
    managed: Sequence[RelationName]
    """What was chosen but is managed already."""
    unmanaged: frozenset[RelationName]
    """Materialized views that are neither managed nor chosen."""
    jobs: Jobs
    role: str
    """Who looked."""
    problems: tuple[str, ...] = ()
    """What could not be found out."""


def survey(
    connection: Connection,
    connect_to: Callable[[str], AbstractContextManager[Connection]],
    *,
    wanted: Sequence[str],
    plain_views: bool,
    managed: Collection[RelationName],
) -> Survey:
    """Look at a database; nothing in it is changed or locked.

    Args:
        connection: the database.
        connect_to: opens another database of the same server, in which pg_cron may be.
        wanted: names and patterns of views; all materialized ones if there are none.
        plain_views: whether patterns mean plain views, too.
        managed: what the configuration has already.

    Raises:
        CatalogError: something wanted does not stand.
    """
    candidates = read_candidates(connection)
    chosen = choose(candidates, wanted, plain_views=plain_views)
    jobs, problems = Jobs(), list[str]()
    try:
        jobs = read_jobs(connection, connect_to)
    except CatalogError as error:
        problems.append(f"schedules were not taken over: {error}")
    return Survey(
        views=read_adoptable(connection, [name for name in chosen if name not in managed]),
        managed=[name for name in chosen if name in managed],
        unmanaged=frozenset(
            name
            for name, kind in candidates.items()
            if kind is Kind.MATERIALIZED_VIEW and name not in managed and name not in chosen
        ),
        jobs=jobs,
        role=read_role(connection),
        problems=tuple(problems),
    )
