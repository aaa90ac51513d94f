"""The views' samples as text, which both formats write alike.

A view is written once for each change of it, and not for each scrape; a scrape writes anew only
what time alone has changed. All text stands ready, by family, to be copied.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias

from refresher.observe.families import VIEW_FAMILIES
from refresher.observe.family import ViewFamily
from refresher.observe.latest import Reading
from refresher.observe.model import DatabaseSnapshot, ViewSnapshot

_FIXED = tuple(family for family in VIEW_FAMILIES if family.moving is None)
_MOVING: tuple[tuple[ViewFamily, Callable[[ViewSnapshot, datetime], object]], ...] = tuple(
    (family, family.moving) for family in VIEW_FAMILIES if family.moving is not None
)
FAMILIES = (*_FIXED, *(family for family, _ in _MOVING))
"""In the order in which they are written."""

_Shown: TypeAlias = tuple[object, bytes]
"""What a moving family shows of a view, and its text."""
_NOTHING: _Shown = (object(), b"")


@dataclass(slots=True)
class _Written:
    """One view's text."""

    view: ViewSnapshot
    labels: str
    fixed: tuple[bytes, ...]
    """By family, in the order of `_FIXED`."""
    moving: list[_Shown] = field(default_factory=lambda: [_NOTHING for _ in _MOVING])
    """By family, in the order of `_MOVING`."""


@dataclass(slots=True)
class _Page:
    """One database's views."""

    snapshot: DatabaseSnapshot | None = None
    views: dict[str, _Written] = field(default_factory=dict)

    def turn_to(self, snapshot: DatabaseSnapshot) -> bool:
        """Write what is new in a snapshot; whether anything is."""
        if snapshot is self.snapshot:
            return False
        changed = self.snapshot is None or snapshot.views.keys() != self.views.keys()
        written = {}
        for name, view in snapshot.views.items():
            known = self.views.get(name)
            if known is None or (known.view is not view and known.view != view):
                known = _write(snapshot.database, view, snapshot.read_at)
                changed = True
            known.view = view
            written[name] = known
        self.snapshot, self.views = snapshot, written
        return changed


@dataclass(slots=True)
class ViewSamples:
    """Remembers what it has written. For one thread at a time."""

    _pages: dict[str, _Page] = field(default_factory=dict)
    _fixed: list[bytes] = field(default_factory=lambda: [b"" for _ in _FIXED])
    """All views' text, by family, in the order of `_FIXED`."""

    def write(self, readings: Mapping[str, Reading], monotonic: float) -> list[bytes]:
        """All text at an instant of `time.monotonic()`, by family, in the order of `FAMILIES`."""
        snapshots = {
            alias: reading.snapshot for alias, reading in readings.items() if reading.snapshot
        }
        changed = [self._pages.pop(alias) for alias in self._pages.keys() - snapshots.keys()] != []
        for alias, snapshot in snapshots.items():
            changed |= self._pages.setdefault(alias, _Page()).turn_to(snapshot)
        if changed:
            views = [view for page in self._pages.values() for view in page.views.values()]
            self._fixed = [
                b"".join([view.fixed[place] for view in views]) for place in range(len(_FIXED))
            ]
        now = {alias: snapshot.now(monotonic) for alias, snapshot in snapshots.items()}
        moving = [
            b"".join([self._move(page, place, now[alias]) for alias, page in self._pages.items()])
            for place in range(len(_MOVING))
        ]
        return [*self._fixed, *moving]

    def _move(self, page: _Page, place: int, now: datetime) -> bytes:
        family, show = _MOVING[place]
        texts = []
        for written in page.views.values():
            value = show(written.view, now)
            before, text = written.moving[place]
            if value != before:
                text = (
                    _text(family, written.labels, written.view, now)
                    if family.labels
                    else _line(family, written.labels, value)
                )
                written.moving[place] = (value, text)
            texts.append(text)
        return b"".join(texts)


def _write(alias: str, view: ViewSnapshot, now: datetime) -> _Written:
    labels = f'database="{_escaped(alias)}",view="{_escaped(view.view.name)}"'
    return _Written(view, labels, tuple(_text(family, labels, view, now) for family in _FIXED))


def _text(family: ViewFamily, labels: str, view: ViewSnapshot, now: datetime) -> bytes:
    return "".join(
        [
            f"{family.name}{{{labels}{_own_labels(family.labels, values)}}} {number!r}\n"
            for values, number in family.samples(view, now)
        ]
    ).encode()


def _line(family: ViewFamily, labels: str, number: object) -> bytes:
    return b"" if number is None else f"{family.name}{{{labels}}} {number!r}\n".encode()


@lru_cache(maxsize=1024)  # reasons, outcomes, states: the same for every view
def _own_labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    pairs = zip(names, values, strict=True)
    return "".join(f',{name}="{_escaped(value)}"' for name, value in pairs)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
