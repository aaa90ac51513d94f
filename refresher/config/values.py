"""The kinds of values a configuration has: how each is checked, converted and described.

A value may have come out of a variable and be secret, so each kind also knows how to complain
without quoting what it was given.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, JsonValue, WithJsonSchema
from pydantic_core import PydanticCustomError, PydanticKnownError

from refresher.config import parsing
from refresher.config.crontab import check_cron
from refresher.config.model import GRANT_OPTION, PRIVILEGES, Secret
from refresher.config.query import check_expression, check_index_definition, check_query
from refresher.hours import DAYS, Hours, parse_hours
from refresher.names import RelationName, check_name

REFUSED = "refused"
"""The type of a complaint whose context has `problem`, and `otherwise` without the value."""

_NO_SHARE = "is not a share; write it like 20% or 0.2"
_NO_DURATION = "is not a duration that fits; write it like 500ms, 30s, 5m, 1h30m or 7d"
_DURATION_PARTS = r"([0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d|w))+"

_Entry = TypeVar("_Entry")


def refusal(problem: str, otherwise: str | None = None) -> PydanticCustomError:
    """A complaint about a value; `otherwise` replaces `problem` where the value is secret."""
    return PydanticCustomError(
        REFUSED, "{problem}", {"problem": problem, "otherwise": otherwise or problem}
    )


def distinct(values: list[_Entry]) -> list[_Entry]:
    """Refuse a list with two equal entries."""
    if len(set(values)) < len(values):
        problem = "has an entry twice; keep one"
        raise refusal(problem)
    return values


def _text(parse: Callable[[str], object], otherwise: str | None = None) -> BeforeValidator:
    """Text that `parse` accepts; `otherwise` is needed where its messages quote the text."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")  # noqa: EM101 - a type, no message
        try:
            return parse(value)
        except ValueError as error:
            raise refusal(str(error), otherwise) from error

    return BeforeValidator(check)


def _fraction(value: object) -> float:
    if isinstance(value, str):
        try:
            fraction = parsing.parse_percentage(value)
        except ValueError as error:
            raise refusal(str(error), _NO_SHARE) from error
    elif isinstance(value, int | float) and not isinstance(value, bool):
        fraction = float(value)
    else:
        raise refusal(_NO_SHARE)
    if not 0 <= fraction <= 1:
        problem = "is not between 0% and 100%; write it like 20% or 0.2"
        raise refusal(problem)
    return fraction


