"""The one place where tests wait for something that tells nobody when it happens."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 0.01


def wait_until(look: Callable[[], T], deadline: float = 10.0, *, what: str = "") -> T:
    """Look until there is something to see (anything true), and return it.

    `deadline` is in seconds from now; past it the test fails, naming `what` it waited for.
    """
    never = threading.Event()
    end = time.monotonic() + deadline
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            message = f"waited {deadline:g} s in vain for {what or look!r}; last seen: {seen!r}"
            raise AssertionError(message)
        never.wait(_LOOK_SECONDS)
