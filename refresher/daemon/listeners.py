"""One event to many listeners."""

import logging

from refresher.events import Event, Listener

_LOGGER = logging.getLogger(__name__)


def fan_out(*listeners: Listener) -> Listener:
    """A listener that tells all others; one that raises stops neither them nor the core."""

    def tell(event: Event) -> None:
        for listener in listeners:
            try:
                listener(event)
            except Exception:  # a listener's bug is its own; the core goes on
                _LOGGER.exception("a listener failed")

    return tell
