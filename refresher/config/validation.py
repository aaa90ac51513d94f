"""From a node to a section: pydantic judges, and its complaints become faults with a place."""

import re
from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from refresher.config.faults import Faults, KeyPath, shorten, suggest
from refresher.config.nodes import Entries, Scalar, Spot, plain
from refresher.config.sections import UNION_TAGS, Section
from refresher.config.values import REFUSED

_S = TypeVar("_S", bound=Section)

_LONG = 300
"""A complaint longer than this quotes something huge."""

_PROBLEMS = {
    "string_type": "must be text; put it in quotes",
    "int_type": "must be a whole number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "list_type": "must be a list, such as [a, b]",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "too_short": "is empty; fill it or remove the key",
    "string_too_short": "is empty; fill it or remove the key",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}
_ANY_PROBLEM = "can't be used; `refresher config schema` tells what can"


def read_section(model: type[_S], spot: Spot, faults: Faults) -> _S | None:
    """What a node says, as a section; None if it has faults, which are noted."""
    try:
        return model.model_validate(plain(spot.node))
    except ValidationError as error:
        complaints = error.errors(include_url=False, include_input=False)
    for complaint in complaints:
        if faults.enough:
            break
        _note(model, spot, complaint, faults)
    return None


def read_entries(spot: Spot, faults: Faults) -> dict[str, Spot]:
    """The entries of a mapping, each with its spot; a fault if it is none."""
    match spot.node:
        case Entries(entries=entries):
            return {key: spot.below((key,)) for key in entries}
        case Scalar(broken=True):
            pass
        case _:
            faults.add(spot.place(), spot.path, "must be a mapping of names to values")
    return {}


def key_names(model: type[Section]) -> list[str]:
    """The keys a user may write in a section."""
    return [field.alias or name for name, field in model.model_fields.items()]


def unknown_key(key: str, model: type[Section]) -> str:
    """What is wrong with a key that a section doesn't have."""
    return f"unknown key; {suggest(key, key_names(model))}"


def _note(model: type[Section], spot: Spot, complaint: ErrorDetails, faults: Faults) -> None:
    steps = tuple(step for step in complaint["loc"] if step not in UNION_TAGS)
    found = spot.below(steps)
    if isinstance(found.node, Scalar) and found.node.broken:
        return
    match complaint["type"]:
        case "extra_forbidden":
            problem = unknown_key(str(steps[-1]), _section_at(model, steps[:-1]))
        case "missing":
            problem = f"{steps[-1]} is missing; add it"
        case kind:
            problem = _problem(kind, found, complaint.get("ctx", {}))
    faults.add(found.place(), found.path, problem)


def _problem(kind: str, spot: Spot, context: dict[str, Any]) -> str:
    match kind:
        case "literal_error" | "enum":
            return _unknown_word(spot, re.findall("'([^']*)'", context["expected"]))
        case _ if kind == REFUSED:
            return _refusal(spot, context["problem"], context["otherwise"])
        case _:
            return _PROBLEMS.get(kind, _ANY_PROBLEM).format(**context)


def _unknown_word(spot: Spot, words: list[str]) -> str:
    match spot.node:
        case Scalar(raw=raw):
            return f"{shorten(raw)!r} is not known here; {suggest(raw, words)}"
        case _:
            return f"must be one word; {suggest('', words)}"


def _refusal(spot: Spot, problem: str, otherwise: str) -> str:
    match spot.node:
        case Scalar(replaced=True, raw=raw):
            return f"{shorten(raw)} {otherwise}"
        case Scalar(raw=raw) if len(problem) > _LONG:
            return f"{shorten(raw)!r} {otherwise}"
        case _:
            return otherwise if len(problem) > _LONG else problem


def _section_at(model: type[Section], steps: KeyPath) -> type[Section]:
    """The section a path leads to; steps that are no keys of a section are names or positions."""
    for step in steps:
        field = model.model_fields.get(str(step))
        if field is not None:
            model = next(_sections_in(field.annotation), model)
    return model


def _sections_in(annotation: object) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)
