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


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    node: Items | Entries
    path: KeyPath
    key: str | None = None
    """The key whose value comes next; None where a key is to come."""
    given_twice: bool = False
    """Whether that key was there before: its value is read and dropped."""


class _Builder:
    """Turns parser events into nodes."""

    def __init__(self, file: Path, variables: Variables, faults: Faults) -> None:
        self._file = file
        self._variables = variables
        self._faults = faults
        self._open: list[_Open] = []
        self._root: Node | None = None

    def build(self, events: Iterator[yaml.Event]) -> Node:
        for event in events:
            self._take(event)
        if self._root is None:
            raise UnreadableError(_EMPTY)
        return self._root

    def _take(self, event: yaml.Event) -> None:
        # The stubs allow for events that nobody parsed; these were.
        line = 1 if event.start_mark is None else event.start_mark.line + 1
        match event:
            case yaml.DocumentStartEvent() if self._root is not None:
                problem = "has a second document; keep one"
                raise UnreadableError(problem, line)
            case yaml.AliasEvent() | yaml.CollectionStartEvent() if self._awaits_key():
                problem = "has a key that is no plain text; write text, quoted where needed"
                raise UnreadableError(problem, line)
            case yaml.AliasEvent():
                problem = "aliases (*) are not allowed; repeat the value, or put it in quotes"
                self._put(self._broken(line, "", problem))
            case yaml.ScalarEvent() if self._awaits_key():
                self._take_key(event, line)
            case yaml.ScalarEvent():
                self._put(self._scalar(event, line))
            case yaml.MappingStartEvent():
                self._begin(event, Entries(line=line))
            case yaml.SequenceStartEvent():
                self._begin(event, Items(line=line))
            case yaml.CollectionEndEvent():
                self._open.pop()

    def _begin(self, event: yaml.CollectionStartEvent, node: Items | Entries) -> None:
        if len(self._open) == MAX_DEPTH:
            problem = f"is nested more than {MAX_DEPTH} levels deep; no key needs that"
            raise UnreadableError(problem, node.line)
        if refusal := _decoration(event):
            self._note(node.line, refusal)
        path = self._path()
        self._put(node)
        self._open.append(_Open(node, path))

    def _awaits_key(self) -> bool:
        innermost = self._open[-1] if self._open else None
        return (
            innermost is not None and isinstance(innermost.node, Entries) and innermost.key is None
        )

    def _path(self) -> KeyPath:
        """Where the next value will stand."""
        if not self._open:
            return ()
        innermost = self._open[-1]
        match innermost.node:
            case Items(items=items):
                return (*innermost.path, len(items))
            case Entries():
                return innermost.path if innermost.key is None else (*innermost.path, innermost.key)

    def _take_key(self, event: yaml.ScalarEvent, line: int) -> None:
        innermost = self._open[-1]
        node = innermost.node
        if not isinstance(node, Entries):
            message = "only mappings have keys"
            raise TypeError(message)
        key = event.value
        if refusal := _decoration(event) or _unusable(key):
            self._note(line, f"a key: {refusal}")
        if "${" in key:
            self._note(line, f"variables work in values only; write out the key {shorten(key)}")
        innermost.key = key
        innermost.given_twice = key in node.entries
        if innermost.given_twice:
            first = node.key_lines[key]
            self._note(line, f"is given twice, first in line {first}; keep one of them")
        else:
            node.key_lines[key] = line

    def _put(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        innermost = self._open[-1]
        match innermost.node:
            case Items(items=items):
                items.append(node)
            case Entries(entries=entries):
                if innermost.key is not None and not innermost.given_twice:
                    entries[innermost.key] = node
                innermost.key = None

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        raw = event.value
        unquoted = not event.style
        refusal = _decoration(event)
        if refusal:
            return self._broken(line, raw, refusal)
        if unquoted and raw in _NOTHING:
            if not self._open:
                raise UnreadableError(_EMPTY)
            return self._broken(line, raw, "has no value; give it one, or remove the key")
        try:
            text = self._variables.expand(raw)
        except VariableError as error:
            return self._broken(line, raw, str(error))
        refusal = _unusable(text)
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
