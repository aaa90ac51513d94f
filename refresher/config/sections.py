"""What a user may write, key by key. The descriptions are the reference documentation's source.

It is long because it is all of the language, in one place.

A key that is not given is None (null itself is refused when the document is read), so that a view
can take it from `defaults`; the defaults shown here are those `model.py` fills in.
"""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    model_validator,
)
from pydantic.config import JsonDict

from refresher.config.columns import Columns, Keys
from refresher.config.model import GRANT_OPTION, Kind
from refresher.config.values import (
    ColumnNumber,
    Conninfo,
    CronText,
    Duration,
    Expression,
    Handle,
    IndexDefinition,
    Interval,
    Limit,
    ListenAddress,
    Name,
    Names,
    OptionName,
    OptionValue,
    Privilege,
    Query,
    Relation,
    Setting,
    Share,
    Timeout,
    TimeZone,
    WeekHours,
    distinct,
    refusal,
)

WORD = "(word)"
KEYS = "(keys)"
UNION_TAGS = frozenset({WORD, KEYS})
"""Steps that pydantic adds to the path of a fault and the user never wrote."""


def _once_each(privileges: list[str]) -> list[str]:
    distinct([privilege.removesuffix(GRANT_OPTION) for privilege in privileges])
    return privileges


def _public_passes_nothing_on(grants: dict[str, list[str]]) -> dict[str, list[str]]:
    if any(privilege.endswith(GRANT_OPTION) for privilege in grants.get("public", ())):
        problem = "gives public a grant option, which only a role can hold; remove it"
        raise refusal(problem)
    return grants


Privileges: TypeAlias = Annotated[
    list[Privilege],
    AfterValidator(_once_each),
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
]
Grants: TypeAlias = Annotated[dict[Name, Privileges], AfterValidator(_public_passes_nothing_on)]
Target: TypeAlias = Annotated[int, Field(ge=0, le=10_000)]
Strategy: TypeAlias = Literal["auto", "full", "concurrent", "merge"]


def _key(description: str, default: JsonValue = None, **limits: Any) -> Any:  # noqa: ANN401 - as pydantic's own Field
    """A key that may be left out; `default` is shown in the schema only."""
    shown: JsonDict = {} if default is None else {"default": default}
    return Field(default=None, description=description, json_schema_extra=shown, **limits)


class Section(BaseModel):
    """A mapping of known keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ThrottleSection(Section):
    """How much a database may have to do for scheduled refreshes to begin."""

    replication_lag: Duration | None = _key("The most by which a connected standby may lag.")
    active_connections: int | None = _key(
        "The most sessions, refresher's apart, that run a statement on the server.", ge=1
    )
    oldest_transaction: Duration | None = _key(
        "The greatest age of a transaction in the database, refresher's apart."
    )


class DatabaseSection(Section):
    """One database refresher works in."""

    conninfo: Conninfo = Field(
        description="A libpq connection string or URI, or the word `embedded`."
    )
    max_parallel: int | None = _key(
        "How many refreshes may run at once, over all replicas.", 4, ge=1, le=100
    )
    session: dict[Setting, str] | None = _key(
        "PostgreSQL settings for every refresh, such as work_mem, by SET LOCAL."
    )
    throttle: ThrottleSection | None = _key("Limits above which scheduled refreshes wait.")


def _one_of(section: Section, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        found = "more than one" if given else "none"
        problem = f"has {found} of {', '.join(names)}; give exactly one"
        raise refusal(problem)


class ScheduleSection(Section):
    """When a view is due: exactly one of `every`, `cron`, `after` and `target_lag`."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [name]} for name in ("every", "cron", "after", "target_lag")],
            "dependentSchemas": {
                "timezone": {"anyOf": [{"required": ["cron"]}, {"required": ["only"]}]}
            },
        }
    )

    every: Interval | None = _key("Due once in every such interval.")
    cron: CronText | None = _key("Due when these five fields match: minute hour day month weekday.")
    after: Literal["upstream"] | None = _key("`upstream`: due when an upstream has newer contents.")
    target_lag: Interval | None = _key(
        "The staleness, back to the base tables, to stay below; what it reads follows."
    )
    only: WeekHours | None = _key("The times of the week in which a refresh may be started by it.")
    timezone: TimeZone | None = _key("The IANA time zone `cron` and `only` are read in.", "UTC")
    jitter: Duration | None = _key("The most by which an instant is put off, to spread the load.")

    @model_validator(mode="after")
    def _is_one_schedule(self) -> Self:
        _one_of(self, ("every", "cron", "after", "target_lag"))
        if self.timezone is not None and self.cron is None and self.only is None:
            problem = "has a timezone without cron or only; remove it"
            raise refusal(problem)
        return self


