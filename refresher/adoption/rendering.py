"""A configuration as YAML that people like to read, and that means what it should. Pure.

The strict loader (`config/source.py`) and any other YAML parser read the same: what could be
mistaken for anything but text is in quotes, and a `$` is doubled.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from textwrap import wrap

from refresher.adoption.describe import Described, Value
from refresher.config.faults import printable

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[ ./-][A-Za-z0-9_]+)*")
_TYPED = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_WIDTH = 96
_INDENT = "  "


def render_config(views: Sequence[Described]) -> str:
    """A whole configuration for one database, whose conninfo comes from the environment."""
    template = files(__package__).joinpath("config.yaml").read_text(encoding="utf-8")
    return template.replace("views: {}\n", render_views(views))


def render_views(views: Sequence[Described]) -> str:
    """The section `views`."""
    return "views:\n" + "\n".join("\n".join(_view(view)) + "\n" for view in views)


def render_query(view: Described) -> str:
    """The file of a view's query."""
    return f"-- {printable(str(view.relation))}, as PostgreSQL shows it.\n{view.query}\n"


def _view(view: Described) -> Iterator[str]:
    for note in view.notes:
        mark = f"{_INDENT}# "
        yield from wrap(
            printable(note),
            _WIDTH,
            initial_indent=mark,
            subsequent_indent=f"{mark}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    yield f"{_INDENT}{_key(view.name)}:"
    for key, value in view.keys.items():
        written = _options(value) if key == "options" and isinstance(value, Mapping) else value
        yield from _entry(key, written, _INDENT * 2)


def _options(options: Mapping[str, Value]) -> Mapping[str, Value]:
    """Numbers and truth values as such, where they mean the same text to PostgreSQL."""
    words: Mapping[Value, Value] = {"true": True, "false": False}
    return {
        name: int(value)
        if isinstance(value, str) and _NUMBER.fullmatch(value)
        else words.get(value, value)
        for name, value in options.items()
    }


def _entry(key: str, value: Value, indent: str) -> Iterator[str]:
    line = f"{indent}{_key(key)}: {_flow(value)}"
    if isinstance(value, str | int) or (len(line) <= _WIDTH and not _is_deep(value)):
        yield line
        return
    yield f"{indent}{_key(key)}:"
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _entry(name, inner, indent + _INDENT)
        return
    for inner in value:
        if isinstance(inner, Mapping):
            first, *others = (
                line
                for name, each in inner.items()
                for line in _entry(name, each, indent + _INDENT * 2)
            )
            yield f"{indent}{_INDENT}- {first.lstrip()}"
            yield from others
        else:
            yield f"{indent}{_INDENT}- {_flow(inner)}"


def _is_deep(value: Value) -> bool:
    """Whether it is better read on lines of its own: a mapping, or a list, of others."""
    if isinstance(value, str | int):
        return False
    inner = value.values() if isinstance(value, Mapping) else value
    return any(not isinstance(each, str | int) for each in inner)


def _flow(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _scalar(value.replace("$", "$$"))
        case Mapping():
            entries = (f"{_key(name)}: {_flow(each)}" for name, each in value.items())
            return "{" + ", ".join(entries) + "}"
    return f"[{', '.join(map(_flow, value))}]"


def _key(name: str) -> str:
    """A key: numbers are keys as they are, and no variables are looked for."""
    return name if _NUMBER.fullmatch(name) else _scalar(name)


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _TYPED:
        return text
    if text.isprintable() and "'" not in text and ('"' in text or "\\" in text):
        return f"'{text}'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    match character:
        case '"' | "\\":
            return f"\\{character}"
        case "\n":
            return "\\n"
        case "\t":
            return "\\t"
        case _ if character.isprintable():
            return character
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004 - what two digits hold
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - four
