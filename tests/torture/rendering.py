"""The chain as SQL and as a user's configuration. Pure."""

from collections.abc import Iterator
from typing import Any, assert_never

from tests.torture.chain import (
    CANONICAL,
    Chain,
    Column,
    Condition,
    Formula,
    Index,
    Question,
    Relation,
    SourceColumn,
)


def quoted(name: str) -> str:
    """A name as SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def query(chain: Chain, position: int) -> str:
    """The query of a view's definition."""
    relation = chain.relations[position]
    expressions = [_expression(chain, position, column) for column in relation.columns]
    columns = ",\n    ".join(
        f"{expression} AS {quoted(column.name)}"
        for expression, column in zip(expressions, relation.columns, strict=True)
    )
    text = f"SELECT\n    {columns}\nFROM public.{quoted(chain.upstream_name(position))} AS u"
    if relation.condition is not None:
        text += f"\nWHERE {_condition(chain, position, relation.condition)}"
    if relation.materialized:
        grouped = [
            expression
            for expression, column in zip(expressions, relation.columns, strict=True)
            if column.id in relation.dimensions
        ]
        text += f"\nGROUP BY {', '.join(grouped)}"
    return text


def _expression(chain: Chain, position: int, column: Column) -> str:
    body = _body(chain, position, column)
    return f"CAST({body} AS {column.cast})" if column.cast else body


def _body(chain: Chain, position: int, column: Column) -> str:
    if column.reads is None:
        counted = column.formula is Formula.COUNT
        return f"CAST({'count(*)' if counted else column.number} AS numeric)"
    source = chain.upstream(position, column.reads)
    given = _canonical(source)
    match column.formula:
        case Formula.SAME:
            return given if column.cast else f"u.{quoted(source.name)}"
        case Formula.PLUS:
            return f"{given} + {column.number}"
        case Formula.UPPER:
            return f"upper({given})"
        case Formula.LATER:
            return f"{given} + interval '{column.number} days'"
        case Formula.SUM | Formula.MAX | Formula.MIN:
            return f"{column.formula}({given})"
        case Formula.CONSTANT | Formula.COUNT:
            message = f"{column.formula} reads nothing"
            raise ValueError(message)
        case _:
            assert_never(column.formula)


def _canonical(column: Column | SourceColumn) -> str:
    return f"CAST(u.{quoted(column.name)} AS {CANONICAL[column.family]})"


def _condition(chain: Chain, position: int, condition: Condition) -> str:
    given = _canonical(chain.upstream(position, condition.reads))
    match condition.question:
        case Question.MODULUS:
            return f"{given} % 7 <> {condition.number}"
        case Question.UNEQUAL:
            return f"{given} <> {condition.number}.5"
        case Question.KNOWN:
            return f"{given} IS NOT NULL"
        case _:
            assert_never(condition.question)


def config(chain: Chain) -> dict[str, Any]:
    """The whole `views` section, each view with its `query`.

    Every aspect is given, so that nothing is left as it stands.
    """
    return {
        relation.name: {**dict(_view(relation)), "query": query(chain, position)}
        for position, relation in enumerate(chain.relations)
    }


def _view(relation: Relation) -> Iterator[tuple[str, Any]]:
    yield "kind", "materialized_view" if relation.materialized else "view"
    yield "owner", relation.owner
    yield "grants", _grants(relation)
    yield "options", dict(relation.options)
    if relation.comment is not None:
        yield "comment", relation.comment.replace("$", "$$")
    if relation.renamed_from is not None:
        yield "renamed_from", relation.renamed_from
    if relation.materialized:
        yield "key", list(relation.key)
        yield "indexes", [_index(relation, index) for index in relation.indexes]


def _grants(relation: Relation) -> dict[str, list[str]]:
    return {
        role: sorted(
            f"{privilege} with grant option" if grantable else privilege
            for privilege, grantable in privileges
        )
        for role, privileges in relation.grants.items()
    }


def _index(relation: Relation, index: Index) -> dict[str, Any]:
    named = {} if index.name is None else {"name": index.name}
    if index.fillfactor is not None:
        return {"definition": index_body(relation, index), **named}
    made: dict[str, Any] = {"columns": _names(relation, index.columns), "method": index.method}
    if index.include:
        made["include"] = _names(relation, index.include)
    if index.partial:
        made["where"] = _known(relation, index)
    return {**made, **named}


def _names(relation: Relation, numbers: tuple[int, ...]) -> list[str]:
    return [relation.column(number).name for number in numbers]


def _known(relation: Relation, index: Index) -> str:
    return f"{quoted(relation.column(index.columns[0]).name)} IS NOT NULL"


def index_body(relation: Relation, index: Index) -> str:
    """An index from USING on, as `pg_get_indexdef` has it but for needless quotes."""
    text = f"USING {index.method} ({', '.join(map(quoted, _names(relation, index.columns)))})"
    if index.include:
        text += f" INCLUDE ({', '.join(map(quoted, _names(relation, index.include)))})"
    if index.fillfactor is not None:
        text += f" WITH (fillfactor='{index.fillfactor}')"
    if index.partial:
        text += f" WHERE ({_known(relation, index)})"
    return text


def create_indexes(relation: Relation, table: str) -> Iterator[str]:
    """What creates all its indexes, the key's first, on something with its columns."""
    keys = ", ".join(map(quoted, relation.key))
    yield f"CREATE UNIQUE INDEX ON {quoted(table)} USING btree ({keys})"
    for index in relation.indexes:
        name = "" if index.name is None else quoted(index.name)
        yield f"CREATE INDEX {name} ON {quoted(table)} {index_body(relation, index)}"


def statements(chain: Chain) -> Iterator[str]:
    """What creates all views from nothing, as one would by hand."""
    for position, relation in enumerate(chain.relations):
        yield from create(chain, position)
        if relation.materialized:
            yield from create_indexes(relation, relation.name)


def create(chain: Chain, position: int) -> Iterator[str]:
    """What creates one view, without its indexes."""
    relation = chain.relations[position]
    kind = "MATERIALIZED VIEW" if relation.materialized else "VIEW"
    name = quoted(relation.name)
    options = ", ".join(f"{option}={value}" for option, value in relation.options.items())
    within = f" WITH ({options})" if options else ""
    yield f"CREATE {kind} {name}{within} AS\n{query(chain, position)}"
    yield f"ALTER {kind} {name} OWNER TO {quoted(relation.owner)}"
    if relation.comment is not None:
        yield f"COMMENT ON {kind} {name} IS {literal(relation.comment)}"
    for role, privileges in relation.grants.items():
        for privilege, grantable in sorted(privileges):
            passed_on = " WITH GRANT OPTION" if grantable else ""
            yield f"GRANT {privilege} ON {name} TO {quoted(role)}{passed_on}"
