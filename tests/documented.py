"""docs/commands.md, taken apart."""

import json
import re
from pathlib import Path
from typing import Any

_TEXT = (Path(__file__).parents[1] / "docs" / "commands.md").read_text()

SECTIONS = {
    heading.strip("`"): text
    for heading, _, text in (part.partition("\n") for part in _TEXT.split("\n## ")[1:])
}
"""Command, or other heading, to what is said of it."""


def documents(heading: str) -> list[Any]:
    """The JSON documents a section shows."""
    return [
        json.loads(text) for text in re.findall(r"```json\n(.*?)```", SECTIONS[heading], re.DOTALL)
    ]


def shape(document: Any) -> Any:
    """A document's keys all the way down; of a list, what its entries are like."""
    match document:
        case dict():
            return {key: shape(value) for key, value in document.items()}
        case list():
            return [shape(document[0])] if document else []
        case _:
            return None
