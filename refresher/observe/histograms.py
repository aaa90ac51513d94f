"""How long things took in this process, counted as events go by."""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from refresher.events import Event, RunFinished
from refresher.observe.families import run_ends
from refresher.runs import Strategy

_DURATIONS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0)
_WAITS = (0.001, 0.01, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_LATENESSES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_PHASES = ("queue", "lock")


class Histogram:
    """One histogram with labels; not prometheus_client's, whose `_created` is process-global."""

    def __init__(
        self, name: str, documentation: str, *, labels: tuple[str, ...], bounds: tuple[float, ...]
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._bounds = bounds
        self._edges = [*map(floatToGoString, bounds), "+Inf"]
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def expect(self, labels: tuple[str, ...]) -> None:
        """Show this series from now on, at zero as long as nothing is observed."""
        if labels not in self._counts:
            self._counts[labels] = [0] * len(self._edges)
            self._sums[labels] = 0.0

    def observe(self, labels: tuple[str, ...], seconds: float) -> None:
        """Count one duration."""
        self.expect(labels)
        self._counts[labels][bisect_left(self._bounds, seconds)] += 1
        self._sums[labels] += seconds

    def collect(self) -> HistogramMetricFamily:
        """All series as they stand."""
        family = HistogramMetricFamily(
            self._name, self._documentation, labels=self._labels, unit="seconds"
        )
        for labels, counts in self._counts.items():
            total = 0
            buckets = []
            for edge, count in zip(self._edges, counts, strict=True):
                total += count
                buckets.append((edge, float(total)))
            family.add_metric(labels, buckets, self._sums[labels])
        return family


@dataclass(frozen=True, slots=True)
class _Kept:
    duration: Histogram
    wait: Histogram
    lateness: Histogram


class Histograms:
    """The daemon's histograms: listens to events from any thread, and renders."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept = _Kept(
            duration=Histogram(
                "refresher_refresh_duration_seconds",
                "How long refreshes by this process took, from their record's opening to its end.",
                labels=("database", "strategy", "outcome"),
                bounds=_DURATIONS,
            ),
            wait=Histogram(
                "refresher_refresh_wait_seconds",
                "How long refreshes by this process waited: for a worker, and for locks.",
                labels=("database", "phase"),
                bounds=_WAITS,
            ),
            lateness=Histogram(
                "refresher_schedule_lateness_seconds",
                "From a due instant to the start of the work, for scheduled first attempts.",
                labels=("database",),
                bounds=_LATENESSES,
            ),
        )

    def keep_databases(self, aliases: Iterable[str]) -> None:
        """Show the series of these databases, at zero if need be."""
        with self._lock:
            for alias in aliases:
                for strategy, outcome in run_ends(Strategy):
                    self._kept.duration.expect((alias, strategy, outcome))
                for phase in _PHASES:
                    self._kept.wait.expect((alias, phase))
                self._kept.lateness.expect((alias,))

    def listen(self, event: Event) -> None:
        """Count a run that ended."""
        if not isinstance(event, RunFinished) or event.run.outcome is None:
            return
        run, database = event.run, event.database
        waits = zip(_PHASES, (run.queue_wait_seconds, run.lock_wait_seconds), strict=True)
        with self._lock:
            if run.duration_seconds is not None:
                labels = (database, str(run.strategy or ""), str(run.outcome))
                self._kept.duration.observe(labels, run.duration_seconds)
            for phase, seconds in waits:
                if seconds is not None:
                    self._kept.wait.observe((database, phase), seconds)
            if event.lateness is not None:
                self._kept.lateness.observe((database,), event.lateness.total_seconds())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The families as they stand."""
        with self._lock:
            families = [
                self._kept.duration.collect(),
                self._kept.wait.collect(),
                self._kept.lateness.collect(),
            ]
        yield from families
