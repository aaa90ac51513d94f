"""From configured databases to reachable ones: an `embedded` one is started on the way."""

import contextlib
from collections.abc import Iterable, Iterator

from refresher.config.model import EMBEDDED, Config, Database
from refresher.postgres.sessions import Endpoint


@contextlib.contextmanager
def endpoints(
    config: Config, aliases: Iterable[str] | None = None
) -> Iterator[dict[str, Endpoint]]:
    """The endpoints of some databases, by alias; private servers live until the context ends.

    A private server keeps its data in `.refresher/<alias>` beside the configuration, and one that
    runs already (a daemon's, say) is shared.
    """
    wanted = config.databases if aliases is None else aliases
    with contextlib.ExitStack() as servers:
        yield {alias: endpoint(config, config.databases[alias], servers) for alias in wanted}


def endpoint(config: Config, database: Database, servers: contextlib.ExitStack) -> Endpoint:
    """The endpoint of one database; a private server lives until `servers` is closed."""
    conninfo = database.conninfo.reveal()
    if conninfo == EMBEDDED:
        from refresher import embedded  # noqa: PLC0415 - only who uses it needs the extra

        data_dir = config.path.parent / ".refresher" / database.alias
        conninfo = servers.enter_context(embedded.serve(data_dir))
    return Endpoint(alias=database.alias, conninfo=conninfo, session=database.session)