def _require_manual(value: object) -> object:
    if value != "manual":
        problem = "is not a schedule; write manual, or a mapping such as {every: 5m}"
        raise refusal(problem)
    return value


Schedule: TypeAlias = Annotated[
    Annotated[ScheduleSection, Tag(KEYS)]
    | Annotated[Literal["manual"], BeforeValidator(_require_manual), Tag(WORD)],
    Discriminator(lambda value: WORD if isinstance(value, str) else KEYS),
]


class IndexSection(Section):
    """An index of a materialized view or table: of `columns`, an `expression` or a `definition`."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["columns"]},
                {"required": ["expression"]},
                {
                    "required": ["definition"],
                    "propertyNames": {"enum": ["definition", "unique", "name", "statistics"]},
                },
            ]
        }
    )

    columns: Names | None = _key("The indexed columns, in order.")
    expression: Expression | None = _key("The indexed SQL expression, such as lower(email).")
    definition: IndexDefinition | None = _key(
        "All that follows ON … in pg_get_indexdef, from USING on: for what other keys can't say."
    )
    unique: bool | None = _key("Whether no two rows may agree in it.", default=False)
    method: Name | None = _key("The access method, such as btree, gin or brin.", "btree")
    where: Expression | None = _key("The SQL condition of the rows a partial index covers.")
    include: Names | None = _key("Further columns stored in the index, for index-only scans.")
    name: Name | None = _key("The index's name; made from view and columns when left out.")
    statistics: dict[ColumnNumber, Target] | None = _key(
        "Statistics targets of columns that are expressions, by their numbers from 1."
    )

    @model_validator(mode="after")
    def _is_one_index(self) -> Self:
        _one_of(self, ("columns", "expression", "definition"))
        for name in ("method", "where", "include"):
            if self.definition is not None and getattr(self, name) is not None:
                problem = f"has {name} besides a definition; write it into the definition"
                raise refusal(problem)
        return self


class ChecksSection(Section):
    """Rules on columns and contents; new contents that break one are not shown."""

    model_config = ConfigDict(
        json_schema_extra={"dependentRequired": {"exact_columns": ["columns"]}}
    )

    columns: Columns | None = _key("Columns the view must have, each by name or as name: type.")
    exact_columns: bool | None = _key(
        "Whether it must have exactly these `columns`, in this order.", default=False
    )
    not_null: Names | None = _key("Columns that must have a value in every row.")
    unique: Keys | None = _key("Keys, each a list of columns no two rows may agree in.")
    min_rows: int | None = _key("The fewest rows the view may have.", ge=0)
    max_shrink: Share | None = _key("The largest share of its rows one refresh may lose.")
    assertion: Query | None = Field(
        default=None, alias="assert", description="A query that returns true: one row, one boolean."
    )
    every: Interval | None = _key("How often the checks of a plain view are judged.", "15m")

    @model_validator(mode="after")
    def _has_exact_columns(self) -> Self:
        if self.exact_columns is not None and self.columns is None:
            problem = "has exact_columns without columns; list them"
            raise refusal(problem)
        return self


class AuditSection(Section):
    """How often a refresh looks again at a sample of what it wrote."""

    every: Interval | None = _key("How much time passes at least between two audits.", "24h")
    sample: int | None = _key(
        "How many rows, chosen at random, it looks up in the query again.", 1000, ge=1, le=100_000
    )


class TimeoutsSection(Section):
    """How long a refresh may take."""

    lock: Timeout | None = _key("How long it waits for a lock.", "5s")
    statement: Timeout | None = _key("How long one statement of it may run.", "15m")


class RetrySection(Section):
    """How a failed refresh is tried again, where that can help."""

    attempts: int | None = _key("Attempts at a due instant, the first included.", 3, ge=1, le=100)
    backoff: Duration | None = _key("The wait before the second attempt; it doubles.", "2s")
    max_backoff: Duration | None = _key("The longest wait between two attempts.", "1m")


class SharedSection(Section):
    """What a view may take from `defaults`."""

    owner: Name | None = _key("The role that owns the relation.")
    grants: Grants | None = _key("Privileges by role, complete: whoever is not named has none.")
    strategy: Strategy | None = _key("How the view is refreshed.", "auto")
    allow_blocking: bool | None = _key(
        "Whether `auto` may choose a refresh that blocks readers.", default=False
    )
    schedule: Schedule | None = _key("When the view is due, or the word `manual`.", "manual")
    max_staleness: Limit | None = _key(
        "Staleness above which the view is `stale`, or `none`; by default twice the longest gap of"
        " its schedule and 10m."
    )
    timeouts: TimeoutsSection | None = _key("How long a refresh may wait, and work.")
    retry: RetrySection | None = _key("How a failed refresh is tried again.")
    vacuum: Literal["auto", "never"] | None = _key(
        "Whether it is vacuumed and analysed after refreshes that call for it.", "auto"
    )


class DefaultsSection(SharedSection):
    """What views take that don't say otherwise; a view's value replaces the default whole."""


class OwnSection(Section):
    """What only a view itself can say."""

    kind: Kind = Field(
        strict=False,
        description="What it is in PostgreSQL: view, materialized_view, table, or columns of a"
        " table that is somebody else's.",
    )
    database: Handle | None = _key("The alias of its database; needed when there are several.")
    relation: Relation | None = _key("schema.name, quoted where needed; by default public.<name>.")
    sql: str | None = _key(
        "The file of its query, beside the main configuration file; by default sql/<name>.sql.",
        min_length=1,
    )
    key: Names | None = _key("The columns that identify a row: unique and never null.")
    table: Relation | None = _key("Of the kind `columns`: the table they are in, schema.name.")
    columns: Names | None = _key(
        "Of the kind `columns`: those of the table that are filled from the query's, by the key."
    )
    max_rows_per_second: int | None = _key(
        "Of the kind `columns`: the most rows written in a second; by default as many as can be.",
        ge=1,
    )
    indexes: list[IndexSection] | None = _key("Indexes besides that of the key.")
    group: Handle | None = _key(
        "A name shared by views that are refreshed in one transaction, as of one moment."
    )
    checks: ChecksSection | None = _key("Rules its columns and contents must meet.")
    audit: AuditSection | None = _key(
        "How often a refresh compares a sample of what it wrote with the query."
    )
    comment: str | None = _key("The relation's comment in PostgreSQL.", min_length=1)
    options: dict[OptionName, OptionValue] | None = _key(
        "Relation options by name, as in WITH (…), complete: fillfactor, security_barrier."
    )
    renamed_from: Handle | None = _key("The name the view had here before, to keep its relation.")
    tags: list[Name] | None = _key("Words to find views by.")


class ViewSection(SharedSection, OwnSection):
    """One managed view; its query is in a file of its own."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"kind": {"enum": [Kind.VIEW.value, Kind.MATERIALIZED_VIEW.value]}}},
                {"properties": {"kind": {"const": Kind.TABLE.value}}, "required": ["key"]},
                {"required": ["key", "table", "columns"]},
            ]
        }
    )


