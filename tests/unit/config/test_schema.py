"""The JSON Schema of the configuration, and the starter."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from refresher.config.model import Kind, Manual
from refresher.config.schema import json_schema
from refresher.config.starter import STARTER_QUERY_FILE, starter_query, starter_text
from refresher.runs import Strategy
from tests.unit.config.json_schema import fits
from tests.unit.config.project import ONE_DATABASE, Project

SCHEMA = json_schema()
SECTIONS = {"ConfigSection": SCHEMA, **SCHEMA["$defs"]}
KEYS = [
    (section, key, described)
    for section, schema in SECTIONS.items()
    for key, described in schema.get("properties", {}).items()
]
WITH_DEFAULTS = [
    (section, key, described["default"])
    for section, key, described in KEYS
    if "default" in described
]


def test_it_is_json() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(("section", "key", "described"), KEYS)
def test_every_key_is_described_in_one_line(
    section: str, key: str, described: dict[str, Any]
) -> None:
    assert re.fullmatch(r"[^\n]{10,120}\.", described["description"]), (section, key)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_closed_and_described(section: str) -> None:
    schema = SECTIONS[section]
    assert schema["description"]
    assert "enum" in schema or schema["additionalProperties"] is False


def test_null_is_nowhere() -> None:
    text = json.dumps(SCHEMA)
    assert '"null"' not in text
    assert ": null" not in text


def test_the_words_are_those_of_the_model() -> None:
    assert SCHEMA["$defs"]["Kind"]["enum"] == [kind.value for kind in Kind]
    strategies = SCHEMA["$defs"]["ViewSection"]["properties"]["strategy"]["enum"]
    chosen = [strategy.value for strategy in Strategy if strategy is not Strategy.COLUMNS]
    assert strategies == ["auto", *chosen]


PLACES = {
    "ConfigSection": ONE_DATABASE.replace("{", "{{").replace("}", "}}") + "{0}",
    "DatabaseSection": "databases: {{crm: {{conninfo: embedded, {0}}}}}",
    "ServerSection": ONE_DATABASE.replace("{", "{{").replace("}", "}}") + "server: {{{0}}}",
}
IN_A_VIEW = {
    "ViewSection": "{0}",
    "ScheduleSection": "schedule: {{cron: 0 3 * * *, {0}}}",
    "IndexSection": "indexes: [{{columns: [a], {0}}}]",
    "ChecksSection": "checks: {{columns: [a], {0}}}",
    "AuditSection": "key: [a], audit: {{{0}}}",
    "TimeoutsSection": "timeouts: {{{0}}}",
    "RetrySection": "retry: {{{0}}}",
}


@pytest.mark.parametrize(("section", "key", "default"), WITH_DEFAULTS)
def test_a_default_written_out_changes_nothing(
    project: Project, section: str, key: str, default: object
) -> None:
    written = f"{key}: {json.dumps(default)}"
    if section == "DefaultsSection":
        project.views(f"defaults: {{{written}}}\nviews: {{v: {{kind: materialized_view}}}}")
        assert project.load().views["v"] == project.view("")
    elif section in IN_A_VIEW:
        place = IN_A_VIEW[section]
        kind = "view" if section == "ChecksSection" else "materialized_view"
        told, untold = (project.view(place.format(keys), kind=kind) for keys in (written, ""))
        assert told == untold
    else:
        project.config(PLACES[section].format(written))
        explicit = project.load()
        project.config(PLACES[section].format(""))
        assert explicit == project.load()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"databases": {}},
        {"databases": {"crm": {}}},
        {"databases": {"crm": {"conninfo": "x", "unknown": 1}}},
        {"databases": {"a/b": {"conninfo": "x"}}},
        {"databases": {"crm": {"conninfo": "x"}}, "unknown": 1},
        {"databases": {"crm": {"conninfo": "x"}}, "views": {"v": {}}},
        {"databases": {"crm": {"conninfo": "x"}}, "views": {"v": {"kind": "table"}}},
        {"databases": {"crm": {"conninfo": "x"}}, "defaults": {"schedule": {}}},
        {"databases": {"crm": {"conninfo": "x"}}, "defaults": {"schedule": {"every": "12:30"}}},
        {"databases": {"crm": {"conninfo": "x"}}, "defaults": {"schedule": "5m"}},
        {"databases": {"crm": {"conninfo": "x"}}, "defaults": None},
    ],
)
def test_the_schema_refuses_what_loading_refuses(
    project: Project, document: dict[str, Any]
) -> None:
    assert not fits(SCHEMA, document)
    project.config(json.dumps(document).replace('"x"', '"embedded"'))
    assert project.faults()


@pytest.fixture
def starter(project: Project) -> Project:
    project.config(starter_text())
    project.write(STARTER_QUERY_FILE, starter_query())
    project.environment["DATABASE_URL"] = "postgresql://localhost/x"
    return project


def test_the_starter_loads(starter: Project) -> None:
    config = starter.load()
    [view] = config.views.values()
    assert view.key
    assert view.refreshed
    assert view.schedule != Manual()
    assert starter_query().startswith(view.query)


def test_whatever_the_starter_suggests_is_valid(starter: Project) -> None:
    suggested, found = re.subn(r"(?m)^( *)# ([a-z_]+: )", r"\1\2", starter_text())
    assert found > 5
    starter.config(suggested)
    for name in ("big_relations", "relation_totals", "order_counts"):
        starter.write(f"sql/{name}.sql", "SELECT 1")
    starter.write("views/more.yaml", "views: {more: {kind: view}}")
    starter.write("sql/more.sql", "SELECT 1")
    config = starter.load()
    assert config.views["relation_sizes"].max_staleness is not None
    assert list(config.views) == [
        "relation_sizes",
        "big_relations",
        "relation_totals",
        "order_counts",
        "more",
    ]


def test_the_model_is_light_to_import() -> None:
    heavy = {"pydantic", "yaml", "psycopg", "cronsim"}
    program = f"import sys, refresher.config.model; print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"set()\n"
