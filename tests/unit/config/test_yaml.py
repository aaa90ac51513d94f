"""YAML read strictly, by both of PyYAML's parsers."""

from pathlib import Path

import pytest
import yaml

from refresher.config import source
from refresher.config.faults import Faults
from refresher.config.nodes import Entries, Scalar, plain
from refresher.config.variables import Variables


@pytest.fixture(params=[yaml.CSafeLoader, yaml.SafeLoader], ids=["libyaml", "python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    """PyYAML may be built without libyaml: both parsers have to do."""
    monkeypatch.setattr(source, "_LOADER", request.param)
    return request.param


class Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, content: str | bytes) -> tuple[object, list[str]]:
        """What a document says, and what is wrong with it."""
        self._path.write_bytes(content.encode() if isinstance(content, str) else content)
        faults = Faults(self._path)
        spot = source.read_document(self._path, Variables({"N": "4", "EMPTY": ""}), faults)
        found = str(faults.error()).replace(str(self._path), "f") if faults else ""
        return (None if spot is None else plain(spot.node)), found.splitlines()


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path / "document.yaml")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-7", -7),
        ("15000", 15_000),
        ("0.25", 0.25),
        ("-1.5", -1.5),
        ("True", "True"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("1:30:00", "1:30:00"),
        ("0123", "0123"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("1e5", "1e5"),
        (".5", ".5"),
        ("+1", "+1"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("NaN", "NaN"),
        ("2024-01-01", "2024-01-01"),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, "9" * 19),
        ("9" * 5000, "9" * 5000),
        ("'true'", "true"),
        ('"5"', "5"),
        ("'null'", "null"),
        ('""', ""),
        ("=", "="),
        ("|-\n  a\n  b", "a\nb"),
        ('"\\u00e9"', "é"),
        ("5m", "5m"),
        ("20%", "20%"),
        ("${N}", 4),
        ("'${N}'", "4"),
        ("${N}m", "4m"),
        ("${EMPTY}", ""),
        ("${X:-7}", 7),
        ("${X:-}", ""),
        ("${X:-null}", "null"),
        ("${X:-true}", True),
        ("a$$b", "a$b"),
    ],
)
def test_scalars_are_what_they_say(reader: Reader, written: str, value: object) -> None:
    found, faults = reader.read(f"key: {written}\n")
    assert faults == []
    assert found == {"key": value}
    assert type(found["key"]) is type(value)


@pytest.mark.parametrize("key", ["on", "null", "12:30", "'5'", "true", "<<", "~", "1.0"])
def test_keys_are_always_text(reader: Reader, key: str) -> None:
    assert reader.read(f"{key}: x\n") == ({key.strip("'"): "x"}, [])


def test_blocks_and_flows(reader: Reader) -> None:
    text = "a:\n  - x\n  - {b: [1, 2]}\n  -\n    c: {}\n    d: []\n"
    assert reader.read(text) == ({"a": ["x", {"b": [1, 2]}, {"c": {}, "d": []}]}, [])


@pytest.mark.parametrize("content", ["\ufeffa: b\n", "a: b\r\n", "a: b", "---\na: b\n...\n"])
def test_byte_order_marks_and_line_ends_do_not_matter(reader: Reader, content: str) -> None:
    assert reader.read(content) == ({"a": "b"}, [])


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        ("a: 1\nb: 2\na: 3\n", ["f:3: a: is given twice, first in line 1; keep one of them"]),
        ("a: {b: {c: 1, c: 2}}", ["f:1: a.b.c: is given twice, first in line 1; keep one of them"]),
        (
            "a: &x 1\n",
            [("f:1: a: anchors (&) are not allowed; repeat the value, or put it in quotes")],
        ),
        (
            "a: &x [1]\n",
            [("f:1: a: anchors (&) are not allowed; repeat the value, or put it in quotes")],
        ),
        ("a: *x\n", ["f:1: a: aliases (*) are not allowed; repeat the value, or put it in quotes"]),
        (
            "<<: *x\n",
            [('f:1: "<<": aliases (*) are not allowed; repeat the value, or put it in quotes')],
        ),
        (
            "a: !!int '3'\n",
            [("f:1: a: tags (!) are not allowed; remove it, or put the value in quotes")],
        ),
        (
            "a: !x {b: 1}\n",
            [("f:1: a: tags (!) are not allowed; remove it, or put the value in quotes")],
        ),
        (
            "!x a: 1\n",
            [("f:1: a key: tags (!) are not allowed; remove it, or put the value in quotes")],
        ),
        (
            "a:\nb: ~\nc: [null]\n",
            [
                "f:1: a: has no value; give it one, or remove the key",
                "f:2: b: has no value; give it one, or remove the key",
                "f:3: c[0]: has no value; give it one, or remove the key",
            ],
        ),
        ('a: "\\0"\n', ["f:1: a: has a NUL character, which PostgreSQL can't hold; remove it"]),
        (
            '"a\\0": 1\n',
            [("f:1: a key: has a NUL character, which PostgreSQL can't hold; remove it")],
        ),
        ("'${N}': 1\n", ["f:1: variables work in values only; write out the key ${N}"]),
        (
            "a: ${M}\n",
            [("f:1: a: ${M} not set; set it in the environment, or write ${NAME:-default}")],
        ),
    ],
)
def test_what_is_refused_is_named_and_the_rest_is_read(
    reader: Reader, content: str, faults: list[str]
) -> None:
    found, noted = reader.read(content)
    assert noted == faults
    assert isinstance(found, dict)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "f: is empty; `refresher init` writes an example to begin with"),
        ("# nothing\n", "f: is empty; `refresher init` writes an example to begin with"),
        ("null\n", "f: is empty; `refresher init` writes an example to begin with"),
        ("---\n", "f: is empty; `refresher init` writes an example to begin with"),
        ("a: 1\n---\nb: 1\n", "f:2: has a second document; keep one"),
        ("? [a]\n: 1\n", "f:1: has a key that is no plain text; write text, quoted where needed"),
        ("{a: 1}: 1\n", "f:1: has a key that is no plain text; write text, quoted where needed"),
        ("*a : 1\n", "f:1: has a key that is no plain text; write text, quoted where needed"),
        ("[" * 17, "f:1: is nested more than 16 levels deep; no key needs that"),
        (
            "a: b\n" + "x: " + "[" * 500_000,
            ("f:2: is nested more than 16 levels deep; no key needs that"),
        ),
        (b"a: \xff\n", "f:1: is not UTF-8; save it as UTF-8 text"),
        ("a: b".encode("utf-16"), "f:1: has a NUL byte; save it as UTF-8 text"),
        (b"a: 1\nb: \0\n", "f:2: has a NUL byte; save it as UTF-8 text"),
        (b"a: 1\nb: \x07\n", "f:2: has the control character '\\x07'; remove it"),
    ],
)
def test_documents_that_are_of_no_use(reader: Reader, content: str | bytes, fault: str) -> None:
    assert reader.read(content) == (None, [fault])


@pytest.mark.parametrize(
    "content",
    [
        "\ta: 1\n",
        "a: [\n",
        "a: 'b\n",
        "a: b: c\n",
        "a: @hunter2\n",
        "cron: * * * * *\n",
        "a:\n- b\nc d\n",
        "a: `hunter2\n",
        "%TAG ! x\n---\na: !hunter2!b c\n",
        "a: !hunter2!b c\n",
        "a: {b: 1\n",
        "%YAML 9.9\n---\na: 1\n",
        'a: "\\ud800"\n',
        'a: "\\q"\n',
        "hunter2: *\n",
        "a: !<hunter2\n",
    ],
)
def test_what_is_not_yaml_is_said_without_quoting_it(reader: Reader, content: str) -> None:
    _, faults = reader.read(content)
    assert len(faults) == 1
    assert faults[0].startswith("f:")
    assert "hunter2" not in faults[0]
    assert faults[0].isprintable()


@pytest.mark.parametrize("value", ["* * * * *", "*/5 * * * *", "@daily", "!x", "%x", "`x`"])
def test_a_value_that_needs_quotes_is_told_so(reader: Reader, value: str) -> None:
    _, [fault] = reader.read(f"cron: {value}\n")
    assert "in quotes" in fault


def test_an_alias_bomb_stays_small(reader: Reader) -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    found, faults = reader.read("\n".join(layers))
    assert len(faults) == 10 + 9 * 9
    assert len(str(found)) < 1000


def test_every_node_knows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("a:\n  b:\n    - x\n    - c: 1\n      d: y\n")
    spot = source.read_document(path, Variables({}), Faults(path))
    assert spot is not None
    found = spot.below(("a", "b", 1, "d"))
    assert (found.line, found.path) == (5, ("a", "b", 1, "d"))
    assert isinstance(found.node, Scalar)
    beyond = spot.below(("a", "b", 7, "d"))
    assert (beyond.line, beyond.path) == (2, ("a", "b"))
    assert isinstance(spot.below(("nowhere",)).node, Entries)
