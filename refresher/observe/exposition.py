"""What `/metrics` answers, in the format that is asked for.

prometheus_client takes 6.5 s for the 50 series of each of 10,000 views; a scrape has 0.2 s. So the
views' samples are written here: once for each change of a view, not for each scrape. Headers, and
everything else, are prometheus_client's; a test reads the whole back with its strict parser.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from refresher.observe.families import VIEW_FAMILIES
from refresher.observe.family import ViewFamily
from refresher.observe.latest import Latest
from refresher.observe.model import ViewSnapshot

_END = b"# EOF\n"
_FIXED = tuple(family for family in VIEW_FAMILIES if not family.moving)
_MOVING = tuple(family for family in VIEW_FAMILIES if family.moving)
_ESCAPING = re.compile(r";\s*escaping=[^;,]*")
"""Names here need no escaping, so no scheme of it is agreed to."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A view's samples that stand until the view changes."""

    view: ViewSnapshot
    labels: str
    lines: tuple[str, ...]
    """By family, in the order of `_FIXED`."""


class Exposition:
    """Renders the latest snapshots, and what another collector adds. For any thread."""

    def __init__(
        self, latest: Latest, process: Collector, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._latest = latest
        self._process = process
        self._lock = threading.Lock()
        self._written: dict[tuple[str, str], _Written] = {}
        self._fixed: list[bytes] = []
        """All views' lines, by family, in the order of `_FIXED`."""

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and their content type, as an Accept header prefers them."""
        encode, content_type = _choose_encoder(accept)
        with self._lock:
            views = self._write_changes()
            fixed = list(self._fixed)
        moving = ["".join(_moving_lines(family, views)).encode() for family in _MOVING]
        pieces = []
        for family, lines in zip((*_FIXED, *_MOVING), (*fixed, *moving), strict=True):
            pieces += [encode(_Header(family)).removesuffix(_END), lines]
        return b"".join((*pieces, encode(self._process))), content_type

    def _write_changes(self) -> list[tuple[_Written, datetime]]:
        """Write what is new; return every view, with its database's time now."""
        monotonic = self._monotonic()
        views = []
        written = {}
        changed = False
        for alias, reading in self._latest.readings().items():
            if reading.snapshot is None:
                continue
            now = reading.snapshot.now(monotonic)
            for name, view in reading.snapshot.views.items():
                known = self._written.get((alias, name))
                if known is None or known.view != view:
                    known = _write(alias, view, now)
                    changed = True
                written[alias, name] = known
                views.append((known, now))
        if changed or written.keys() != self._written.keys() or not self._fixed:
            self._fixed = [
                "".join([known.lines[position] for known in written.values()]).encode()
                for position in range(len(_FIXED))
            ]
        self._written = written
        return views


class _Header(Collector):
    """A family without samples: its HELP and TYPE."""

    def __init__(self, family: ViewFamily) -> None:
        name = family.name.removesuffix("_total") if family.type == "counter" else family.name
        self._metric = Metric(name, family.meaning, family.type)

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def _write(alias: str, view: ViewSnapshot, now: datetime) -> _Written:
    labels = f'database="{_escaped(alias)}",view="{_escaped(view.view.name)}"'
    lines = ("".join(_lines(family, labels, view, now)) for family in _FIXED)
    return _Written(view, labels, tuple(lines))


def _moving_lines(family: ViewFamily, views: Sequence[tuple[_Written, datetime]]) -> Iterator[str]:
    for written, now in views:
        yield from _lines(family, written.labels, written.view, now)


def _lines(family: ViewFamily, labels: str, view: ViewSnapshot, now: datetime) -> list[str]:
    return [
        f"{family.name}{{{labels}{_own_labels(family.labels, values)}}} {number!r}\n"
        for values, number in family.samples(view, now)
    ]


@lru_cache(maxsize=1024)  # reasons, outcomes, states: the same for every view
def _own_labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    pairs = zip(names, values, strict=True)
    return "".join(f',{name}="{_escaped(value)}"' for name, value in pairs)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _choose_encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(_ESCAPING.sub("", accept))
    except (TypeError, ValueError):  # it compares whatever version is asked for
        return choose_encoder("")
