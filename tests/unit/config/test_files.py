"""Files that are not what they should be, and files that include others."""

import os
from pathlib import Path

import pytest

from refresher.config.files import MAX_BYTES
from tests.unit.config.project import ONE_DATABASE, Project


@pytest.fixture
def query(project: Project) -> Path:
    """Where the query of the only view belongs."""
    project.views("views: {v: {kind: view}}")
    path = project.folder / "sql/v.sql"
    path.unlink()
    return path


NOT_FOUND = "does not exist; create it, or correct its name"


def test_a_missing_configuration(project: Project) -> None:
    assert project.faults() == [f"config.yaml: {NOT_FOUND}"]


def test_a_missing_query(project: Project, query: Path) -> None:
    assert not query.exists()
    assert project.faults() == [f"config.yaml:2: views.v: the query file sql/v.sql {NOT_FOUND}"]


def test_a_directory(project: Project, query: Path) -> None:
    query.mkdir()
    assert project.faults() == [
        "config.yaml:2: views.v: the query file sql/v.sql is a directory; name a file"
    ]


def test_the_folder_itself(project: Project) -> None:
    problem = project.fault_in_view("sql: .", kind="view")
    assert problem == ".sql: the query file . is a directory; name a file"


def test_a_configuration_that_is_a_directory(project: Project) -> None:
    (project.folder / "config.yaml").mkdir()
    assert project.faults() == ["config.yaml: is a directory; name a file"]


def test_a_pipe_that_nobody_writes_to(project: Project, query: Path) -> None:
    os.mkfifo(query)
    assert project.faults() == [
        "config.yaml:2: views.v: the query file sql/v.sql is not a regular file; name one"
    ]
    (project.folder / "config.yaml").unlink()
    os.mkfifo(project.folder / "config.yaml")
    assert project.faults() == ["config.yaml: is not a regular file; name one"]


def test_a_device_without_end(project: Project, query: Path) -> None:
    query.symlink_to("/dev/zero")
    assert project.faults() == [
        "config.yaml:2: views.v: the query file sql/v.sql is not a regular file; name one"
    ]


def test_links_in_a_circle(project: Project, query: Path) -> None:
    query.symlink_to("v.sql")
    assert project.faults() == [
        (
            "config.yaml:2: views.v: the query file sql/v.sql can't be read (Too many levels of "
            "symbolic links); correct its name, or make it readable"
        )
    ]


def test_a_link_to_a_file_is_a_file(project: Project, query: Path) -> None:
    project.write("other.sql", "SELECT 2")
    query.symlink_to("../other.sql")
    assert project.load().views["v"].query == "SELECT 2"


def test_a_file_that_fails_while_it_is_read(project: Project, query: Path) -> None:
    # A regular file to stat(), and its first page is never mapped: EIO, for root too.
    query.symlink_to("/proc/self/mem")
    assert project.faults() == [
        (
            "config.yaml:2: views.v: the query file sql/v.sql can't be read (Input/output error); "
            "correct its name, or make it readable"
        )
    ]


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000, "config.yaml/x"])
def test_names_the_system_refuses(project: Project, name: str) -> None:
    problem = project.fault_in_view(f"sql: {name}", kind="view")
    assert problem.startswith(f".sql: the query file {name} can't be read (")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"SELECT 1\n\xff", "sql/v.sql:2: views.v: is not UTF-8; save it as UTF-8 text"),
        (b"SELECT\n\n'a\0b'", "sql/v.sql:3: views.v: has a NUL byte; save it as UTF-8 text"),
        (
            "SELECT 'é'".encode("latin-1"),
            ("sql/v.sql:1: views.v: is not UTF-8; save it as UTF-8 text"),
        ),
        (b"", "sql/v.sql:1: views.v: has no query; write one SELECT"),
        (b" \n-- nothing\n", "sql/v.sql:1: views.v: has no query; write one SELECT"),
        (
            b"-" * (MAX_BYTES + 1),
            ("config.yaml:2: views.v: the query file sql/v.sql is larger than 1 MiB; split it"),
        ),
    ],
)
def test_a_query_that_is_no_text(
    project: Project, query: Path, content: bytes, problem: str
) -> None:
    query.write_bytes(content)
    assert project.faults() == [problem]


