"""docs/metrics.md and the code name the same metrics, with the same types, units and labels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from refresher.events import RunFinished
from refresher.observe.collector import ProcessCollector
from refresher.observe.families import VIEW_FAMILIES
from refresher.observe.histograms import Histograms
from refresher.observe.latest import Latest
from refresher.observe.vitals import Vitals
from tests.snapshots import make_run, make_snapshot, make_view_snapshot

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "metrics.md").read_text()
ROW = re.compile(r"^\| `(refresher_\w+)` \| (\w+) \| (\S+) \| ([\w, ]*)\| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    name: str
    type: str
    unit: str
    labels: frozenset[str]


def documented() -> Iterator[Entry]:
    for name, type_, unit, labels, meaning in ROW.findall(PAGE):
        assert meaning.strip()
        names = frozenset(filter(None, (label.strip() for label in labels.split(","))))
        yield Entry(name, type_, unit, names)


def exported() -> Iterator[Entry]:
    for family in VIEW_FAMILIES:
        labels = frozenset({"database", "view", *family.labels})
        yield Entry(family.name, family.type, unit_of(family.name), labels)
    for metric in process().collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        labels = frozenset.union(*(frozenset(sample.labels) for sample in metric.samples))
        yield Entry(name, metric.type, unit_of(name), labels - {"le"})


def process() -> ProcessCollector:
    latest, vitals, histograms = Latest(), Vitals(), Histograms()
    for part in (latest, vitals, histograms):
        part.keep_databases(["crm"])
    latest.publish(make_snapshot([make_view_snapshot()]))
    vitals.tick()
    histograms.listen(RunFinished(database="crm", run=make_run()))
    return ProcessCollector(latest, vitals, histograms)


def unit_of(name: str) -> str:
    last = name.removesuffix("_total").rpartition("_")[2]
    return last if last in {"seconds", "bytes"} else "–"  # noqa: RUF001 - the page's dash


def test_page_and_code_agree() -> None:
    page, code = list(documented()), list(exported())

    assert len({entry.name for entry in page}) == len(page)
    assert len({entry.name for entry in code}) == len(code)
    assert set(page) == set(code)


def test_every_row_of_the_page_was_read() -> None:
    assert len(list(documented())) == len(re.findall(r"^\| `refresher_", PAGE, re.MULTILINE))


def test_the_rules_read_only_what_is_exported() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "rules.yaml").read_text()
    expressions = [
        rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]
    ]
    named = re.findall(r"\brefresher_\w+", " ".join(expressions))
    read = {name.removesuffix("_bucket") for name in named}

    assert read
    assert read <= {entry.name for entry in exported()}


def test_the_page_lists_every_recording_rule() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text())
    recorded = [r["record"] for group in rules["groups"] for r in group["rules"] if "record" in r]

    assert re.findall(r"^\| `(refresher:[\w:]+)` \|", PAGE, re.MULTILINE) == recorded
