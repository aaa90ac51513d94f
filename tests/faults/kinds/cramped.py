"""A server with a small disk for what refreshes write aside, and daemons whose role may run out of
connections: a place for two kinds."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from tests.faults.instruments import disk
from tests.faults.instruments.cluster import Member
from tests.faults.instruments.disk import Disk
from tests.faults.places import Place

ROLE = "refresher_daemon"
"""Who the daemons are. A superuser would pass any limit of connections."""

_DISK = "small"
_MEGABYTES = 16

_PREPARE = f"""
CREATE ROLE {ROLE} LOGIN;
ALTER DATABASE postgres OWNER TO {ROLE};
GRANT ALL ON SCHEMA public TO {ROLE};
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {ROLE};
GRANT CREATE ON TABLESPACE {_DISK} TO {ROLE};
ALTER ROLE {ROLE} SET temp_tablespaces = {_DISK};
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cramped(Place):
    """REFRESH … CONCURRENTLY compares in a temporary table, which is on the disk."""

    disk: Disk


@contextlib.contextmanager
def cramped(folder: Path) -> Iterator[Cramped]:
    """The place."""
    server = Member(folder, "server", {})
    with disk.mounted(folder / "disk", megabytes=_MEGABYTES) as small:
        server.start()
        try:
            with server.connect() as connection:
                disk.create_tablespace(connection, _DISK, small)
                connection.execute(_PREPARE.encode())
            yield Cramped(
                superuser=server.conninfo,
                daemon=make_conninfo(server.conninfo, user=ROLE),
                disk=small,
            )
        finally:
            server.stop()