def test_a_query_of_windows(project: Project, query: Path) -> None:
    query.write_bytes("\ufeffSELECT 1\r\nAS id;\r\n".encode())
    assert project.load().views["v"].query == "SELECT 1\r\nAS id"


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n"))
    folder.mkdir()
    project = Project(folder)
    project.config("views: 1")
    faults = project.faults()
    assert all(fault.isprintable() for fault in faults)
    assert "\\udcff\\n/config.yaml:1" in faults[0] or faults[0].startswith("config.yaml:1")


def test_includes_are_read_in_order_and_once(project: Project) -> None:
    project.config(
        f"""
        {ONE_DATABASE}
        include: [views/*.yaml, views/b.yaml, '*.yaml', '{project.folder}/last.yml']
        views: {{first: {{kind: view, sql: q.sql}}}}
        """
    )
    project.write("q.sql", "SELECT 1")
    for file, view in [("views/b.yaml", "b"), ("views/a.yaml", "a"), ("last.yml", "last")]:
        project.write(file, f"views: {{{view}: {{kind: view, sql: q.sql}}}}")
    config = project.load()
    assert list(config.views) == ["first", "a", "b", "last"]
    names = ["config.yaml", "views/a.yaml", "views/b.yaml", "last.yml", "q.sql"]
    assert config.files == tuple(project.folder / name for name in names)


def test_a_query_of_an_included_view_is_beside_the_main_file(project: Project) -> None:
    project.config(f"{ONE_DATABASE}include: [views/*.yaml]")
    project.write("views/a.yaml", "views: {v: {kind: view}}")
    project.write("sql/v.sql", "SELECT 1")
    assert project.load().views["v"].query_path == project.folder / "sql/v.sql"


@pytest.mark.parametrize(
    ("include", "fault"),
    [
        ("views/*.yaml", ": must be a list, such as [views/*.yaml]"),
        ("[views/*.yaml]", "[0]: matches no file; correct the pattern or remove it"),
        ("['**/x.yaml']", "[0]: can't hold **; name the folders, such as views/*/*.yaml"),
        (f"['{'*/' * 40}x']", "[0]: has more than 32 levels; name files nearer by"),
        ("[5]", "[0]: must be text, such as views/*.yaml"),
        ("['']", "[0]: must be text, such as views/*.yaml"),
        ("[[a]]", "[0]: must be text, such as views/*.yaml"),
        ("['[']", "[0]: matches no file; correct the pattern or remove it"),
        ("[~]", "[0]: has no value; give it one, or remove the key"),
    ],
)
def test_one_fault_in_include(project: Project, include: str, fault: str) -> None:
    project.config(f"{ONE_DATABASE}include: {include}")
    assert project.faults() == [f"config.yaml:2: include{fault}"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "views/a.yaml: is empty; `refresher init` writes an example to begin with"),
        ("[]", "views/a.yaml:1: must be a mapping of names to values"),
        (
            "\n\na: [",
            (
                "views/a.yaml:4: is not YAML: did not find expected node content; check "
                "quotes, colons and indentation"
            ),
        ),
        ("view: {}", "views/a.yaml:1: view: unknown key; did you mean views?"),
        (
            "databases: {}",
            (
                "views/a.yaml:1: databases: belongs in the main file; an included file "
                "holds views only"
            ),
        ),
        ("views:\n", "views/a.yaml:1: views: has no value; give it one, or remove the key"),
        ("views:\n  b: 1", "views/a.yaml:2: views.b: must be a mapping of keys to values"),
    ],
)
def test_a_fault_in_an_included_file_names_that_file(
    project: Project, content: str, fault: str
) -> None:
    project.config(f"{ONE_DATABASE}include: [views/a.yaml]")
    project.write("views/a.yaml", content)
    project.write("sql/b.sql", "SELECT 1")
    assert project.faults() == [fault]


def test_an_included_directory(project: Project) -> None:
    project.config(f"{ONE_DATABASE}include: ['view?']")
    (project.folder / "views").mkdir()
    assert project.faults() == ["views: is a directory; name a file"]
