"""Which of its views a loop looks after, while daemons with a newer configuration have others."""

from collections.abc import Mapping

from refresher.config.groups import grouped
from refresher.config.model import View

_NONE: frozenset[str] = frozenset()


def without(views: Mapping[str, View], left: frozenset[str]) -> dict[str, View]:
    """The views that are not left to others."""
    return {name: view for name, view in views.items() if name not in left}


class Sharing:
    """Used in the loop's thread only. A reload makes new views, so identity tells of one."""

    def __init__(self) -> None:
        self.own: Mapping[str, View] = {}
        self.left = _NONE
        self.groups: Mapping[str, list[View]] = {}
        """Of its own, the views that are refreshed together."""
        self._views: Mapping[str, View] | None = None

    def follow(self, views: Mapping[str, View], left: frozenset[str]) -> frozenset[str]:
        """Leave these to others from now on; returns what has changed hands."""
        changed = self.left ^ left
        if changed or views is not self._views:
            self.own = without(views, left)
            self.groups = grouped(self.own)
            self._views, self.left = views, left
        return changed
