"""YAML, read strictly: what it says is what you get.

PyYAML's loaders turn `12:30` into 750, `0123` into 83 and `on` into true, keep the last of two
equal keys and follow aliases that explode. Here only `true`, `false`, whole and decimal numbers are
anything but text; keys are unique; tags, anchors and aliases are refused; depth is bounded. The
document is built from parser events, without recursion: nothing in it can exhaust the stack.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from refresher.config.faults import Faults, KeyPath, Place, shorten
from refresher.config.files import UnreadableError, read_text
from refresher.config.nodes import Entries, Items, Node, Scalar, Spot, Value
from refresher.config.variables import VariableError, Variables

MAX_DEPTH = 16
"""Twice what the deepest key needs."""

_LOADER: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml is ten times as fast; PyYAML may be built without it

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a UTF-16 pair: from an escape in quotes, or a variable that is not UTF-8."""
_EMPTY = "is empty; `refresher init` writes an example to begin with"
_NO_VALUE = "has no value; give it one, or remove the key"
_QUOTED = re.compile(r"""(['"])[^'"\s]{2,}\1""")


def read_document(path: Path, variables: Variables, faults: Faults) -> Spot | None:
    """Read one YAML file; None if it can't be used at all.

    Faults are noted, not raised, so that those of all files are reported together.
    """
    try:
        root = _Builder(path, variables, faults).build(_events(read_text(path)))
    except UnreadableError as error:
        faults.add(Place(file=path, line=error.line), (), str(error))
        return None
    return Spot(file=path, path=(), node=root, line=root.line)


def _events(text: str) -> Iterator[yaml.Event]:
    if match := _CONTROL.search(text):
        problem = f"has the control character {match.group()!r}; remove it"
        raise UnreadableError(problem, text.count("\n", 0, match.start()) + 1)
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise UnreadableError(_explain(error), line) from error
    except yaml.YAMLError as error:
        problem = "is not YAML; check quotes and indentation"
        raise UnreadableError(problem) from error


def _explain(error: yaml.MarkedYAMLError) -> str:
    # The parser's own words may quote the text, and that may be a password: words only.
    problem = _QUOTED.sub("…", error.problem or "syntax error")
    context = error.context or ""
    if any(word in context for word in ("alias", "anchor", "tag", "directive")) or (
        "start any token" in problem
    ):
        advice = "put values that begin with * & ! % @ or ` in quotes; indent with spaces, not tabs"
    else:
        advice = "check quotes, colons and indentation"
    return f"is not YAML: {problem}; {advice}"


@dataclass(frozen=True, slots=True)
class _OpenItems:
    """A list whose end has not come yet."""

    node: Items
    path: KeyPath

    def next_path(self) -> KeyPath:
        """Where the next value will stand."""
        return (*self.path, len(self.node.items))

    def put(self, node: Node) -> None:
        self.node.items.append(node)


@dataclass(slots=True)
class _OpenEntries:
    """A mapping whose end has not come yet."""

    node: Entries
    path: KeyPath
    key: str | None = None
    """The key whose value comes next; None where a key is to come."""
    given_twice: bool = False
    """Whether that key was there before: its value is read and dropped."""

    def next_path(self) -> KeyPath:
        """Where the next value will stand; the mapping itself while a key is to come."""
        return self.path if self.key is None else (*self.path, self.key)

    def put(self, node: Node) -> None:
        if self.key is not None and not self.given_twice:
            self.node.entries[self.key] = node
        self.key = None


