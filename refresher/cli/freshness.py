"""`refresher freshness`: why a view is as stale as it is."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from refresher.catalog.introspection import read_graph, read_standing
from refresher.catalog.tables import read_tables
from refresher.cli import render
from refresher.cli.context import load, open_store, pick_views
from refresher.cli.parameters import Command, config_option, json_option
from refresher.cli.reasons import advice, reason
from refresher.cli.table import print_table
from refresher.cli.wording import DISTRUSTED
from refresher.observe.explanation import Explanation, Link, explain
from refresher.observe.families import schedule_in_words
from refresher.observe.model import ViewSnapshot
from refresher.observe.snapshot import read_snapshot

_COLUMNS = ("reads", "as of", "read as of", "data as of", "schedule", "notes")
_INDENT = "  "


@click.command(
    "freshness",
    cls=Command,
    short_help="Explain why a view is as stale as it is.",
    help="Explain why a view is as stale as it is.\n\n"
    "Shows everything its contents come from, down to the base tables, marks the oldest, and says"
    " what to do. Nothing is changed.",
    examples={
        "refresher freshness source_performance": "what makes it so old",
        "refresher freshness source_performance --json": "the same, for programs",
    },
)
@click.argument("view", metavar="VIEW")
@config_option
@json_option
@click.pass_context
def command(context: click.Context, view: str, *, as_json: bool) -> None:
    """Explain a view's staleness."""
    config = load(context)
    database = pick_views(config, [view])[view].database
    managed = config.views_of(database)
    with open_store(config, database) as connection:
        graph = read_graph(connection, managed)
        snapshot = read_snapshot(connection, config.databases[database], managed, graph)
        concerned = {view, *graph.all_upstreams(view)}
        standing = read_standing(connection, {name: managed[name] for name in concerned})
        tables = read_tables(connection, standing)
    explained = explain(view, snapshot, graph, tables)
    if as_json:
        render.print_json(_as_json(explained, snapshot.read_at))
        return
    now = snapshot.read_at
    render.say(_headline(explained.view.snapshot, now))
    render.say("")
    print_table(_COLUMNS, list(_rows(explained, now)))
    render.say("")
    render.say(reason(explained, now))
    if (cure := advice(explained)) is not None:
        render.say(f"{cure.why}: {cure.command}" if cure.command else f"{cure.why}.")


def _headline(view: ViewSnapshot, now: datetime) -> str:
    """`v: stale, 3h behind its base tables; target lag 5m, max staleness 1h`."""
    behind = view.staleness(now)
    told = "how far behind is unknown" if behind is None else f"{render.length(behind)} behind"
    limits = [
        f"{name} {render.length(limit)}"
        for name, limit in (
            ("target lag", view.view.target_lag),
            ("max staleness", view.max_staleness),
        )
        if limit is not None
    ]
    return f"{view.view.name}: {view.state(now).value}, {told}; {', '.join(limits) or 'no limit'}"


def _rows(explained: Explanation, now: datetime) -> Iterator[list[str]]:
    """The tree, a row each: a view that was shown above is not taken apart again."""
    shown: set[str] = set()

    def rows(name: str, depth: int, reader: Link | None) -> Iterator[list[str]]:
        link = explained.links[name]
        again = name in shown
        shown.add(name)
        yield _row(explained, link, reader, depth, again=again, now=now)
        if again:
            return
        # A plain view has nothing of its own: whoever reads it has read what is above it.
        below = link if link.snapshot.view.refreshed else reader
        for upstream in link.reads:
            yield from rows(upstream, depth + 1, below)
        for relation in link.unmanaged:
            unknown = "a materialized view that is not configured: nothing tells how old it is"
            yield [_INDENT * (depth + 1) + relation, *[""] * 4, unknown]
        for table in link.tables:
            kind = (
                "foreign table: nothing tells how old its rows are" if table.elsewhere else "table"
            )
            yield [_INDENT * (depth + 1) + str(table.relation), *[""] * 4, kind]

    yield from rows(explained.path[0], 0, None)


def _row(
    explained: Explanation,
    link: Link,
    reader: Link | None,
    depth: int,
    *,
    again: bool,
    now: datetime,
) -> list[str]:
    view = link.snapshot
    read_at = reader.read.get(link.name) if reader is not None else None
    return [
        _INDENT * depth + link.name,
        render.cell_moment(view.stored.as_of, now),
        render.cell_moment(read_at, now),
        render.cell_moment(view.data_as_of(now), now),
        _schedule(view, now),
        "; ".join(_notes(explained, link, again=again)),
    ]


def _schedule(view: ViewSnapshot, now: datetime) -> str:
    if not view.view.refreshed:
        return ""
    due = render.cell_moment(view.next_due_at, now)
    return schedule_in_words(view.view.schedule) + (f"; next due {due}" if due else "")


def _notes(explained: Explanation, link: Link, *, again: bool) -> list[str]:
    view = link.snapshot
    notes = ["the oldest"] if link is explained.oldest and not view.live else []
    if not view.view.refreshed:
        notes.append("plain view")
    states = {"missing": view.missing, "running": view.stored.running, "paused": view.paused}
    notes += [state for state, holds in states.items() if holds]
    if view.stored.distrust is not None:
        notes.append(DISTRUSTED[view.stored.distrust])
    if view.waiting not in {None, *notes}:
        notes.append(view.waiting or "")
    return [*notes, "see above"] if again and (link.reads or link.tables) else notes


def _as_json(explained: Explanation, now: datetime) -> dict[str, Any]:
    view = explained.view.snapshot
    cure = advice(explained)
    limit = view.view.target_lag
    return {
        **{
            key: view.as_json(now)[key]
            for key in (
                *("database", "view", "state", "data_as_of", "staleness_seconds"),
                "max_staleness_seconds",
            )
        },
        "target_lag_seconds": limit and limit.total_seconds(),
        "path": list(explained.path),
        "cause": explained.cause.value,
        "reason": reason(explained, now),
        "command": cure and cure.command,
        "links": [_link_as_json(link, now) for link in explained.links.values()],
    }


def _link_as_json(link: Link, now: datetime) -> dict[str, Any]:
    row = link.snapshot.as_json(now)
    distrust = link.snapshot.stored.distrust
    return {
        **{key: row[key] for key in ("view", "relation", "kind", "state", "as_of", "data_as_of")},
        "distrust": distrust and distrust.value,
        "schedule": schedule_in_words(link.snapshot.view.schedule)
        if link.snapshot.view.refreshed
        else None,
        "next_due_at": row["next_due_at"],
        "waiting": link.snapshot.waiting,
        "reads": [
            *({"name": name, "kind": "managed"} for name in link.reads),
            *({"name": name, "kind": "unmanaged"} for name in link.unmanaged),
            *(
                {"name": str(table.relation), "kind": "foreign" if table.elsewhere else "table"}
                for table in link.tables
            ),
        ],
        "read_at": {name: as_of and as_of.isoformat() for name, as_of in sorted(link.read.items())},
    }
