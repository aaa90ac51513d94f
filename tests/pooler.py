"""PgBouncer in transaction mode before a test run's server."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from refresher.embedded.account import Account
from refresher.errors import UnreachableError
from refresher.postgres import sessions
from tests.programs import find_program
from tests.servers import endpoint_of, fast_directory
from tests.waiting import wait_until

_PORT = "6432"
# However this process ends, kill -9 included.
_DYING_WITH_US = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
_STOP_SECONDS = 10.0

# Whoever the server knows may pass: its socket lies in a directory of the test run's own.
_SETTINGS = """
[databases]
* = host={socket_dir} port={port} auth_user={superuser}

[pgbouncer]
listen_port = {own_port}
unix_socket_dir = {directory}
unix_socket_mode = 0777
auth_type = trust
auth_query = SELECT rolname, '' FROM pg_catalog.pg_roles WHERE rolname = $1
auth_file = {directory}/users
pool_mode = transaction
max_client_conn = 500
default_pool_size = 40
server_idle_timeout = 5
query_wait_timeout = 5
logfile = {directory}/log
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PgBouncer:
    """A running one, for all databases of a server."""

    directory: Path

    def conninfo(self, behind: str) -> str:
        """How to go through it to a database."""
        return make_conninfo(behind, host=str(self.directory), port=_PORT)


@contextlib.contextmanager
def running(server: str) -> Iterator[PgBouncer]:
    """Run one before a server, named by how its superuser connects, until the block ends."""
    program = find_program("pgbouncer")
    account = Account.for_server()
    parts = conninfo_to_dict(server)
    with tempfile.TemporaryDirectory(prefix="refresher-bouncer-", dir=fast_directory()) as path:
        directory = Path(path)
        settings = directory / "pgbouncer.ini"
        settings.write_text(
            _SETTINGS.format(
                socket_dir=parts["host"],
                port=parts["port"],
                superuser=parts["user"],
                own_port=_PORT,
                directory=directory,
            )
        )
        (directory / "users").write_text(f'"{parts["user"]}" ""\n')
        account.take(directory)
        directory.chmod(0o755)
        process = subprocess.Popen(
            [*_DYING_WITH_US, program, "--quiet", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=account.user if account.switched else None,
            group=account.group if account.switched else None,
            extra_groups=[] if account.switched else None,
        )
        try:
            pooler = PgBouncer(directory=directory)
            wait_until(lambda: _passes(pooler.conninfo(server)), what="pgbouncer")
            yield pooler
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


def _passes(conninfo: str) -> bool:
    try:
        with sessions.connect(endpoint_of(conninfo)) as connection:
            row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
            return row is not None and row["pid"] != connection.info.backend_pid
    except UnreachableError:
        return False
