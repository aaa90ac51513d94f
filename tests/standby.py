"""A server in recovery: it answers questions and takes no writes, as a read-only replica does."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from psycopg.conninfo import make_conninfo

from refresher import embedded
from refresher.embedded.account import Account
from refresher.embedded.installation import Installation
from refresher.errors import UnreachableError
from refresher.postgres import sessions
from tests.servers import endpoint_of, fast_directory
from tests.waiting import wait_until

# However this process ends, kill -9 included.
_DYING_WITH_US = ("setpriv", "--pdeathsig", "INT") if shutil.which("setpriv") else ()
_STOP_SECONDS = 10.0


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run one until the block ends; yields how its superuser connects."""
    account = Account.for_server()
    with tempfile.TemporaryDirectory(prefix="refresher-standby-", dir=fast_directory()) as path:
        directory = Path(path)
        directory.chmod(0o711)
        data_dir = directory / "data"
        embedded.start(data_dir).stop()
        (data_dir / "standby.signal").touch()
        account.take(directory)
        directory.chmod(0o711)
        installation = Installation.find().readable_by(account, directory)
        process = subprocess.Popen(
            [
                *_DYING_WITH_US,
                *(installation.program("postgres"), "-D", str(data_dir)),
                *("-k", str(directory), "-c", "listen_addresses="),
            ],
            env=installation.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=account.user if account.switched else None,
            group=account.group if account.switched else None,
            extra_groups=[] if account.switched else None,
        )
        try:
            conninfo = make_conninfo(host=str(directory), user="postgres", dbname="postgres")
            wait_until(lambda: _answers(conninfo), what="the standby")
            yield conninfo
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


def _answers(conninfo: str) -> bool:
    try:
        sessions.connect_to_look(endpoint_of(conninfo)).close()
    except UnreachableError:
        return False
    return True
