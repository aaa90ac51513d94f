# ruff: noqa: INP001 - a script, not part of a package
"""Builds the Grafana dashboards: `python deploy/grafana/build.py` writes `dashboards/*.json`.

What belongs to a view is read only from the recording rules in `deploy/prometheus/rules.yaml`, so
that replicas count once. The classic schema is used, which every Grafana reads since version 8;
the SDK would rather have its successor, which only the newest reads.
"""

import json
from pathlib import Path

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, StackingConfig
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    FieldColor,
    QueryVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    GraphDrawStyle,
    StackingMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DASHBOARDS = Path(__file__).parent / "dashboards"

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_CHOSEN = '{database=~"$database"}'
_GREEN, _YELLOW, _RED, _GREY = "green", "yellow", "red", "text"


def overview() -> Dashboard:
    """How many views are in trouble; then every view; then how it came to this."""
    dashboard = (
        Dashboard("refresher: overview")
        .uid("refresher-overview")
        .description("How fresh the views are that refresher manages.")
        .tags(["refresher"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            QueryVariable("database")
            .label("Database")
            .datasource(_SOURCE)
            .query("label_values(refresher:view_paused:max, database)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(multi=True)
            .include_all(include_all=True)
        )
    )
    for panel in (
        *(_over_limit(), _failing(), _paused(), _unknown(), _worst()),
        *(_away(), _throttled(), _left()),
        *(_views(), _ratio_over_time(), _target_ratio_over_time()),
        *(_runs_over_time(), _line_over_time(), _queue_wait_over_time(), _throttled_over_time()),
    ):
        dashboard = dashboard.with_panel(panel)
    return dashboard


def _over_limit() -> stat.Panel:
    return _number(
        "Over their limit",
        "Views whose staleness is over their max staleness. Paused ones count, too.",
        f"count(refresher:view_staleness:ratio{_CHOSEN} > 1) or vector(0)",
    ).thresholds(_steps((None, _GREEN), (1, _RED)))


def _failing() -> stat.Panel:
    return _number(
        "Failing",
        "Views whose last refresh failed. They show their old contents.",
        f"count(refresher:view_last_refresh_success:max{_CHOSEN} == 0) or vector(0)",
    ).thresholds(_steps((None, _GREEN), (1, _YELLOW)))


def _paused() -> stat.Panel:
    return _number(
        "Paused",
        "Views whose schedule somebody holds. They raise no alerts.",
        f"count(refresher:view_paused:max{_CHOSEN} == 1) or vector(0)",
    ).thresholds(_steps((None, _GREEN), (1, _YELLOW)))


def _unknown() -> stat.Panel:
    return _number(
        "Unknown",
        "Views that are missing, never refreshed, or read contents that nobody refreshes here.",
        'count(refresher:view_state:max{database=~"$database", state="unknown"} == 1) or vector(0)',
    ).thresholds(_steps((None, _GREEN), (1, _YELLOW)))


def _worst() -> stat.Panel:
    return (
        _number(
            "Nearest to its limit",
            "The largest staleness as a share of its limit, over all views.",
            f"max(refresher:view_staleness:ratio{_CHOSEN})",
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(_steps((None, _GREEN), (0.8, _YELLOW), (1, _RED)))
    )


def _away() -> stat.Panel:
    return _number(
        "Databases down",
        "Databases that no daemon can work with: away, or giving no answer.",
        f"count(refresher:database_up:max{_CHOSEN} == 0) or vector(0)",
    ).thresholds(_steps((None, _GREEN), (1, _RED)))


def _throttled() -> stat.Panel:
    return _number(
        "Throttled",
        "Databases that have too much to do already: scheduled refreshes wait.",
        f"count(refresher:database_throttled:max{_CHOSEN} == 1) or vector(0)",
    ).thresholds(_steps((None, _GREEN), (1, _YELLOW)))


def _left() -> stat.Panel:
    return _number(
        "Left to newer",
        "Views that some daemon leaves to those with a newer configuration, while one is deployed.",
        f"sum(refresher:views_left:max{_CHOSEN}) or vector(0)",
    ).thresholds(_steps((None, _GREEN), (1, _YELLOW)))


def _number(title: str, description: str, expression: str) -> stat.Panel:
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(_SOURCE)
        .unit("short")
        .height(4)
        .span(3)
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(Dataquery().ref_id("A").datasource(_SOURCE).instant().expr(expression))
    )


_COLUMNS = (
    ("Staleness", "refresher:view_staleness_seconds:max", "s"),
    ("Of its limit", "refresher:view_staleness:ratio", "percentunit"),
    ("Of its target", "refresher:view_target_lag:ratio", "percentunit"),
    ("Last result", "refresher:view_last_refresh_success:max", "short"),
    ("Last duration", "refresher:view_last_refresh_duration_seconds:max", "s"),
    ("Queue wait", "refresher:view_last_refresh_queue_wait_seconds:max", "s"),
    ("Next refresh", "refresher:view_next_refresh_timestamp_seconds:max", "dateTimeFromNow"),
    ("Rows", "refresher:view_rows:max", "short"),
    ("Size", "refresher:view_size_bytes:max", "bytes"),
    ("Paused", "refresher:view_paused:max", "bool_yes_no"),
    ("Drifts", "refresher:view_drift:max", "bool_yes_no"),
)
"""Title, recording rule, unit; after the view's names and its state."""


def _views() -> table.Panel:
    panel = (
        table.Panel()
        .title("Views")
        .description(
            "Every view as it is now. Without a limit or a target there is no share of it."
        )
        .datasource(_SOURCE)
        .unit("short")
        .height(12)
        .span(24)
        .with_target(
            _column("A", f"max by (database, view, state) (refresher:view_state:max{_CHOSEN} == 1)")
        )
    )
    names = {"Value #A": "", "view": "View", "database": "Database", "state": "State"}
    for position, (title, rule, unit) in enumerate(_COLUMNS):
        reference = chr(ord("B") + position)
        names[f"Value #{reference}"] = title
        # Grafana's dates are milliseconds.
        scale = " * 1000" if unit == "dateTimeFromNow" else ""
        panel = panel.with_target(
            _column(reference, f"max by (database, view) ({rule}{_CHOSEN}){scale}")
        ).override_by_name(title, [DynamicConfigValue("unit", unit), *_looks(title)])
    order = ["database", "view", "state", *(name for name in names if name.startswith("Value #"))]
    return (
        panel.override_by_name("State", _looks("State"))
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True, "Value #A": True},
                    "indexByName": {name: index for index, name in enumerate(order)},
                    "renameByName": {name: title for name, title in names.items() if title},
                },
            )
        )
    )


