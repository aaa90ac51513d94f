"""The tables of docs/config.md, made from the configuration's JSON Schema.

After a change of a key, write them again:

    .venv/bin/python -m tests.unit.docs.config_reference
"""

import json
import re
from pathlib import Path
from typing import Any

from refresher.config.schema import json_schema

PAGE = Path(__file__).parents[3] / "docs" / "config.md"

_SCHEMA = json_schema()
_TABLE = re.compile(r"(<!-- keys of (\w+), .*? -->\n).*?(<!-- end -->)", re.DOTALL)
_DURATION = _SCHEMA["$defs"]["TimeoutsSection"]["properties"]["lock"]["pattern"]
_SECTIONS = {
    "ScheduleSection": "[schedule](#schedule)",
    "IndexSection": "[indexes](#indexes)",
    "ChecksSection": "[checks](#checks)",
    "AuditSection": "[audit](#audit)",
    "TimeoutsSection": "[timeouts](#timeouts)",
    "RetrySection": "[retry](#retry)",
    "DatabaseSection": "[database](#databases)",
    "ThrottleSection": "[throttle](#databases)",
    "DefaultsSection": "[defaults](#defaults)",
    "ViewSection": "[view](#views)",
    "ServerSection": "[server](#server)",
}


def render(page: str) -> str:
    """The page with its tables as the schema has them; its other text stays."""
    return _TABLE.sub(lambda found: f"{found[1]}{table(found[2])}{found[3]}", page)


def sections() -> set[str]:
    """Every section a user may write, by the name the schema has for it."""
    nested = {name for name, schema in _SCHEMA["$defs"].items() if "properties" in schema}
    return {"ConfigSection", *nested}


def tables(page: str) -> list[str]:
    """The sections that have a table on the page."""
    return [name for _, name, _ in _TABLE.findall(page)]


def all_keys() -> set[str]:
    """The keys of all sections."""
    return {key for name in sections() for key in _section(name)["properties"]}


def table(section: str) -> str:
    """The keys of one section."""
    schema = _section(section)
    required = schema.get("required", [])
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, value in schema["properties"].items():
        default = "required" if key in required else _default(value)
        meaning = value["description"].replace("<", "&lt;")
        lines.append(f"| `{key}` | {_type(value)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _section(name: str) -> dict[str, Any]:
    section: dict[str, Any] = _SCHEMA if name == "ConfigSection" else _SCHEMA["$defs"][name]
    return section


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return "–"  # noqa: RUF001 - as in the other pages' tables
    default = schema["default"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _type(schema: dict[str, Any]) -> str:
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            return _SECTIONS.get(name) or _type(_SCHEMA["$defs"][name])
        case {"enum": list(words)}:
            return " or ".join(f"`{word}`" for word in words)
        case {"oneOf": list(choices)} | {"anyOf": list(choices)}:
            return " or ".join(map(_type, choices))
        case {"type": "array", "items": items}:
            return f"list of {_several(items)}"
        case {"type": "object"}:
            values = schema["additionalProperties"] or next(
                iter(schema["patternProperties"].values())
            )
            return f"mapping of names to {_several(values)}"
    return _scalar(schema)


def _several(schema: dict[str, Any]) -> str:
    match schema:
        case {"type": "string", "enum": list(words)}:
            return ", ".join(f"`{word}`" for word in words)
        case {"type": "string"}:
            return "texts"
        case {"type": "array"}:
            return f"lists of {_several(schema['items'])}"
        case {"anyOf": [{"type": "string"}, {"type": "object"} as mapping]}:
            return f"texts or {_type(mapping)}"
    return _type(schema)


def _scalar(schema: dict[str, Any]) -> str:
    match schema:
        case {"const": word}:
            return f"`{word}`"
        case {"type": "boolean"}:
            return "`true` or `false`"
        case {"type": "string"}:
            return _text(schema.get("pattern", ""))
    name = "whole number" if schema["type"] == "integer" else "number"
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"{name} from {least} to {most}"
    return name if least is None else f"{name}, {least} or more"


def _text(pattern: str) -> str:
    if pattern == _DURATION:
        return "duration"
    if pattern == f"^({_DURATION[1:-1]}|none)$":
        return "duration or `none`"
    return "percentage" if pattern.endswith("%$") else "text"


def write() -> None:
    """Write the tables into the page."""
    PAGE.write_text(render(PAGE.read_text()))


if __name__ == "__main__":
    write()
