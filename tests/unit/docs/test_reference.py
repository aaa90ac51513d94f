"""The tables of the pages say what the code says."""

import re
import tomllib
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from refresher.cli.main import cli
from refresher.config.model import Kind, StrategyChoice
from refresher.config.sections import DefaultsSection
from refresher.config.validation import key_names
from refresher.definitions.compare import Aspect
from refresher.definitions.result import StepOutcome
from refresher.errors import FailureReason
from refresher.events import (
    ApplyRefused,
    CheckBroken,
    CheckMended,
    ConfigCurrent,
    ConfigOutdated,
    ConfigRejected,
    ConfigReloaded,
    DaemonStarted,
    DaemonStopped,
    DaemonStopping,
    DatabaseDown,
    DatabaseThrottled,
    DatabaseUnthrottled,
    DatabaseUp,
    DriftFound,
    DriftGone,
    DriftUnknown,
    Event,
    RefreshedOutside,
    RunFinished,
    RunProgressed,
    RunStarted,
    StepEnded,
    ThrottleUnmeasured,
    VerifyMismatch,
    ViewDegraded,
    ViewVacuumed,
)
from refresher.freshness import State
from refresher.observe.log import _line
from refresher.refresh.retry import may_pass
from refresher.runs import Outcome, Strategy, Trigger
from tests.pages import DOCS, ROOT, blocks, codes, rows, section
from tests.snapshots import make_run
from tests.unit.config.project import Project
from tests.unit.docs import config_reference

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
GLOSSARY = DOCS / "glossary.md"
CONFIG = DOCS / "config.md"
LOGS = DOCS / "logs.md"
WORDS: list[type[StrEnum]] = [Kind, State, Outcome, Trigger, Strategy, FailureReason, Aspect]


def entries(text: str) -> list[str]:
    """The words that have a row of their own, as values do: in backticks."""
    return [codes(row[0])[0] for row in rows(text) if codes(row[0])]


class TestGlossary:
    @pytest.mark.parametrize("words", WORDS, ids=lambda words: words.__name__)
    def test_every_value_is_explained(self, words: type[StrEnum]) -> None:
        assert set(words) <= set(entries(GLOSSARY.read_text()))

    def test_the_choice_of_a_strategy_is_explained(self) -> None:
        _, words = get_args(StrategyChoice)
        assert set(get_args(words)) <= set(entries(GLOSSARY.read_text()))

    def test_every_word_has_a_meaning(self) -> None:
        for word, meaning in rows(GLOSSARY.read_text()):
            assert word
            assert len(meaning.split()) > 3

    def test_what_is_tried_again_comes_first(self) -> None:
        reasons = [
            FailureReason(word) for word in entries(section(GLOSSARY, "Why a refresh failed"))
        ]
        assert sorted(reasons, key=may_pass, reverse=True) == reasons
        assert "The first six" in section(GLOSSARY, "Why a refresh failed")
        assert sum(map(may_pass, reasons)) == 6

    def test_nothing_is_explained_twice_in_one_table(self) -> None:
        for heading in ("When a view is refreshed", "Why a refresh failed", "What is managed"):
            words = [row[0] for row in rows(section(GLOSSARY, heading))]
            assert len(set(words)) == len(words)


class TestConfiguration:
    def test_the_tables_are_those_of_the_schema(self) -> None:
        page = CONFIG.read_text()
        assert config_reference.render(page) == page, "python -m tests.unit.docs.config_reference"

    def test_every_section_has_a_table(self) -> None:
        assert {*config_reference.tables(CONFIG.read_text()), "DefaultsSection"} == (
            config_reference.sections()
        )

    def test_every_default_is_named(self) -> None:
        assert set(key_names(DefaultsSection)) <= set(codes(section(CONFIG, "Defaults")))

    def test_every_key_is_in_an_example(self) -> None:
        shown = "\n".join(block.text for block in blocks(CONFIG, "yaml"))
        keys = config_reference.all_keys()
        assert {key for key in keys if not re.search(rf"\b{key}: ?", shown)} == set()

    def test_errors_are_those_that_are_said(self, tmp_path: Path) -> None:
        project = Project(tmp_path)
        project.config(
            """\
            databases:
              crm:
                conninfo: embedded
                max_paralel: 2
            views:
              customer_sources:
                kind: materialized_view
                schedule: {every: 15min}
            """
        )
        project.write("sql/customer_sources.sql", "SELECT\n  id,\n  source,\nFROM t")
        (shown,) = blocks(CONFIG, "text")
        assert shown.text.removeprefix("refresher: ").splitlines() == project.faults()