def _column(reference: str, expression: str) -> Dataquery:
    return (
        Dataquery()
        .ref_id(reference)
        .datasource(_SOURCE)
        .expr(expression)
        .instant()
        .format(PromQueryFormat.TABLE)
    )


def _looks(title: str) -> list[DynamicConfigValue]:
    """What a column has beside its unit."""
    coloured = DynamicConfigValue("custom.cellOptions", {"type": "color-text"})
    match title:
        case "State":
            colours = {"fresh": _GREEN, "late": _YELLOW, "stale": _RED, "unknown": _GREY}
            return [
                coloured,
                _mapping({state: (state, colour) for state, colour in colours.items()}),
            ]
        case "Last result":
            return [coloured, _mapping({"1": ("succeeded", _GREEN), "0": ("failed", _RED)})]
        case "Of its limit" | "Of its target":
            steps = _steps((None, _GREEN), (0.8, _YELLOW), (1, _RED)).build()
            return [coloured, DynamicConfigValue("thresholds", steps)]
        case _:
            return []


def _mapping(shown: dict[str, tuple[str, str]]) -> DynamicConfigValue:
    options = {
        value: ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, (text, colour)) in enumerate(shown.items())
    }
    return DynamicConfigValue("mappings", [ValueMap(options)])


def _ratio_over_time() -> timeseries.Panel:
    ratio = f"max by (database, view) (refresher:view_staleness:ratio{_CHOSEN})"
    return (
        _graph(
            "Staleness, of the limit",
            "Staleness as a share of max staleness: the 20 worst views at each moment. The line at"
            " 100 % is the limit.",
            {"{{view}}": f"topk(20, {ratio})"},
        )
        .unit("percentunit")
        .min(0)
        .thresholds(_steps((None, _GREEN), (1, _RED)))
    )