def _option_text(value: object) -> str:
    """A relation option's value in the words of `pg_class.reloptions`."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return format(Decimal(repr(value)), "f")  # never with an exponent
        case str() if value:
            return value
    problem = "is not an option's value; write a text, a number, true or false"
    raise refusal(problem)


def _string(**schema: JsonValue) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **schema})


_DAY = f"({'|'.join(DAYS)})"
_DAYS = rf"{_DAY}(\s*-\s*{_DAY})?"
_TIME = "[0-9]{1,2}:[0-9]{2}"
_WINDOW = rf"\s*({_DAYS}(\+{_DAYS})*\s+)?{_TIME}\s*-\s*{_TIME}\s*"
_DURATION = _string(pattern=f"^{_DURATION_PARTS}$", examples=["500ms", "30s", "1h30m"])
_INTERVAL = _string(pattern=f"^{_DURATION_PARTS}$", examples=["30s", "15m", "1h30m", "7d"])

Duration: TypeAlias = Annotated[timedelta, _text(parsing.parse_wait, _NO_DURATION), _DURATION]
Interval: TypeAlias = Annotated[timedelta, _text(parsing.parse_interval, _NO_DURATION), _INTERVAL]
Timeout: TypeAlias = Annotated[timedelta, _text(parsing.parse_timeout, _NO_DURATION), _DURATION]
Limit: TypeAlias = Annotated[
    timedelta | Literal["none"],
    _text(parsing.parse_limit, "is neither a duration that fits nor none; write it like 26h"),
    _string(pattern=f"^({_DURATION_PARTS}|none)$", examples=["26h", "none"]),
]
Name: TypeAlias = Annotated[
    str,
    _text(check_name, "is not a name PostgreSQL can hold; write at most 63 bytes"),
    _string(minLength=1, maxLength=63),
]
Handle: TypeAlias = Annotated[
    str,
    _text(parsing.check_handle, "can't name a view or a database; write it like customer_sources"),
    _string(pattern=r"^[^/.\s-]([^/]*[^/\s])?$", maxLength=63),
]
Names: TypeAlias = Annotated[
    list[Name],
    AfterValidator(distinct),
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
]
Relation: TypeAlias = Annotated[
    RelationName,
    _text(RelationName.parse, "is not a relation; write schema.name, quoted where needed"),
    _string(examples=["public.customer_sources", 'crm."Customer Sources"']),
]
Setting: TypeAlias = Annotated[
    str,
    _text(parsing.check_setting, "is not a setting that can be given; write it like work_mem"),
    _string(pattern=f"^{parsing.SETTING.pattern}$"),
]
Conninfo: TypeAlias = Annotated[
    InstanceOf[Secret],
    _text(parsing.parse_conninfo),
    _string(examples=["${DATABASE_URL}", "service=crm", "embedded"]),
]
CronText: TypeAlias = Annotated[
    str,
    _text(check_cron, "is not a cron expression of five fields; write it like 0 3 * * *"),
    _string(examples=["0 3 * * *", "*/15 8-18 * * 1-5"]),
]
TimeZone: TypeAlias = Annotated[
    ZoneInfo,
    _text(parsing.parse_zone, "is not a time zone; write it like Europe/Amsterdam"),
    _string(examples=["Europe/Amsterdam", "UTC"]),
]
WeekHours: TypeAlias = Annotated[
    InstanceOf[Hours],
    _text(parse_hours, "is not times of the week; write them like mon-fri 06:00-20:00"),
    _string(
        pattern=f"^{_WINDOW}(,{_WINDOW})*$",
        examples=["mon-fri 06:00-20:00", "22:00-06:00, sat+sun 00:00-24:00"],
    ),
]
ListenAddress: TypeAlias = Annotated[
    parsing.Address,
    _text(parsing.parse_address, "is not an address; write it like 127.0.0.1:9187 or [::1]:9187"),
    _string(pattern="^.+:[0-9]{1,5}$", examples=["127.0.0.1:9187", "[::1]:9187"]),
]
Share: TypeAlias = Annotated[
    float,
    BeforeValidator(_fraction),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"},
                {"type": "number", "minimum": 0, "maximum": 1},
            ],
            "examples": ["20%", 0.2],
        }
    ),
]
Expression: TypeAlias = Annotated[
    str, _text(check_expression, "is not one SQL expression; correct it"), _string(minLength=1)
]
IndexDefinition: TypeAlias = Annotated[
    str,
    _text(check_index_definition, "is not an index's definition; write it like USING gin (tags)"),
    _string(minLength=1, examples=["USING gin (name gin_trgm_ops)"]),
]
ColumnNumber: TypeAlias = Annotated[
    int,
    _text(parsing.parse_column_number, "is not the number of an index's column"),
    _string(pattern=f"^({parsing.COLUMN_NUMBER.pattern})$"),
]
Privilege: TypeAlias = Annotated[
    str,
    _text(parsing.check_privilege, "is not a privilege; write it like select"),
    _string(
        pattern=f"^({'|'.join(PRIVILEGES)})({GRANT_OPTION})?$",
        examples=["select", "select with grant option"],
    ),
]
OptionName: TypeAlias = Annotated[
    str,
    _text(parsing.check_option, "is not an option's name; write it like fillfactor"),
    _string(pattern=f"^{parsing.OPTION.pattern}$"),
]
OptionValue: TypeAlias = Annotated[
    str,
    BeforeValidator(_option_text),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "minLength": 1}, {"type": "number"}, {"type": "boolean"}]}
    ),
]
Query: TypeAlias = Annotated[
    str, _text(check_query, "is not one query; write one SELECT"), _string(minLength=1)
]
