"""Noticing that the configuration changed on disk."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

_Stamp: TypeAlias = tuple[int, int, int]


class WatchedFiles:
    """Files whose change means a reload. A missing one is a change too, and its return another."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._stamps: dict[Path, _Stamp | None] = {}
        self.watch(files)

    def watch(self, files: Iterable[Path]) -> None:
        """Watch these files and no others; of a known one, all that came since it was asked about.

        It may have changed once more while it was read, which nobody would notice otherwise.
        """
        known = self._stamps
        self._stamps = {path: known[path] if path in known else _stamp(path) for path in files}

    def changed(self) -> bool:
        """Whether any differs from when this was last asked."""
        stamps = {path: _stamp(path) for path in self._stamps}
        changed = stamps != self._stamps
        self._stamps = stamps
        return changed


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
