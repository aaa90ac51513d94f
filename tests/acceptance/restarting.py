"""A server of a test's own, to be stopped and started."""

from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from refresher import embedded


class RestartedServer:
    """A server that comes and goes, always at one address."""

    def __init__(self, folder: Path) -> None:
        self._address = folder / "socket"
        self._data_dir = folder / "data"
        self._server: embedded.Server | None = None

    @property
    def conninfo(self) -> str:
        return f"host={self._address} user=postgres dbname=postgres"

    def start(self) -> None:
        self._server = embedded.start(self._data_dir)
        self._address.unlink(missing_ok=True)
        self._address.symlink_to(str(conninfo_to_dict(self._server.conninfo)["host"]))

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
