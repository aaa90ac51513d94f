"""The metrics of the process and its databases, as a custom collector for prometheus_client.

No registry: what is exported is decided here, and nothing is process-global. The views' metrics,
which may be many thousands, are rendered by `exposition.py`.
"""

import platform
from collections.abc import Callable, Iterator, Mapping

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from refresher import __version__
from refresher.observe.histograms import Histograms
from refresher.observe.latest import Latest, Reading
from refresher.observe.model import DatabaseSnapshot
from refresher.observe.vitals import DatabaseVitals, Vitals


class ProcessCollector(Collector):
    """Collects from memory only: a scrape asks no database anything."""

    def __init__(self, latest: Latest, vitals: Vitals, histograms: Histograms) -> None:
        self._latest = latest
        self._vitals = vitals
        self._histograms = histograms

    def collect(self) -> Iterator[Metric]:
        """All families as they stand."""
        yield from self._histograms.collect()
        yield from _work(self._vitals.databases())
        yield from _databases(self._latest.readings())
        yield from self._process()

    def _process(self) -> Iterator[Metric]:
        vitals = self._vitals
        yield _single(
            "refresher_scheduler_last_tick_timestamp_seconds",
            "When the scheduler last looked at what is due.",
            vitals.scheduler_last_tick,
        )
        yield _single(
            "refresher_config_last_reload_successful",
            "Whether the configuration that was read last is in force.",
            float(vitals.config_reload_succeeded),
        )
        yield _single(
            "refresher_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was read.",
            vitals.config_reloaded_at,
        )
        build = GaugeMetricFamily(
            "refresher_build_info",
            "Always 1; the labels tell what is running.",
            labels=("version", "python", "psycopg", "libpq"),
        )
        libpq = psycopg.pq.version()
        versions = (
            __version__,
            platform.python_version(),
            psycopg.__version__,
            f"{libpq // 10_000}.{libpq % 10_000}",
        )
        build.add_metric(versions, 1)
        yield build


def _work(vitals: Mapping[str, DatabaseVitals]) -> Iterator[Metric]:
    def family(name: str, meaning: str, value: Callable[[DatabaseVitals], int]) -> Metric:
        return _by_database(name, meaning, {alias: value(of) for alias, of in vitals.items()})

    yield family(
        "refresher_workers_busy",
        "Refreshes at work in this process.",
        lambda of: of.workers_busy,
    )
    yield family(
        "refresher_workers_limit",
        "How many refreshes may be at work at once, over all replicas.",
        lambda of: of.workers_limit,
    )
    yield family(
        "refresher_queue_length",
        "Refreshes that are due and wait for a worker of this process.",
        lambda of: of.queue_length,
    )
    yield family(
        "refresher_views_left",
        "Views that this daemon leaves to daemons with a newer configuration.",
        lambda of: of.views_left,
    )
    yield family(
        "refresher_database_throttled",
        "Whether the database's throttle delays scheduled refreshes.",
        lambda of: int(of.throttled),
    )


def _databases(readings: Mapping[str, Reading]) -> Iterator[Metric]:
    def family(name: str, meaning: str, value: Callable[[Reading], float | None]) -> Metric:
        return _by_database(name, meaning, {alias: value(of) for alias, of in readings.items()})

    def last(value: Callable[[DatabaseSnapshot], float]) -> Callable[[Reading], float | None]:
        return lambda of: None if of.snapshot is None else value(of.snapshot)

    yield family(
        "refresher_replicas",
        "Daemons that live, this one included.",
        last(lambda snapshot: snapshot.replicas),
    )
    yield family(
        "refresher_state_last_success_timestamp_seconds",
        "When the state shown here was last read from the database.",
        lambda of: of.succeeded_at,
    )
    errors = CounterMetricFamily(
        "refresher_state_read_errors_total",
        "How often the state could not be read from the database.",
        labels=("database",),
    )
    for alias, of in readings.items():
        errors.add_metric((alias,), of.errors)
    yield errors
    yield family(
        "refresher_state_read_duration_seconds",
        "How long the last reading of the state took.",
        last(lambda snapshot: snapshot.read_seconds),
    )
    yield family(
        "refresher_database_up",
        "Whether the database answers who reads its state, and the scheduler.",
        lambda of: float(of.up),
    )
    yield family(
        "refresher_database_clock_offset_seconds",
        "The database's clock less this machine's.",
        last(lambda snapshot: snapshot.clock_offset),
    )
    yield family(
        "refresher_database_unmanaged_views",
        "Materialized views in the database that the configuration does not name.",
        last(lambda snapshot: snapshot.unmanaged_views),
    )


def _by_database(name: str, meaning: str, values: Mapping[str, float | None]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=("database",))
    for alias, value in values.items():
        if value is not None:
            family.add_metric((alias,), value)
    return family


def _single(name: str, meaning: str, value: float | None) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)
