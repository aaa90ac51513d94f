"""Keys that mean nothing for a view's kind, and those without which it is nothing. Pure."""

from collections.abc import Mapping

from refresher.config.faults import Faults
from refresher.config.model import Kind
from refresher.config.nodes import Entries, Scalar, Spot

_PLAIN = "a plain view has nothing to refresh; remove it, or use a materialized_view"
_JUDGED = "is for plain views: these checks are judged in every refresh; remove it"
_FILLING = "is for the kind columns, which fills those of a table that stands; remove it"
_NOT_FILLING: Mapping[tuple[str, ...], str] = {
    ("table",): _FILLING,
    ("columns",): _FILLING,
    ("max_rows_per_second",): _FILLING,
}
_NO_RELATION = "is for relations of refresher's own, and the table is not; remove it"
_MISFITS: Mapping[object, Mapping[tuple[str, ...], str]] = {
    Kind.VIEW.value: {
        ("key",): _PLAIN,
        ("indexes",): _PLAIN,
        ("strategy",): _PLAIN,
        ("allow_blocking",): _PLAIN,
        ("schedule",): _PLAIN,
        ("retry",): _PLAIN,
        ("vacuum",): _PLAIN,
        ("group",): _PLAIN,
        ("audit",): _PLAIN,
        ("checks", "max_shrink"): "a plain view has no earlier contents to compare with; remove it",
        **_NOT_FILLING,
    },
    Kind.MATERIALIZED_VIEW.value: {("checks", "every"): _JUDGED, **_NOT_FILLING},
    Kind.TABLE.value: {
        ("allow_blocking",): "a table's refresh keeps no reader waiting; remove it",
        ("checks", "every"): _JUDGED,
        **_NOT_FILLING,
    },
    Kind.COLUMNS.value: {
        ("relation",): "is not needed: the table is named by table; remove it",
        ("indexes",): _NO_RELATION,
        ("owner",): _NO_RELATION,
        ("grants",): _NO_RELATION,
        ("comment",): _NO_RELATION,
        ("options",): _NO_RELATION,
        ("vacuum",): _NO_RELATION,
        ("strategy",): "is not needed: there is one way to fill columns; remove it",
        ("allow_blocking",): "filling columns keeps no reader waiting; remove it",
        ("group",): "columns are filled in many transactions, and can't share one; remove it",
        ("audit",): "columns are compared in full by every refresh; remove it",
        ("checks", "columns"): "its columns are those of its table; remove it",
        ("checks", "exact_columns"): "its columns are those of its table; remove it",
        ("checks", "every"): _JUDGED,
    },
}
"""What means nothing for a kind, and why; by kind and path."""
_ONLY_MERGED = "is for materialized views: a table is refreshed by merge; remove it"
_WRONG_STRATEGIES: Mapping[object, Mapping[object, str]] = {
    Kind.MATERIALIZED_VIEW.value: {
        "merge": "is for tables: a materialized view can't be written to; use concurrent"
    },
    Kind.TABLE.value: {"full": _ONLY_MERGED, "concurrent": _ONLY_MERGED},
}


_NEEDED: Mapping[object, Mapping[str, str]] = {
    Kind.TABLE.value: {"key": "a table is maintained by the key of its rows"},
    Kind.COLUMNS.value: {
        "table": "say which table has the columns",
        "key": "columns are filled by the key of the table's rows",
        "columns": "say which columns of the table to fill",
    },
}
"""What a kind can't do without, and why."""


def refuse_misfits(spot: Spot, faults: Faults) -> None:
    """Note the keys of a view that make no sense for its kind, and those that its kind needs."""
    match spot.node:
        case Entries(entries={"kind": Scalar(value=kind)} as entries):
            pass
        case _:
            return
    checks = entries.get("checks")
    given: set[tuple[str, ...]] = {(key,) for key in entries}
    if isinstance(checks, Entries):
        given |= {("checks", key) for key in checks.entries}
    for path, problem in _MISFITS.get(kind, {}).items():
        if path in given:
            _fault(spot.below(path), problem, faults)
    strategy = entries.get("strategy")
    wrong = _WRONG_STRATEGIES.get(kind, {})
    if isinstance(strategy, Scalar) and strategy.value in wrong:
        _fault(spot.below(("strategy",)), wrong[strategy.value], faults)
    if kind == Kind.MATERIALIZED_VIEW.value and "audit" in entries and "key" not in entries:
        _fault(spot.below(("audit",)), "needs a key to tell rows apart; add the key", faults)
    for key, problem in _NEEDED.get(kind, {}).items():
        if key not in entries:
            _fault(spot, f"{key} is missing: {problem}", faults)


def _fault(where: Spot, problem: str, faults: Faults) -> None:
    faults.add(where.place(), where.path, problem)