EVENTS: list[Event] = [
    RunStarted(database="crm", run=make_run()),
    *(
        RunFinished(
            database="crm",
            run=make_run(outcome=outcome, failure=failure, error="no"),
        )
        for outcome, failure in [
            *((outcome, None) for outcome in Outcome if outcome is not Outcome.FAILED),
            *((Outcome.FAILED, failure) for failure in FailureReason),
        ]
    ),
    DatabaseUp(database="crm"),
    DatabaseDown(database="crm", error="no", retry_in=timedelta()),
    DatabaseThrottled(database="crm", reason="no"),
    DatabaseUnthrottled(database="crm"),
    ThrottleUnmeasured(database="crm", problem="no"),
    ViewVacuumed(database="crm", view="v", command="VACUUM", reason="no", dead_rows=1, seconds=0.1),
    ViewDegraded(database="crm", view="v", problem="no"),
    *(
        StepEnded(database="crm", step="create v", outcome=outcome, detail="no", seconds=0.1)
        for outcome in StepOutcome
    ),
    ApplyRefused(database="crm", problem="no"),
    DriftFound(database="crm", view="v", aspect="owner", message="no"),
    DriftGone(database="crm", view="v", aspect="owner"),
    DriftUnknown(database="crm", problem="no"),
    RefreshedOutside(database="crm", view="v"),
    RunProgressed(database="crm", view="v", rows_done=500, rows_total=9_000),
    CheckBroken(database="crm", view="v", check="columns", message="no"),
    CheckMended(database="crm", view="v", check="columns"),
    VerifyMismatch(database="crm", view="v", rows=2, of=1000, keys=("id=1", "id=7")),
    ConfigReloaded(views=1),
    ConfigRejected(error="no"),
    ConfigOutdated(database="crm", views=2, newer="host/2/abc"),
    ConfigCurrent(database="crm"),
    DaemonStarted(worker="host/1/abc", listen="http://127.0.0.1:9187"),
    DaemonStopping(signal="SIGTERM", running=1),
    DaemonStopped(cancelled=1),
]


class TestLogs:
    def documented(self) -> dict[str, tuple[set[str], set[str]]]:
        """Each event's levels and fields."""
        ended = {
            field for row in rows(section(LOGS, "A run that ended")) for field in names(row[0])
        }
        found = {}
        for event, level, fields, *_ in rows(section(LOGS, "Events")):
            of_a_run = fields == "the same" or "(#a-run-that-ended)" in fields
            found[codes(event)[0]] = names(level), ended if of_a_run else names(fields)
        return found

    def test_events_levels_and_fields_are_the_codes(self) -> None:
        logged: dict[str, tuple[set[str], set[str]]] = {}
        for event in EVENTS:
            level, name, fields = _line(event)
            levels, known = logged.setdefault(name, (set(), set()))
            levels.add(level)
            known.update(fields)
        documented = self.documented()
        del documented["library.warned"]  # no event of ours
        assert documented == logged

    def test_every_event_was_asked_for(self) -> None:
        assert {type(event) for event in EVENTS} == set(get_args(Event))

    def test_every_event_says_what_to_do(self) -> None:
        for row in rows(section(LOGS, "Events")):
            assert len(row) == 5
            assert all(row)


def names(cell: str) -> set[str]:
    return {name.strip() for name in cell.split(",")}


class TestDependencies:
    def test_every_library_has_its_line(self) -> None:
        project = PROJECT["project"]
        wanted = {
            "To run": project["dependencies"],
            "Only with the extra `embedded`": project["optional-dependencies"]["embedded"],
            "To work on it": PROJECT["dependency-groups"]["dev"],
        }
        for heading, requirements in wanted.items():
            listed = [row[0].split()[0] for row in rows(section(DOCS / "dependencies.md", heading))]
            assert sorted(listed) == sorted(
                re.split(r"[\[<>=~!;]", requirement)[0] for requirement in requirements
            )


class TestContributing:
    def test_the_house_is_the_contracts(self) -> None:
        contracts = PROJECT["tool"]["importlinter"]["contracts"]
        (house,) = (contract for contract in contracts if contract["id"] == "house")
        rooms = [codes(row[0]) for row in rows(section(ROOT / "CONTRIBUTING.md", "The house"))]
        assert rooms == [layer.split(" : ") for layer in house["layers"]]


class TestChangelog:
    def test_this_version_is_in_it(self) -> None:
        assert re.search(
            rf"^## \[.+\] {re.escape(PROJECT['project']['version'])}",
            (ROOT / "CHANGELOG.md").read_text(),
            re.MULTILINE,
        )

    def test_every_command_is_in_it(self) -> None:
        named = {
            word for code in codes((ROOT / "CHANGELOG.md").read_text()) for word in code.split()
        }
        assert set(cli.list_commands(click.Context(cli))) <= named


class TestReadme:
    def test_the_demo_says_what_is_shown(self) -> None:
        sources = "".join(path.read_text() for path in (ROOT / "refresher" / "demo").glob("*.py"))
        said = " ".join(re.sub(r'"\s+f?"', "", sources).split())
        (shown,) = blocks(ROOT / "README.md", "text")
        told = [line for line in shown.text.splitlines() if not line.startswith(" ")]
        parts = [part.strip() for line in told for part in re.split(r"[\d,.]*\d\w*", line)]
        phrases = [part for part in parts if len(part.split()) > 2]
        assert len(phrases) > 6
        assert [phrase for phrase in phrases if phrase not in said] == []

    def test_it_fits_a_screen(self) -> None:
        (config,) = blocks(ROOT / "README.md", "yaml")
        assert len(config.text.splitlines()) <= 30
