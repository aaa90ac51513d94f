"""What makes a view so old: the cause, and what is said and advised of it."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from refresher.cli.reasons import Advice, advice, reason
from refresher.config.model import AfterUpstream, Kind, Manual, View
from refresher.freshness import Distrust
from refresher.graph import Graph
from refresher.observe.explanation import Cause, Explanation, explain
from refresher.observe.model import ViewSnapshot
from tests.snapshots import NOON, make_snapshot, make_stored, make_view, make_view_snapshot

HOUR = timedelta(hours=1)
UNTOLD: dict[str, Any] = {"as_of": None, "data_as_of": None}


@dataclass
class Scene:
    """`page` is plain and reads `m`, which reads `u`: all of noon, unless they are changed."""

    views: dict[str, ViewSnapshot] = field(default_factory=dict)
    unmanaged: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.put("u")
        self.put("m", upstreams_seen={"u": NOON})
        page = make_view_snapshot(make_view("page", kind=Kind.VIEW))
        self.views["page"] = replace(page, live=False, fixed_data_as_of=NOON, oldest=("page", "m"))

    def put(self, name: str, *, config: dict[str, Any] | None = None, **stored: Any) -> None:
        view: View = make_view(name, **(config or {}))
        state = make_stored(view, **stored)
        changes = {"fixed_data_as_of": state.data_as_of, "oldest": state.oldest or (name,)}
        self.views[name] = make_view_snapshot(view, stored=state, **changes)

    def change(self, name: str, **changes: Any) -> None:
        self.views[name] = replace(self.views[name], **changes)

    def explained(self, name: str) -> Explanation:
        reads = {"u": frozenset[str](), "m": frozenset({"u"}), "page": frozenset({"m"})}
        graph = Graph(reads, frozenset({"u", "m"}), self.unmanaged)
        return explain(name, make_snapshot(self.views.values()), graph, {})


@pytest.fixture
def scene() -> Scene:
    return Scene()


def sentence(explained: Explanation) -> str:
    return reason(explained, NOON + HOUR)


def test_its_own_refresh(scene: Scene) -> None:
    explained = scene.explained("m")

    assert explained.cause is Cause.OWN
    assert sentence(explained).startswith("m was refreshed 1h ago, as of ")
    assert ", and nothing that it read was older. m has been due since" in sentence(explained)
    assert advice(explained) == Advice("To have it sooner", "refresher run-now m")
    assert list(explained.links) == ["m", "u"]
    assert explained.links["m"].read == {"u": NOON}
    assert scene.explained("page").links["page"].read == {}


def test_an_upstream_that_was_not_refreshed_since(scene: Scene) -> None:
    scene.put("u", config={"schedule": Manual()}, as_of=NOON - HOUR, data_as_of=NOON - HOUR)
    scene.change("u", next_due_at=None)
    scene.put("m", data_as_of=NOON - HOUR, oldest=("m", "u"))

    explained = scene.explained("m")

    assert explained.cause is Cause.UPSTREAM
    assert "m shows nothing newer (m → u). u is refreshed by hand only." in sentence(explained)
    assert advice(explained) == Advice("To have it sooner", "refresher run-now m --upstream")


def test_an_upstream_that_was_refreshed_since(scene: Scene) -> None:
    follower = {"schedule": AfterUpstream()}
    scene.put("m", config=follower, data_as_of=NOON - HOUR, oldest=("m", "u"))
    scene.change("m", next_due_at=None)

    explained = scene.explained("m")

    assert explained.cause is Cause.NOT_READ_YET
    assert sentence(explained).endswith(
        "It has been refreshed since, but m has not read that yet. m is refreshed after what it"
        " reads."
    )


@pytest.mark.parametrize(
    ("stored", "cause"),
    [
        ({"populated": False, **UNTOLD}, Cause.EMPTY),
        (UNTOLD, Cause.FOREIGN),
        ({"distrust": Distrust.LINEAGE, **UNTOLD}, Cause.LINEAGE),
        ({"distrust": Distrust.CLOCK, **UNTOLD}, Cause.CLOCK),
        ({"relation_kind": "v", **UNTOLD}, Cause.MISSING),
        ({"relation": None, "relation_kind": None, **UNTOLD}, Cause.MISSING),
        ({"data_as_of": None}, Cause.WAS_UNKNOWN),
        ({"data_as_of": NOON - HOUR}, Cause.NOT_RECORDED),
    ],
)
def test_why_nobody_can_tell(scene: Scene, stored: dict[str, Any], cause: Cause) -> None:
    scene.put("m", **stored)
    known = stored["data_as_of"]
    scene.change("page", fixed_data_as_of=known, oldest=("page", "m"))

    assert scene.explained("m").cause is cause
    assert sentence(scene.explained("m"))
    if known is None:
        explained = scene.explained("page")
        assert explained.cause is cause
        command = "apply m" if cause is Cause.MISSING else "run-now page --upstream"
        assert (told := advice(explained)) is not None
        assert told.command == f"refresher {command}"


def test_unknown_when_it_was_read(scene: Scene) -> None:
    scene.put("m", data_as_of=None, oldest=("m", "u"))

    explained = scene.explained("m")

    assert explained.cause is Cause.WAS_UNKNOWN
    assert sentence(explained).startswith("m read what nobody could tell the age of then.")


def test_what_nobody_manages(scene: Scene) -> None:
    scene.unmanaged["m"] = frozenset({"x.others"})
    scene.put("m", data_as_of=None)

    explained = scene.explained("m")

    assert (explained.cause, explained.unmanaged) == (Cause.UNMANAGED, ("x.others",))
    assert advice(explained) == Advice("Add x.others to `views`")


def test_what_is_configured_no_more(scene: Scene) -> None:
    scene.put("m", data_as_of=NOON - HOUR, oldest=("m", "gone"))

    explained = scene.explained("m")

    assert (explained.cause, explained.oldest) == (Cause.FORGOTTEN, None)
    assert sentence(explained).startswith("m shows nothing newer than gone, which is not")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stored": {"running": True}}, "m is being refreshed now."),
        ({"waiting": "paused"}, "m is not refreshed now: paused."),
        ({"next_due_at": NOON + 2 * HOUR}, "m is due next at "),
    ],
)
def test_what_becomes_of_it_by_itself(scene: Scene, changes: dict[str, Any], words: str) -> None:
    if "stored" in changes:
        scene.put("m", **changes["stored"])
    else:
        scene.change("m", **changes)

    assert words in sentence(scene.explained("m"))


def test_a_name_that_a_shell_would_take_apart_is_quoted(scene: Scene) -> None:
    scene.put("a b")
    graph = Graph({"a b": frozenset()}, frozenset({"a b"}))
    explained = explain("a b", make_snapshot(scene.views.values()), graph, {})

    assert advice(explained) == Advice("To have it sooner", "refresher run-now 'a b'")
