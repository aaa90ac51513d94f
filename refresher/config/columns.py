"""How the checks of columns are written: columns with or without a type, and keys."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, WithJsonSchema

from refresher.config.lexer import SqlError
from refresher.config.model import Column
from refresher.config.query import check_expression
from refresher.config.values import Names, refusal
from refresher.names import check_name

_NAME = {"type": "string", "minLength": 1, "maxLength": 63}
_NAMES = {"type": "array", "items": _NAME, "minItems": 1, "uniqueItems": True}

_NO_COLUMN = "is not a column; write its name, or name: type"
_TWO_MEANINGS = (
    "can mean two things; write [[a, b]] where a and b are unique together,"
    " [[a], [b]] where each is"
)


def _column(value: object) -> Column:
    match value:
        case str(name):
            return Column(_named(name))
        case dict() if len(value) == 1:
            ((name, type_),) = value.items()
            return Column(_named(name), _typed(type_))
    raise refusal(_NO_COLUMN)


def _named(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        otherwise = "has no name that PostgreSQL can hold; write at most 63 bytes"
        raise refusal(str(error), otherwise) from error


def _typed(type_: object) -> str:
    """The type as it is written: only PostgreSQL knows whether there is one of that name."""
    problem = "has no type after the colon; write it like numeric(12,2), in quotes if need be"
    if not isinstance(type_, str):
        raise refusal(problem)
    try:
        return check_expression(type_)
    except SqlError as error:
        raise refusal(problem) from error


def _once(columns: Sequence[Column]) -> Sequence[Column]:
    if len({column.name for column in columns}) < len(columns):
        problem = "has a column twice; keep one"
        raise refusal(problem)
    return columns


def _keys(value: object) -> object:
    """`[a]` for `[[a]]`; `[a, b]` could be meant in two ways."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return value
    if len(value) > 1:
        raise refusal(_TWO_MEANINGS)
    return [value] if value else value


def _distinct_keys(keys: list[list[str]]) -> list[list[str]]:
    if len({frozenset(key) for key in keys}) < len(keys):
        problem = "has a key twice; keep one"
        raise refusal(problem)
    return keys


def _schema(**schema: Any) -> WithJsonSchema:  # noqa: ANN401 - anything JSON can hold
    return WithJsonSchema(schema)


Columns: TypeAlias = Annotated[
    list[
        Annotated[
            InstanceOf[Column],
            BeforeValidator(_column),
            _schema(
                anyOf=[
                    _NAME,
                    {
                        "type": "object",
                        "propertyNames": _NAME,
                        "additionalProperties": {"type": "string", "minLength": 1},
                        "minProperties": 1,
                        "maxProperties": 1,
                    },
                ],
                examples=["id", {"total": "numeric(12,2)"}],
            ),
        ]
    ],
    AfterValidator(_once),
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
]
Keys: TypeAlias = Annotated[
    list[Names],
    BeforeValidator(_keys),
    AfterValidator(_distinct_keys),
    _schema(
        anyOf=[
            {"type": "array", "items": _NAMES, "minItems": 1, "uniqueItems": True},
            {"type": "array", "items": _NAME, "minItems": 1, "maxItems": 1},
        ],
        examples=[[["customer_id"]], [["customer_id", "source"]]],
    ),
    Field(min_length=1),
]