class _Builder:
    """Turns parser events into nodes."""

    def __init__(self, file: Path, variables: Variables, faults: Faults) -> None:
        self._file = file
        self._variables = variables
        self._faults = faults
        self._open: list[_OpenItems | _OpenEntries] = []
        self._root: Node | None = None

    def build(self, events: Iterator[yaml.Event]) -> Node:
        for event in events:
            # The stubs allow for events that nobody parsed; these were.
            line = 1 if event.start_mark is None else event.start_mark.line + 1
            match self._open:
                case [*_, _OpenEntries(key=None) as mapping]:
                    self._take_key(event, mapping, line)
                case _:
                    self._take_value(event, line)
        if self._root is None:
            raise UnreadableError(_EMPTY)
        return self._root

    def _take_key(self, event: yaml.Event, mapping: _OpenEntries, line: int) -> None:
        match event:
            case yaml.MappingEndEvent():
                self._open.pop()
            case yaml.ScalarEvent(value=key):
                if refusal := _decoration(event) or _unusable(key):
                    self._note(line, f"a key: {refusal}")
                if "${" in key:
                    advice = f"write out the key {shorten(key)}"
                    self._note(line, f"variables work in values only; {advice}")
                mapping.key = key
                mapping.given_twice = key in mapping.node.entries
                first = mapping.node.key_lines.setdefault(key, line)
                if mapping.given_twice:
                    self._note(line, f"is given twice, first in line {first}; keep one of them")
            case _:
                problem = "has a key that is no plain text; write text, quoted where needed"
                raise UnreadableError(problem, line)

    def _take_value(self, event: yaml.Event, line: int) -> None:
        match event:
            case yaml.DocumentStartEvent() if self._root is not None:
                problem = "has a second document; keep one"
                raise UnreadableError(problem, line)
            case yaml.AliasEvent():
                problem = "aliases (*) are not allowed; repeat the value, or put it in quotes"
                self._put(self._broken(line, "", problem))
            case yaml.ScalarEvent():
                self._put(self._scalar(event, line))
            case yaml.MappingStartEvent():
                self._begin(event, _OpenEntries(Entries(line=line), self._path()))
            case yaml.SequenceStartEvent():
                self._begin(event, _OpenItems(Items(line=line), self._path()))
            case yaml.SequenceEndEvent():
                self._open.pop()

    def _begin(self, event: yaml.CollectionStartEvent, opened: _OpenItems | _OpenEntries) -> None:
        line = opened.node.line
        if len(self._open) == MAX_DEPTH:
            problem = f"is nested more than {MAX_DEPTH} levels deep; no key needs that"
            raise UnreadableError(problem, line)
        if refusal := _decoration(event):
            self._note(line, refusal)
        self._put(opened.node)
        self._open.append(opened)

    def _path(self) -> KeyPath:
        return self._open[-1].next_path() if self._open else ()

    def _put(self, node: Node) -> None:
        if self._open:
            self._open[-1].put(node)
        else:
            self._root = node

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        raw = event.value
        unquoted = not event.style
        nothing = unquoted and raw in _NOTHING
        if nothing and not self._open:
            raise UnreadableError(_EMPTY)
        try:
            text = self._variables.expand(raw)
            refusal = _decoration(event) or (_NO_VALUE if nothing else _unusable(text))
        except VariableError as error:
            text, refusal = raw, str(error)
        if refusal:
            return self._broken(line, raw, refusal)
        value = _typed(text) if unquoted else text
        return Scalar(line=line, raw=raw, value=value, replaced="${" in raw)

    def _broken(self, line: int, raw: str, problem: str) -> Scalar:
        self._note(line, problem)
        return Scalar(line=line, raw=raw, value=raw, broken=True)

    def _note(self, line: int, problem: str) -> None:
        self._faults.add(Place(file=self._file, line=line), self._path(), problem)


def _typed(text: str) -> Value:
    """What an unquoted scalar is. A variable's value is typed like one written in its place."""
    match text:
        case "true":
            return True
        case "false":
            return False
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text


def _decoration(event: yaml.NodeEvent) -> str | None:
    if event.anchor is not None:
        return "anchors (&) are not allowed; repeat the value, or put it in quotes"
    if getattr(event, "tag", None) is not None:
        return "tags (!) are not allowed; remove it, or put the value in quotes"
    return None


def _unusable(text: str) -> str | None:
    if "\0" in text:
        return "has a NUL character, which PostgreSQL can't hold; remove it"
    if _HALF.search(text):
        return "is not valid Unicode; write it as UTF-8"
    return None
