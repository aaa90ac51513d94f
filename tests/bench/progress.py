"""What is being done now, for whoever waits: on standard error, while the table is for the end."""

import sys
import time
from collections.abc import Callable

_EVERY_SECONDS = 1.0
_LOOK_SECONDS = 0.25
_SECONDS_ELSEWHERE = 10.0
"""Where a line can't be written over, there are fewer."""


class Progress:
    """One line that is written over on a terminal, and lines now and then elsewhere."""

    def __init__(self) -> None:
        self._over = sys.stderr.isatty()
        self._what = ""
        self._told_at = 0.0
        self._began = time.monotonic()

    def tell(self, what: str, *, done: int | None = None, of: int | None = None) -> None:
        """Say what is being done; the same again is said now and then only."""
        pause = _EVERY_SECONDS if self._over else _SECONDS_ELSEWHERE
        if what == self._what and time.monotonic() < self._told_at + pause:
            return
        self._what, self._told_at = what, time.monotonic()
        share = "" if done is None or of is None else f": {done:,} of {of:,}"
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        line = f"{minutes}:{seconds:02} {what}{share}"
        self._print(f"\r\033[K{line}" if self._over else f"{line}\n")

    def end(self) -> None:
        """Leave the line to what comes next."""
        if self._over:
            self._print("\r\033[K")

    def _print(self, text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)


def wait_for(
    count: Callable[[], int], of: int, deadline: float, progress: Progress, what: str
) -> None:
    """Wait until something was counted as often as it is to be; asking costs what is measured."""
    end = time.monotonic() + deadline
    while (done := count()) < of:
        if time.monotonic() > end:
            message = f"waited {deadline:g} s in vain for {what}: {done:,} of {of:,}"
            raise SystemExit(message)
        progress.tell(what, done=done, of=of)
        time.sleep(_LOOK_SECONDS)
