"""A terminal somebody looks at: of a certain width, and everything written to it is kept."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import threading
from typing import Self

_ROWS = 50
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Give `theirs` to a process as its stream."""

    def __init__(self, columns: int) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("4H", _ROWS, columns, 0, 0))
        self._written = bytearray()
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, also under somebody who still writes to it."""
        os.close(self.theirs)
        self._closing.set()
        self._reader.join()
        os.close(self._ours)

    def type(self, text: str) -> None:
        """Type what whoever sits there would."""
        os.write(self._ours, text.encode())

    @property
    def written(self) -> str:
        """All that was written, control sequences included."""
        return bytes(self._written).decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """Every line ever written, those that were drawn over included, as somebody reads them."""
        return re.split(r"[\r\n]+", _CONTROL.sub("", self.written))

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # Linux says so when the last writer is gone
            while True:
                if self._has_more():
                    self._written += os.read(self._ours, 4096)
                elif self._closing.is_set():
                    return

    def _has_more(self) -> bool:
        readable, _, _ = select.select([self._ours], [], [], 0.05)
        return bool(readable)