class ServerSection(Section):
    """Where `refresher run` serves /metrics, /healthz and /readyz."""

    listen: ListenAddress | None = _key(
        "Address and port; port 0 takes a free one.", "127.0.0.1:9187"
    )
    token_file: str | None = _key("A file with the bearer token a request must carry.")
    tls_cert: str | None = _key("A certificate (chain) in PEM; makes the server speak TLS.")
    tls_key: str | None = _key("The certificate's private key in PEM.")

    @model_validator(mode="after")
    def _has_whole_tls(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            problem = "has only one of tls_cert and tls_key; give both or none"
            raise refusal(problem)
        return self


class IncludedSection(Section):
    """An included file."""

    views: dict[Handle, ViewSection] | None = _key("The managed views, by name.")


class ConfigSection(Section):
    """The main configuration file, as it reads once variables are replaced."""

    model_config = ConfigDict(title="refresher configuration")

    databases: dict[Handle, DatabaseSection] = Field(
        min_length=1, description="The databases refresher works in, by alias."
    )
    include: list[str] | None = _key(
        "Files with further views, as patterns relative to this file: views/*.yaml."
    )
    defaults: DefaultsSection | None = _key("What views take that don't say otherwise.")
    views: dict[Handle, ViewSection] | None = _key("The managed views, by name.")
    server: ServerSection | None = _key("Where `refresher run` serves metrics and health.")
    prune: bool | None = _key(
        "Whether `apply` drops views once applied from here and no longer in it.", default=False
    )
