"""The YAML files of a configuration: the main one and those it includes, as one set of spots."""

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from refresher.config.faults import Faults
from refresher.config.nodes import Entries, Items, Scalar, Spot
from refresher.config.sections import ConfigSection, IncludedSection, Section
from refresher.config.source import read_document
from refresher.config.validation import key_names, read_entries, unknown_key
from refresher.config.variables import Variables

_MAX_LEVELS = 32
"""Folders in an include pattern; the standard library's glob recurses once for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What all YAML files together say."""

    root: Spot
    """The main file as a whole."""
    top: dict[str, Spot] = field(default_factory=dict)
    """The main file's keys."""
    views: dict[str, Spot] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


def read_documents(path: Path, variables: Variables, faults: Faults) -> Documents | None:
    """Read the main file, then what it includes in the order of patterns and names.

    None if the main file is of no use; what is wrong is noted in any case.
    """
    root = read_document(path, variables, faults)
    if root is None:
        return None
    top = _known_entries(root, ConfigSection, faults)
    if not isinstance(root.node, Entries):
        return None
    documents = Documents(root=root, top=top, files=[path])
    _add_views(documents, top.get("views"), faults)
    seen = {os.path.realpath(path)}
    for file in _included(top.get("include"), path.parent, faults):
        if os.path.realpath(file) not in seen:
            seen.add(os.path.realpath(file))
            _add_included(documents, file, variables, faults)
    return documents


def _add_included(documents: Documents, file: Path, variables: Variables, faults: Faults) -> None:
    documents.files.append(file)
    root = read_document(file, variables, faults)
    if root is not None:
        entries = _known_entries(root, IncludedSection, faults)
        _add_views(documents, entries.get("views"), faults)


def _known_entries(root: Spot, model: type[Section], faults: Faults) -> dict[str, Spot]:
    known = key_names(model)
    entries = read_entries(root, faults)
    for key, spot in entries.items():
        if key in known or faults.enough:
            continue
        problem = unknown_key(key, model)
        if key in key_names(ConfigSection):
            problem = "belongs in the main file; an included file holds views only"
        faults.add(spot.place(), spot.path, problem)
    return {key: spot for key, spot in entries.items() if key in known}


def _add_views(documents: Documents, spot: Spot | None, faults: Faults) -> None:
    for name, view in read_entries(spot, faults).items() if spot else ():
        if name in documents.views:
            first = documents.views[name].place()
            faults.add(view.place(), view.path, f"is given twice, first in {first}; keep one")
        else:
            documents.views[name] = view


def _included(spot: Spot | None, folder: Path, faults: Faults) -> Iterator[Path]:
    match spot:
        case Spot(node=Items(items=items)):
            for position in range(len(items)):
                if faults.enough:
                    return
                yield from _matches(spot.below((position,)), folder, faults)
        case Spot(node=Scalar(broken=True)) | None:
            pass
        case _:
            faults.add(spot.place(), spot.path, "must be a list, such as [views/*.yaml]")


def _matches(spot: Spot, folder: Path, faults: Faults) -> Iterator[Path]:
    match spot.node:
        case Scalar(broken=True):
            return
        case Scalar(value=str(pattern)) if pattern:
            problem = _refusal(pattern)
        case _:
            pattern = ""
            problem = "must be text, such as views/*.yaml"
    if not problem:
        found = sorted(glob.glob(pattern, root_dir=folder))  # noqa: PTH207 - a pattern may be absolute
        yield from (folder / name for name in found)
        problem = None if found else "matches no file; correct the pattern or remove it"
    if problem:
        faults.add(spot.place(), spot.path, problem)


def _refusal(pattern: str) -> str | None:
    if "**" in pattern:
        return "can't hold **; name the folders, such as views/*/*.yaml"
    if pattern.count("/") > _MAX_LEVELS:
        return f"has more than {_MAX_LEVELS} levels; name files nearer by"
    return None
