"""Whatever a file holds: a configuration, or one ConfigError. Nothing else, and no hang."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.config.load import load_config
from refresher.config.model import Config
from refresher.config.schema import json_schema
from refresher.errors import ConfigError
from tests.unit.config.documents import CONFIGURATIONS, VIEWS
from tests.unit.config.json_schema import fits
from tests.unit.config.project import ONE_DATABASE

SECRET = "hunter2"  # noqa: S105 - the word these tests look for
ENVIRONMENT = {
    "A": SECRET,
    "B": f"{SECRET}\n- x: [",
    "EMPTY": "",
    "DATABASE_URL": "embedded",
    "BAD": f"{SECRET}\0\udcff",
}
YAML = st.text(
    st.sampled_from("ab:- \n\t\"'[]{},&*!|>%@`#?~${}A0.<=\\é\u2028\ufeff") | st.characters(),
    max_size=80,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "sql").mkdir()
    for name in ("v", "w", "crm", "work_mem"):
        (folder / "sql" / f"{name}.sql").write_text("SELECT 1")
    return folder


def load(folder: Path, content: bytes) -> Config | None:
    """The configuration, or None if it is refused, in words that can be shown to anybody."""
    path = folder / "config.yaml"
    path.write_bytes(content)
    try:
        return load_config(path, ENVIRONMENT)
    except ConfigError as error:
        lines = str(error).splitlines()
    assert lines
    assert all(line.isprintable() and line.startswith("/") for line in lines)
    assert not any(SECRET in line for line in lines)
    return None


@given(content=st.binary(max_size=200))
def test_any_bytes(folder: Path, content: bytes) -> None:
    assert load(folder, content) is None


@given(content=YAML)
def test_any_yaml(folder: Path, content: str) -> None:
    assert load(folder, content.encode(errors="surrogatepass")) is None


@given(content=YAML)
def test_any_yaml_below_a_key(folder: Path, content: str) -> None:
    for key in ("views", "defaults", "server", "include"):
        text = f"{ONE_DATABASE}{key}: {content}\n"
        config = load(folder, text.encode(errors="surrogatepass"))
        assert config is None or config.databases.keys() == {"crm"}


@given(document=CONFIGURATIONS)
def test_what_is_loaded_fits_the_schema(folder: Path, document: object) -> None:
    text = json.dumps(document)
    if load(folder, text.encode()) is not None:
        assert fits(json_schema(), document)


@given(view=VIEWS)
def test_a_view_that_is_loaded_fits_the_schema(folder: Path, view: object) -> None:
    document = {"databases": {"crm": {"conninfo": "embedded"}}, "views": {"v": view}}
    config = load(folder, json.dumps(document).encode())
    if config is not None:
        assert fits(json_schema(), document)
        assert config.views["v"].query == "SELECT 1"


@given(content=st.binary(max_size=100))
def test_any_query(folder: Path, content: bytes) -> None:
    (folder / "any.sql").write_bytes(content)
    text = f"{ONE_DATABASE}views: {{v: {{kind: view, sql: any.sql}}}}"
    config = load(folder, text.encode())
    assert config is None or config.views["v"].query.encode() in content


@given(value=st.text(max_size=20), key=st.sampled_from(["comment", "owner", "relation", "sql"]))
def test_any_value_of_a_variable(folder: Path, value: str, key: str) -> None:
    text = f"{ONE_DATABASE}views: {{v: {{kind: view, {key}: '${{X}}'}}}}"
    path = folder / "config.yaml"
    path.write_text(text)
    try:
        config = load_config(path, {"X": value})
    except ConfigError as error:
        assert f"views.v.{key}: " in str(error)  # noqa: PT017 - either outcome is fine
    else:
        assert list(config.views) == ["v"]