def _target_ratio_over_time() -> timeseries.Panel:
    ratio = f"max by (database, view) (refresher:view_target_lag:ratio{_CHOSEN})"
    return (
        _graph(
            "Staleness, of the target lag",
            "Staleness as a share of the target lag, of views that have one: the 20 worst at each"
            " moment. Over 100 % a view is late.",
            {"{{view}}": f"topk(20, {ratio})"},
        )
        .unit("percentunit")
        .min(0)
        .thresholds(_steps((None, _GREEN), (1, _YELLOW)))
    )


def _runs_over_time() -> timeseries.Panel:
    return (
        _graph(
            "Refreshes, by outcome",
            "Runs that ended within the hour before, by how they ended.",
            {"{{outcome}}": f"sum by (outcome) (refresher:view_refresh_runs:increase1h{_CHOSEN})"},
        )
        .draw_style(GraphDrawStyle.BARS)
        .stacking(StackingConfig().mode(StackingMode.NORMAL))
        .unit("short")
        .min(0)
        .override_by_name("failed", [_fixed(_RED)])
        .override_by_name("succeeded", [_fixed(_GREEN)])
    )


def _line_over_time() -> timeseries.Panel:
    return (
        _graph(
            "Line and workers",
            "Refreshes that wait for a worker, those at work, and how many may be. A line that goes"
            " on and on means that max_parallel is too small for what is due.",
            {
                "{{database}}: waiting": f"refresher:queue_length:max{_CHOSEN}",
                "{{database}}: at work": f"refresher:workers_busy:sum{_CHOSEN}",
                "{{database}}: at most": f"refresher:workers_limit:max{_CHOSEN}",
            },
        )
        .unit("short")
        .min(0)
    )


def _queue_wait_over_time() -> timeseries.Panel:
    return (
        _graph(
            "Queue wait",
            "How long refreshes were due before a worker took them up: the 95th percentile of the"
            " last 10 minutes.",
            {"{{database}}": f"refresher:queue_wait_seconds:p95{_CHOSEN}"},
        )
        .unit("s")
        .min(0)
    )


def _throttled_over_time() -> timeseries.Panel:
    return (
        _graph(
            "Throttled, over time",
            "When a database's throttle delayed scheduled refreshes. Staleness grew meanwhile.",
            {"{{database}}": f"refresher:database_throttled:max{_CHOSEN}"},
        )
        .unit("bool_yes_no")
        .min(0)
        .max(1)
    )


def _graph(title: str, description: str, expressions: dict[str, str]) -> timeseries.Panel:
    """Lines by legend and expression."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(_SOURCE)
        .height(9)
        .span(12)
    )
    for position, (legend, expression) in enumerate(expressions.items()):
        panel = panel.with_target(
            Dataquery()
            .ref_id(chr(ord("A") + position))
            .datasource(_SOURCE)
            .expr(expression)
            .range()
            .legend_format(legend)
        )
    return panel


def _fixed(colour: str) -> DynamicConfigValue:
    color = FieldColor().mode(FieldColorModeId.FIXED).fixed_color(colour).build()
    return DynamicConfigValue("color", color)


def _steps(*steps: tuple[float | None, str]) -> ThresholdsConfig:
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in steps])
    )


def render() -> dict[str, str]:
    """Every dashboard's file name and text."""
    built = {"overview.json": overview()}
    return {
        name: json.dumps(dashboard.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for name, dashboard in built.items()
    }


if __name__ == "__main__":
    for file_name, text in render().items():
        (DASHBOARDS / file_name).write_text(text, encoding="utf-8")
