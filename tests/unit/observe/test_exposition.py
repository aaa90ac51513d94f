import itertools
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from refresher.config.model import View
from refresher.definitions.compare import Aspect
from refresher.errors import FailureReason
from refresher.events import ConfigOutdated, RunFinished
from refresher.observe.collector import ProcessCollector
from refresher.observe.exposition import Exposition
from refresher.observe.histograms import Histograms
from refresher.observe.latest import Latest
from refresher.observe.model import DatabaseSnapshot
from refresher.observe.vitals import Vitals
from refresher.runs import Outcome
from refresher.store.drift import KnownDrift, Watched
from refresher.store.verdicts import BrokenCheck
from tests.snapshots import (
    NOON,
    make_plain_view,
    make_run,
    make_snapshot,
    make_stored,
    make_view,
    make_view_snapshot,
)

Samples: TypeAlias = dict[tuple[str, frozenset[tuple[str, str]]], float]

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


class Clock:
    """`time.monotonic` as the test wants it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Parts:
    """Everything a daemon shows, for the database `crm`."""

    def __init__(self, clock: Clock) -> None:
        self.latest = Latest()
        self.vitals = Vitals()
        self.histograms = Histograms()
        for part in (self.latest, self.vitals, self.histograms):
            part.keep_databases(["crm"])
        process = ProcessCollector(self.latest, self.vitals, self.histograms)
        self.exposition = Exposition(self.latest, process, monotonic=clock)

    def publish(self, *views: Any, **changes: Any) -> DatabaseSnapshot:
        snapshot = make_snapshot(views, **changes)
        self.latest.publish(snapshot)
        return snapshot

    def text(self, accept: str = "text/plain") -> str:
        return self.exposition.render(accept)[0].decode()

    def samples(self) -> Samples:
        return samples(text_string_to_metric_families(self.text()))

    def value(self, name: str, **labels: str) -> float | None:
        """The one series of that name with at least these labels; None if there is none."""
        found = [
            number
            for (series, own), number in self.samples().items()
            if series == name and labels.items() <= dict(own).items()
        ]
        assert len(found) <= 1, f"{len(found)} series of {name}"
        return found[0] if found else None


def parse_strictly(text: str) -> Samples:
    families: Iterable[Metric] = openmetrics.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # it has no types
    return samples(families)


def samples(families: Iterable[Metric]) -> Samples:
    found: Samples = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


@pytest.fixture
def parts(clock: Clock) -> Parts:
    return Parts(clock)


def test_both_formats_are_valid_and_say_the_same(parts: Parts) -> None:
    parts.publish(make_view_snapshot(), make_view_snapshot(make_plain_view()))

    plain = samples(text_string_to_metric_families(parts.text()))
    strict = parse_strictly(parts.text(OPENMETRICS))

    assert plain == strict
    assert len(plain) > 250


def test_no_series_tells_when_it_was_created(parts: Parts) -> None:
    parts.publish(make_view_snapshot())

    assert "_created" not in parts.text() + parts.text(OPENMETRICS)


def test_promtool_has_nothing_to_say(parts: Parts) -> None:
    parts.publish(make_view_snapshot(), make_view_snapshot(make_plain_view()))
    parts.vitals.tick()

    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=parts.text(),
        text=True,
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text; version=soon", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=1.x", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_format_is_negotiated(parts: Parts, accept: str, content_type: str) -> None:
    shown, shown_type = parts.exposition.render(accept)

    assert shown_type.startswith(content_type)
    assert shown.endswith(b"# EOF\n") == shown_type.startswith("application/openmetrics-text")


def test_names_stay_as_they_are_whatever_escaping_is_asked_for(parts: Parts) -> None:
    parts.publish(make_view_snapshot())
    dots = "application/openmetrics-text;version=1.0.0;escaping=dots"

    shown, content_type = parts.exposition.render(dots)

    assert b"refresher_view_staleness_seconds{" in shown
    assert b"refresher__" not in shown
    assert "escaping=underscores" in content_type


def test_a_refreshed_view_shows_everything_known_of_it(parts: Parts) -> None:
    parts.publish(make_view_snapshot())

    assert view_series(parts, "customer_sources") == {
        "refresher_view_data_timestamp_seconds": NOON.timestamp(),
        "refresher_view_last_change_timestamp_seconds": NOON.timestamp() + 1,
        "refresher_view_staleness_seconds": 0,
        "refresher_view_last_success_timestamp_seconds": NOON.timestamp() + 1,
        "refresher_view_last_attempt_timestamp_seconds": NOON.timestamp() - 1,
        "refresher_view_next_refresh_timestamp_seconds": NOON.timestamp() + 900,
        "refresher_view_max_staleness_seconds": 3600,
        "refresher_view_last_refresh_success": 1,
        "refresher_view_last_refresh_duration_seconds": 2,
        "refresher_view_last_refresh_queue_wait_seconds": 0.25,
        "refresher_view_last_refresh_lock_wait_seconds": 0.125,
        "refresher_view_consecutive_failures": 0,
        "refresher_view_populated": 1,
        "refresher_view_paused": 0,
        "refresher_view_refresh_running": 0,
        "refresher_view_rows": 15549,
        "refresher_view_size_bytes": 1048576,
        "refresher_view_dead_rows": 12,
        "refresher_view_drift_timestamp_seconds": NOON.timestamp(),
        "refresher_view_refreshed_outside": 0,
        "refresher_view_checks_broken": 0,
        "refresher_refresh_misfires_total": 0,
        "refresher_verify_rows_corrected_total": 0,
    }
    assert parts.samples()[
        "refresher_view_info",
        frozenset(
            {
                ("database", "crm"),
                ("view", "customer_sources"),
                ("relation", "public.customer_sources"),
                ("kind", "materialized_view"),
                ("strategy", "auto"),
                ("schedule", "every 15m"),
                ("owner", "crm_owner"),
            }
        ),
    ]
    assert states(parts) == {"fresh": 1, "late": 0, "stale": 0, "unknown": 0}
    assert drift(parts) == dict.fromkeys(Aspect, 0)


def test_drift_is_told_by_aspect(parts: Parts) -> None:
    found = [
        KnownDrift(aspect=aspect, message="it differs", found_at=NOON)
        for aspect in (Aspect.OWNER, Aspect.MISSING)
    ]
    parts.publish(make_view_snapshot(watched=Watched(looked_at=NOON, drift=tuple(found))))

    # It was missing when it was last looked for, and is there now.
    assert drift(parts) == dict.fromkeys(Aspect, 0) | {Aspect.OWNER: 1}


def test_a_view_that_went_missing_is_told_before_the_next_look(parts: Parts) -> None:
    view = make_view()
    parts.publish(make_view_snapshot(view, stored=make_stored(view, relation_kind=None)))

    assert drift(parts) == dict.fromkeys(Aspect, 0) | {Aspect.MISSING: 1}


def test_a_refresh_by_somebody_else_is_told(parts: Parts) -> None:
    parts.publish(make_view_snapshot(watched=Watched(refreshed_outside_at=NOON)))

    assert parts.value("refresher_view_refreshed_outside") == 1


def drift(parts: Parts) -> dict[str, float]:
    return {
        dict(labels)["aspect"]: value
        for (name, labels), value in parts.samples().items()
        if name == "refresher_view_drift"
    }


def view_series(parts: Parts, view: str) -> dict[str, float]:
    """The series of a view that have no label of their own."""
    own = frozenset({("database", "crm"), ("view", view)})
    return {name: value for (name, labels), value in parts.samples().items() if labels == own}


def states(parts: Parts) -> dict[str, float]:
    return {
        dict(labels)["state"]: value
        for (name, labels), value in parts.samples().items()
        if name == "refresher_view_state"
    }


def test_a_plain_view_has_no_refreshes_to_show(parts: Parts, clock: Clock) -> None:
    parts.publish(make_view_snapshot(make_plain_view()))
    clock.now += 30

    assert view_series(parts, "customers_crm_v") == {
        "refresher_view_data_timestamp_seconds": NOON.timestamp() + 30,
        "refresher_view_staleness_seconds": 0,
        "refresher_view_populated": 1,
        "refresher_view_paused": 0,
        "refresher_view_refresh_running": 0,
        "refresher_view_drift_timestamp_seconds": NOON.timestamp(),
        "refresher_view_checks_broken": 0,
    }


def test_counters_stand_at_zero_from_the_start(parts: Parts) -> None:
    parts.publish(make_view_snapshot(tallies={}))
    counted = [
        (name, dict(labels))
        for (name, labels), value in parts.samples().items()
        if name.startswith("refresher_refresh_") and name.endswith("_total") and value == 0
    ]

    runs = {
        (labels["strategy"], labels["outcome"])
        for name, labels in counted
        if name == "refresher_refresh_runs_total"
    }
    outcomes = ("succeeded", "unchanged", "failed", "cancelled")
    assert runs == {
        *itertools.product(("full", "concurrent"), outcomes),
        ("", "failed"),
        ("", "cancelled"),
    }
    reasons = {
        labels["reason"] for name, labels in counted if name == "refresher_refresh_failures_total"
    }
    assert reasons == {reason.value for reason in FailureReason}
    operations = {
        labels["operation"] for name, labels in counted if name == "refresher_refresh_rows_total"
    }
    assert operations == {"insert", "update", "delete"}


def test_tallies_become_counters(parts: Parts) -> None:
    tallies = {
        ("runs", "full/succeeded"): 3,
        ("runs", "/failed"): 2,
        ("failures", "permission"): 2,
        ("rows", "delete"): 5_000_000_000,
        ("misfires", ""): 7,
        ("corrected", ""): 3,
    }
    parts.publish(make_view_snapshot(tallies=tallies))

    runs = "refresher_refresh_runs_total"
    assert parts.value(runs, strategy="full", outcome="succeeded") == 3
    assert parts.value(runs, strategy="", outcome="failed") == 2
    assert parts.value("refresher_refresh_failures_total", reason="permission") == 2
    assert parts.value("refresher_refresh_rows_total", operation="delete") == 5e9
    assert parts.value("refresher_refresh_misfires_total") == 7
    assert parts.value("refresher_verify_rows_corrected_total") == 3


def test_staleness_grows_between_readings(parts: Parts, clock: Clock) -> None:
    parts.publish(make_view_snapshot())
    before = parts.samples()

    clock.now += 3601
    after = parts.samples()

    changed = {name for (name, labels) in after if after[name, labels] != before[name, labels]}
    assert changed == {"refresher_view_staleness_seconds", "refresher_view_state"}
    assert parts.value("refresher_view_staleness_seconds") == 3601
    assert states(parts) == {"fresh": 0, "late": 0, "stale": 1, "unknown": 0}


def test_a_database_that_went_away_keeps_its_gauges(parts: Parts, clock: Clock) -> None:
    parts.publish(make_view_snapshot())
    clock.now += 60
    parts.latest.fail("crm")
    parts.latest.fail("crm")

    assert parts.value("refresher_database_up") == 0
    assert parts.value("refresher_state_read_errors_total") == 2
    assert parts.value("refresher_view_staleness_seconds") == 60
    assert parts.value("refresher_view_rows") == 15549

    parts.publish(make_view_snapshot(), read_at_monotonic=1060.0)

    assert parts.value("refresher_database_up") == 1
    assert parts.value("refresher_state_read_errors_total") == 2


def test_a_database_that_never_answered_is_down_and_shows_no_views(parts: Parts) -> None:
    parts.latest.fail("crm")

    assert parts.value("refresher_database_up") == 0
    assert parts.value("refresher_state_last_success_timestamp_seconds") is None
    assert not [name for name, _ in parts.samples() if name.startswith("refresher_view_")]


def test_what_is_unknown_is_absent(parts: Parts) -> None:
    view = make_view()
    stored = make_stored(
        view,
        relation=None,
        relation_kind=None,
        populated=False,
        owner=None,
        as_of=None,
        data_as_of=None,
        rows=None,
        last_change_at=None,
        success_run=None,
    )
    parts.publish(
        make_view_snapshot(
            view,
            stored=stored,
            fixed_data_as_of=None,
            max_staleness=None,
            last_run=None,
            last_ended=None,
            last_success_at=None,
            rows=None,
            bytes=None,
            dead_rows=None,
            next_due_at=None,
            watched=Watched(),
        )
    )

    assert view_series(parts, "customer_sources") == {
        "refresher_view_consecutive_failures": 0,
        "refresher_view_populated": 0,
        "refresher_view_paused": 0,
        "refresher_view_refresh_running": 0,
        "refresher_view_refreshed_outside": 0,
        "refresher_view_checks_broken": 0,
        "refresher_refresh_misfires_total": 0,
        "refresher_verify_rows_corrected_total": 0,
    }
    assert states(parts) == {"fresh": 0, "late": 0, "stale": 0, "unknown": 1}
    assert drift(parts) == {"missing": 1}


def test_a_failed_run_shows(parts: Parts) -> None:
    failed = make_run(
        id=8, outcome=Outcome.FAILED, failure=FailureReason.CHECK, lock_wait_seconds=None
    )
    parts.publish(make_view_snapshot(last_run=failed, last_ended=failed, consecutive_failures=3))

    assert parts.value("refresher_view_last_refresh_success") == 0
    assert parts.value("refresher_view_consecutive_failures") == 3
    assert parts.value("refresher_view_last_refresh_lock_wait_seconds") is None


@pytest.mark.parametrize("view", [make_view(), make_plain_view()], ids=lambda view: view.kind)
def test_broken_checks_are_counted(parts: Parts, view: View) -> None:
    broken = tuple(
        BrokenCheck(check=name, message="it is", broken_since=NOON, checked_at=NOON)
        for name in ("columns", "not_null")
    )
    parts.publish(make_view_snapshot(view, broken_checks=broken))

    assert parts.value("refresher_view_checks_broken") == 2


def test_a_refresh_in_flight_shows_since_when(parts: Parts) -> None:
    view = make_view()
    running = make_run(id=8, outcome=None, started_at=NOON + timedelta(seconds=9))
    stored = make_stored(view, running=True, paused_until=NOON + timedelta(hours=1))
    parts.publish(make_view_snapshot(view, stored=stored, last_run=running))

    assert parts.value("refresher_view_refresh_running") == 1
    assert parts.value("refresher_view_refresh_start_timestamp_seconds") == NOON.timestamp() + 9
    assert parts.value("refresher_view_paused") == 1


def test_only_what_changed_is_written_anew(parts: Parts) -> None:
    parts.publish(make_view_snapshot(), make_view_snapshot(make_view("shop_v")))
    parts.text()
    kept = parts.exposition._samples._pages["crm"].views["shop_v"]

    parts.publish(make_view_snapshot(rows=1), make_view_snapshot(make_view("shop_v")))

    assert parts.value("refresher_view_rows", view="customer_sources") == 1
    assert parts.value("refresher_view_rows", view="shop_v") == 15549
    assert parts.exposition._samples._pages["crm"].views["shop_v"] is kept


def test_views_and_databases_that_are_gone_show_no_more(parts: Parts) -> None:
    parts.publish(make_view_snapshot(), make_view_snapshot(make_view("shop_v")))
    assert "shop_v" in parts.text()

    parts.publish(make_view_snapshot())
    assert "shop_v" not in parts.text()

    for part in (parts.latest, parts.vitals):
        part.keep_databases(["shop"])
    parts.latest.publish(make_snapshot([]))
    parts.latest.fail("crm")
    assert not parts.value("refresher_database_up", database="crm")
    assert parts.value("refresher_database_up", database="shop") == 0
    assert "customer_sources" not in parts.text()


def test_hostile_names_are_escaped(parts: Parts) -> None:
    name = 'a"b\\c\nd{}=,é'
    parts.publish(make_view_snapshot(make_view(name)))

    strict = parse_strictly(parts.text(OPENMETRICS))

    assert ("refresher_view_rows", frozenset({("database", "crm"), ("view", name)})) in strict
    assert parts.value("refresher_view_rows", view=name) == 15549


def test_the_process_shows_itself(parts: Parts) -> None:
    began = time.time()
    parts.publish()
    parts.vitals.tick()
    crm = parts.vitals.of("crm")
    crm.workers_busy, crm.workers_limit, crm.queue_length = 2, 4, 9
    crm.throttled = True
    parts.vitals.listen(ConfigOutdated(database="crm", views=5, newer="host/2/abc"))

    shown = {
        name: value
        for (name, labels), value in parts.samples().items()
        if not name.startswith(("refresher_view_", "refresher_refresh_", "refresher_schedule_"))
        and labels <= {("database", "crm")}
    }

    for moment in (
        "refresher_scheduler_last_tick_timestamp_seconds",
        "refresher_state_last_success_timestamp_seconds",
    ):
        assert began <= shown.pop(moment) <= time.time()
    assert shown == {
        "refresher_workers_busy": 2,
        "refresher_workers_limit": 4,
        "refresher_queue_length": 9,
        "refresher_views_left": 5,
        "refresher_database_throttled": 1,
        "refresher_replicas": 3,
        "refresher_state_read_errors_total": 0,
        "refresher_state_read_duration_seconds": 0.5,
        "refresher_database_up": 1,
        "refresher_database_clock_offset_seconds": 0.25,
        "refresher_database_unmanaged_views": 2,
        "refresher_config_last_reload_successful": 1,
        "refresher_config_last_reload_success_timestamp_seconds": parts.vitals.config_reloaded_at,
    }


def test_scrapes_and_readings_do_not_disturb_each_other(parts: Parts) -> None:
    views = [make_view_snapshot(make_view(f"view_{number}")) for number in range(20)]
    failures: list[BaseException] = []

    def scrape() -> None:
        try:
            for _ in range(8):
                found = parse_strictly(parts.text(OPENMETRICS))
                assert found
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    scrapers = [threading.Thread(target=scrape) for _ in range(3)]
    for scraper in scrapers:
        scraper.start()
    for rows in range(100):
        parts.publish(*(replace(view, rows=rows) for view in views[: rows % 20]))
        parts.histograms.listen(RunFinished(database="crm", run=make_run()))
    for scraper in scrapers:
        scraper.join()

    assert not failures
