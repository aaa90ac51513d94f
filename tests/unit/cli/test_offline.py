"""The commands that ask no database."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from refresher.cli.main import _run
from refresher.config.schema import json_schema

Answer = tuple[int, str, str]
Refresher = Callable[..., Answer]


@pytest.fixture
def refresher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refresher:
    """Run a command in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REFRESHER_CONFIG", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def run(*arguments: str) -> Answer:
        code = _run(arguments)
        return code, *capsys.readouterr()

    return run


def test_what_init_writes_is_valid(
    refresher: Refresher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, out, _ = refresher("init")
    assert (code, out) == (0, "wrote config.yaml\nwrote sql/relation_sizes.sql\n")
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        "config.yaml",
        "relation_sizes.sql",
    }
    code, _, err = refresher("validate")
    assert code == 2
    assert "${DATABASE_URL} not set" in err
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/db")
    assert refresher("validate") == (0, "1 view, 1 database: valid\n", "")


def test_init_makes_the_directory_it_is_given(refresher: Refresher, tmp_path: Path) -> None:
    code, out, _ = refresher("init", "a/b", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"written": ["a/b/config.yaml", "a/b/sql/relation_sizes.sql"]},
    )
    assert (tmp_path / "a" / "b" / "config.yaml").is_file()


@pytest.mark.parametrize("file", ["config.yaml", "sql/relation_sizes.sql"])
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_init_never_overwrites(refresher: Refresher, tmp_path: Path, file: str, kind: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    if kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = refresher("init")
    assert (code, out) == (2, "")
    assert err == f"refresher: {file} is there already; remove it, or choose another directory\n"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("obstacle", ["folder", "folder/sql"])
def test_init_says_where_it_can_not_write(
    refresher: Refresher, tmp_path: Path, obstacle: str
) -> None:
    (tmp_path / obstacle).parent.mkdir(exist_ok=True)
    (tmp_path / obstacle).write_text("a file where a directory is needed")
    code, out, err = refresher("init", "folder")
    assert code in {1, 2}
    assert out == ""
    assert err.startswith("refresher: ")
    assert "folder" in err


def test_the_schema_is_printed(refresher: Refresher) -> None:
    code, out, err = refresher("config", "schema")
    assert (code, json.loads(out), err) == (0, json_schema(), "")


def test_every_fault_is_told(
    refresher: Refresher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "host=db password=hunter2")
    (tmp_path / "config.yaml").write_text(
        'databases: {crm: {conninfo: "${DATABASE_URL}", max_paralel: 2}}\n'
        "views:\n  a: {kind: materialised_view}\n"
    )
    code, out, err = refresher("validate")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0].startswith("refresher: config.yaml:1: databases.crm.max_paralel: unknown key;")
    assert lines[1].startswith("config.yaml:3: views.a.kind: 'materialised_view' is not known")
    code, out, err_json = refresher("validate", "--json")
    assert (code, err_json) == (2, "")
    document = json.loads(out)
    assert document == {
        "valid": False,
        "views": None,
        "databases": None,
        "errors": ["\n".join(lines).removeprefix("refresher: ").splitlines()[0], *lines[1:]],
        "drift": None,
        "notes": [],
    }
    assert "hunter2" not in err + out


def test_a_valid_configuration_as_json(
    refresher: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/db")
    refresher("init")
    code, out, err = refresher("validate", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "valid": True,
        "views": 1,
        "databases": 1,
        "errors": [],
        "drift": None,
        "notes": [],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "relation_size"),
        ("plan", "relation_size"),
        ("apply", "relation_size"),
        ("run-now", "relation_size"),
        ("history", "relation_size"),
        ("pause", "relation_size", "--for", "1h"),
        ("resume", "relation_size"),
    ],
)
def test_an_unknown_view_is_answered_with_the_nearest(
    refresher: Refresher, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/db")
    refresher("init")
    assert refresher(*arguments) == (
        2,
        "",
        "refresher: config.yaml has no view 'relation_size'; did you mean relation_sizes?\n",
    )


@pytest.mark.parametrize(
    "conninfo",
    [
        "postgresql://me:hunter2@127.0.0.1:1/db",
        "host=127.0.0.1 port=1 password=hunter2",
        "postgresql://me:hunter2@127.0.0.1:port/db",
        "postgresql://me:hunter2/x@127.0.0.1:1/db",
        "postgresql://me:x@hunter2@127.0.0.1:1/db",
        "host=127.0.0.1 hunter2",
        "hunter2",
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "--database"),
        ("validate", "--database", "--json"),
        ("plan",),
        ("plan", "--json"),
        ("apply",),
        ("apply", "--json"),
        ("destroy", "relation_sizes", "--yes", "--json"),
        ("run-now", "--all"),
        ("status",),
        ("status", "--json"),
        ("history", "relation_sizes"),
        ("pause", "relation_sizes", "--for", "1h"),
    ],
)
def test_an_unreachable_database_is_3_and_no_secret_is_told(
    refresher: Refresher,
    monkeypatch: pytest.MonkeyPatch,
    conninfo: str,
    arguments: tuple[str, ...],
) -> None:
    refresher("init")
    monkeypatch.setenv("DATABASE_URL", conninfo)
    code, out, err = refresher(*arguments)
    assert code in {2, 3}
    assert "main" in out + err
    assert "hunter2" not in out + err
    if "--json" in arguments and code == 3:
        assert json.loads(out) is not None
