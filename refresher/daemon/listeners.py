"""One event to many listeners."""

import contextlib

from refresher.events import Event, Listener


def fan_out(*listeners: Listener) -> Listener:
    """A listener that tells all others; one that raises stops neither them nor the core."""

    def tell(event: Event) -> None:
        for listener in listeners:
            with contextlib.suppress(Exception):
                listener(event)

    return tell
