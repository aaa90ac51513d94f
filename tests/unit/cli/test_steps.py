"""What a plan looks like."""

import dataclasses
import json

import pytest

from refresher.cli.steps import Line, plan_json, plan_lines, print_plan
from refresher.config.model import Kind
from refresher.definitions.compare import Aspect, Drift
from refresher.definitions.plan import Plan
from refresher.definitions.step import (
    Alter,
    Create,
    CreateIndex,
    Diff,
    Drop,
    DropIndex,
    Populate,
    Refresh,
    Rename,
    Replace,
    Step,
    Swap,
)

BEFORE = " SELECT id,\n    source\n   FROM orders;"
AFTER = " SELECT id,\n    source,\n    placed_at\n   FROM orders;"
DIFF = Diff(view="sources", before=BEFORE, after=AFTER)
SWAP = Swap(
    views=("sources", "shares", "list"),
    beside=("sources", "shares"),
    repointed=("list",),
    dropped=("public.report",),
    why=("sources: what stands lacks column placed_at", "shares: it reads sources"),
    diffs=(DIFF,),
    rows=15_549,
    bytes=3_565_158,
)
EVERY_KIND: dict[str, Step] = {
    "rename a to b": Rename(views=("b",), before="a", why=("it was called a",)),
    "create a": Create(views=("a",), why=("public.a does not exist",)),
    "replace a": Replace(views=("a",), of=Kind.VIEW, why=("another query",), diffs=(DIFF,)),
    "swap sources, shares": SWAP,
    "populate a": Populate(
        views=("a",), why=("it has no contents yet",), of=Kind.MATERIALIZED_VIEW
    ),
    "create index i of a": CreateIndex(views=("a",), name="i", why=("missing",), bytes=2048),
    "rebuild index i of a": CreateIndex(views=("a",), name="i", why=("other",), replaces=True),
    "drop index i of a": DropIndex(views=("a",), name="i", why=("not configured",)),
    "alter a: owner, grants": Alter(views=("a",), aspects=("owner", "grants"), why=("x", "y")),
    "refresh a": Refresh(
        views=("a",), why=("older",), of=Kind.MATERIALIZED_VIEW, rows=None, bytes=1024
    ),
    "drop a": Drop(views=("a",), why=("not configured",), relation_kind="m", bytes=1024),
}


def made(*steps: Step, problems: tuple[str, ...] = (), notes: tuple[str, ...] = ()) -> Plan:
    return Plan(steps=steps, problems=problems, notes=notes, drift=())


def shown(plan: Plan, width: int = 80) -> list[str]:
    return [line.text for line in plan_lines(plan, width)]


@pytest.mark.parametrize("title", EVERY_KIND)
def test_every_step_says_what_it_does_why_and_what_it_blocks(title: str) -> None:
    step = EVERY_KIND[title]
    first, *lines = shown(made(step), width=200)
    assert first == f"1. {title}"
    assert lines[0] == f"   why       {step.why[0]}"
    assert f"   lock      {step.lock or 'none'}" in lines
    assert f"   blocks    {step.blocks}" in lines


def test_a_swap_shows_all_that_it_means() -> None:
    assert shown(made(SWAP)) == [
        "1. swap sources, shares",
        "   why       sources: what stands lacks column placed_at",
        "             shares: it reads sources",
        "   builds    sources, shares, beside what stands",
        "   repoints  list",
        "   drops     public.report",
        "   cost      15,549 rows to compute, 3.4 MB of disk once more",
        "   lock      ACCESS EXCLUSIVE",
        "   blocks    readers, for 0.3 s at most at a time; it gives way and tries again",
        "",
        "   --- sources as it stands",
        "   +++ sources as configured",
        "   @@ -1,3 +1,4 @@",
        "     SELECT id,",
        "   -    source",
        "   +    source,",
        "   +    placed_at",
        "       FROM orders;",
        "",
    ]


def test_problems_come_first_and_loud_and_notes_last() -> None:
    plan = made(EVERY_KIND["create a"], problems=("b is a table",), notes=("c stays",))
    lines = list(plan_lines(plan, 80))
    assert lines[0].text == "problem: b is a table"
    assert "red" in lines[0].style
    assert lines[-1] == Line("note: c stays")


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("   --- sources as it stands", "bold"),
        ("   @@ -1,3 +1,4 @@", "cyan"),
        ("   -    source", "red"),
        ("   +    placed_at", "green"),
        ("     SELECT id,", ""),
    ],
)
def test_a_diff_is_coloured(text: str, style: str) -> None:
    assert Line(text, style) in list(plan_lines(made(SWAP), 80))


@pytest.mark.parametrize("width", [30, 60, 100])
def test_a_narrow_terminal_gets_whole_words_and_whole_queries(width: int) -> None:
    long = "SELECT " + ", ".join(f"column_{number}" for number in range(40))
    step = Replace(
        of=Kind.VIEW,
        views=("a",),
        why=("the query that stands is another one, and so on, until a line is full",),
        diffs=(Diff(view="a", before="SELECT 1", after=long),),
    )
    lines = shown(made(step, problems=("a long story " * 20,)), width)
    assert f"   +{long}" in lines
    assert all(len(line) <= width for line in lines if long not in line)


def test_nothing_in_a_plan_can_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b]0;title\x07"
    step = Replace(
        of=Kind.VIEW,
        views=(hostile,),
        why=(hostile,),
        diffs=(Diff(view=hostile, before="SELECT 1", after=f"SELECT '{hostile}'"),),
    )
    print_plan(made(step, problems=(hostile,), notes=(hostile,)))
    assert "\x1b" not in capsys.readouterr().out


def test_rows_nobody_counted_are_no_number() -> None:
    text = "   cost      an unknown number of rows to compute, 1.0 kB of disk once more"
    assert text in shown(made(EVERY_KIND["refresh a"]))


@pytest.mark.parametrize("title", EVERY_KIND)
def test_programs_get_every_field(title: str) -> None:
    step = EVERY_KIND[title]
    drift = Drift(view="a", aspect=Aspect.MISSING, message="public.a does not exist")
    plan = Plan(steps=(step,), problems=("p",), notes=("n",), drift=(drift,))
    document = json.loads(json.dumps(plan_json("crm", plan)))
    (found,) = document.pop("steps")
    assert document == {
        "database": "crm",
        "problems": ["p"],
        "notes": ["n"],
        "drift": [{"view": "a", "aspect": "missing", "message": "public.a does not exist"}],
        "error": None,
    }
    assert (found["kind"], found["title"], found["lock"]) == (step.kind, title, step.lock)
    assert {"blocks", *(field.name for field in dataclasses.fields(step))} <= set(found)


def test_programs_get_the_diff_as_people_do() -> None:
    ((found,),) = (step["diffs"] for step in plan_json("crm", made(SWAP))["steps"])
    assert (found["view"], found["before"], found["after"]) == ("sources", BEFORE, AFTER)
    assert found["diff"].startswith("--- sources as it stands\n+++ sources as configured\n@@ ")


def test_without_a_plan_programs_get_the_reason() -> None:
    document = plan_json("crm", None, ValueError("it is away"))
    assert (document["steps"], document["error"]) == ([], "it is away")
