"""Taking strong locks without harming readers: ask briefly, give way, ask again."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from refresher.errors import CatalogError
from refresher.postgres.failures import describe

T = TypeVar("T")

LOCK_TIMEOUT = "300ms"
"""Below deadlock_timeout (1 s), so that it is never the reader whom PostgreSQL ends."""
_PATIENCE_SECONDS = 300.0
_SHORTEST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5
"""Under readers who never stop, most tries fail: the more there are, the sooner one succeeds."""

_PASSING = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
_never = threading.Event()


def persist(act: Callable[[], T], *, waiting: Callable[[], None]) -> T:
    """Do something that needs locks others hold; what fails for them is done again.

    Args:
        act: leaves nothing behind when it fails.
        waiting: called before each pause; what it raises ends the waiting.

    Raises:
        CatalogError: somebody held a lock all the time.
        psycopg.Error: it failed for another reason.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    for number in itertools.count():
        try:
            return act()
        except _PASSING as error:
            if time.monotonic() >= until:
                message = f"{describe(error)}: somebody has been using it for minutes; apply again"
                raise CatalogError(message) from error
        waiting()
        pause(number)
    raise AssertionError  # never reached: counting has no end


def pause(number: int) -> None:
    """Wait a little before asking again; two that collide wait for different times."""
    seconds = min(_SHORTEST_PAUSE_SECONDS * 1.5 ** min(number, 20), _LONGEST_PAUSE_SECONDS)
    _never.wait(seconds * random.uniform(0.5, 1.5))  # noqa: S311 - nothing secret
