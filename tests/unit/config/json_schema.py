"""As much of JSON Schema as the configuration's own schema uses; an unknown word is an error."""

import re
from collections.abc import Callable
from typing import Any

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
}
_SAYS_NOTHING = {"$schema", "$defs", "title", "description", "examples", "default"}


def fits(schema: dict[str, Any], value: object) -> bool:
    """Whether a value is what the schema describes."""
    return _fits(schema, value, schema["$defs"])


def _fits(schema: dict[str, Any], value: object, definitions: dict[str, Any]) -> bool:
    def inner(part: dict[str, Any], value: object) -> bool:
        return _fits(part, value, definitions)

    for word, rule in schema.items():
        match word:
            case "$ref":
                fitting = inner(definitions[rule.removeprefix("#/$defs/")], value)
            case "anyOf":
                fitting = any(inner(part, value) for part in rule)
            case "oneOf":
                fitting = sum(inner(part, value) for part in rule) == 1
            case "properties" | "patternProperties" | "additionalProperties":
                fitting = word != _first_of_properties(schema) or _entries(schema, value, inner)
            case _ if word in _SAYS_NOTHING:
                fitting = True
            case _:
                fitting = _RULES[word](rule, value, inner)
        if not fitting:
            return False
    return True


def _first_of_properties(schema: dict[str, Any]) -> str:
    words = ("properties", "patternProperties", "additionalProperties")
    return next(word for word in schema if word in words)


def _entries(
    schema: dict[str, Any], value: object, inner: Callable[[dict[str, Any], object], bool]
) -> bool:
    if not isinstance(value, dict):
        return True
    for key, entry in value.items():
        parts = [schema["properties"][key]] if key in schema.get("properties", {}) else []
        patterns = schema.get("patternProperties", {})
        parts += [part for pattern, part in patterns.items() if re.search(pattern, key)]
        if not parts:
            rest = schema.get("additionalProperties", True)
            if rest is False:
                return False
            parts = [] if rest is True else [rest]
        if not all(inner(part, entry) for part in parts):
            return False
    return True


def _type(rule: str, value: object, _: object) -> bool:
    if isinstance(value, bool):
        return rule == "boolean"
    return isinstance(value, _TYPES[rule])


_Rule = Callable[[Any, Any, Callable[[dict[str, Any], object], bool]], bool]

_RULES: dict[str, _Rule] = {
    "type": _type,
    "enum": lambda rule, value, _: value in rule,
    "const": lambda rule, value, _: value == rule,
    "minimum": lambda rule, value, _: not isinstance(value, int | float) or value >= rule,
    "maximum": lambda rule, value, _: not isinstance(value, int | float) or value <= rule,
    "minLength": lambda rule, value, _: not isinstance(value, str) or len(value) >= rule,
    "maxLength": lambda rule, value, _: not isinstance(value, str) or len(value) <= rule,
    "pattern": lambda rule, value, _: not isinstance(value, str) or bool(re.search(rule, value)),
    "minItems": lambda rule, value, _: not isinstance(value, list) or len(value) >= rule,
    "maxItems": lambda rule, value, _: not isinstance(value, list) or len(value) <= rule,
    "maxProperties": lambda rule, value, _: not isinstance(value, dict) or len(value) <= rule,
    "minProperties": lambda rule, value, _: not isinstance(value, dict) or len(value) >= rule,
    "uniqueItems": lambda _, value, __: (
        not isinstance(value, list) or len({repr(item) for item in value}) == len(value)
    ),
    "items": lambda rule, value, inner: (
        not isinstance(value, list) or all(inner(rule, item) for item in value)
    ),
    "required": lambda rule, value, _: not isinstance(value, dict) or set(rule) <= set(value),
    "propertyNames": lambda rule, value, inner: (
        not isinstance(value, dict) or all(inner(rule, key) for key in value)
    ),
    "dependentSchemas": lambda rule, value, inner: (
        not isinstance(value, dict)
        or all(inner(part, value) for key, part in rule.items() if key in value)
    ),
    "dependentRequired": lambda rule, value, _: (
        not isinstance(value, dict)
        or all(set(needed) <= set(value) for key, needed in rule.items() if key in value)
    ),
}
