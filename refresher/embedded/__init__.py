"""A private PostgreSQL: started in a second, reached only by its user, gone with its last user.

`start` gives a server of one's own, throw-away unless it is told where to keep its data. `serve`
shares the server of a data directory between processes. The programs come from the wheel that
`refresher[embedded]` installs, or from the directory REFRESHER_PG_BIN names.

Nothing but a socket in a private directory leads to the server, so it trusts whoever gets there. As
root it runs as `nobody`; then other processes of that user get there too.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from refresher.embedded.account import Account
from refresher.embedded.data_dir import Lock, make_data_dir, running_server
from refresher.embedded.installation import binaries
from refresher.embedded.server import Server, launch
from refresher.errors import RefresherError

__all__ = ["Server", "binaries", "serve", "start"]

_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


def start(data_dir: Path | None = None, *, settings: Mapping[str, str] = _NO_SETTINGS) -> Server:
    """Start a server of one's own, and wait until it accepts connections.

    Args:
        data_dir: where its data are kept; made if missing, filled by initdb if empty. Without it
            the data are thrown away at the end, and not guarded against a crash of the machine.
        settings: server settings by name, such as max_connections; they win over ours.

    Raises:
        RefresherError: if there is no PostgreSQL to start, the directory can't be used or is in
            use, or the server does not start.
    """
    account = Account.for_server()
    with _explained():
        if data_dir is None:
            return launch(account, None, settings)
        lock = _lock(data_dir, account)
        try:
            _claim(lock)
            return launch(account, lock, settings)
        except BaseException:
            lock.close()
            raise


@contextlib.contextmanager
def serve(data_dir: Path, *, settings: Mapping[str, str] = _NO_SETTINGS) -> Iterator[str]:
    """Yield the conninfo of the server that runs on a data directory, started if there is none.

    Any number of processes may do so at once. A server started here stops when the last of them is
    done with it, however they end; one that somebody else started is left running.

    Raises:
        RefresherError: as `start` does, except that a running server is welcome.
    """
    account = Account.for_server()
    with contextlib.ExitStack() as held:
        with _explained():
            lock = held.enter_context(_lock(data_dir, account))
            conninfo = _join(lock)
            if conninfo is None:
                server = launch(account, lock, settings)
                held.callback(server.leave)
                conninfo = server.conninfo
        yield conninfo


def _lock(data_dir: Path, account: Account) -> Lock:
    path = data_dir.resolve()
    make_data_dir(path, account)
    return Lock(path)


def _claim(lock: Lock) -> None:
    if lock.try_own() and running_server(lock.directory) is None:
        return
    message = (
        f"a server is running on {lock.directory} already; stop it, or name another data directory"
    )
    raise RefresherError(message)


def _join(lock: Lock) -> str | None:
    """How to connect to the running server, on a shared lock; None, on a lock of our own."""
    while True:
        lock.share()
        running = running_server(lock.directory)
        if running is not None:
            return running.conninfo
        lock.own()
        if running_server(lock.directory) is None:
            return None


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Say what was being done when the system refused; RuntimeError is a loop of links."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        message = f"can't start a private PostgreSQL: {error}"
        raise RefresherError(message) from error
