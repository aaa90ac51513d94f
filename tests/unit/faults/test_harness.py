"""What `make faults` does around faults: what is missing, who shares a stage, how it ends."""

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.faults.__main__ import groups, main
from tests.faults.kind import File, Findings, Kind, Program, Solo
from tests.faults.places import Place
from tests.faults.registry import KINDS
from tests.faults.stage import Stage


@contextlib.contextmanager
def here(_: Path) -> Iterator[Place]:
    yield Place(superuser="", daemon="")


@contextlib.contextmanager
def there(_: Path) -> Iterator[Place]:
    yield Place(superuser="", daemon="")


def inject(stage: Stage[Place], times: int) -> None:
    """Nothing is ever played here."""
    raise NotImplementedError(stage, times)


def solo(
    name: str, *, ci: int = 2, violations: tuple[str, ...] = (), package: str | None = None
) -> Solo:
    """One that finds what it is told to find."""

    def run(times: int, chance: random.Random) -> Findings:
        return Findings(times, violations, note=f"chance {chance.randrange(100)}")

    needs = () if package is None else (Program("no-such-program", package=package),)
    return Solo(name=name, shows=name, ci=ci, full=30, run=run, needs=needs)


def kind(name: str, place: Callable[[Path], AbstractContextManager[Place]]) -> Kind[Place]:
    return Kind(name=name, shows=name, ci=1, full=1, place=place, inject=inject)


def test_neighbours_of_one_place_share_a_stage() -> None:
    kinds: list[Kind[Place] | Solo] = [
        *(kind("a", here), kind("b", here), solo("c")),
        *(kind("d", there), solo("e")),
    ]
    grouped = [[each.name for each in group] for group in groups(kinds)]
    assert grouped == [["a", "b"], ["c"], ["d"], ["e"]]


def test_every_place_has_its_kinds_together() -> None:
    shared = [group[0].place for group in groups(KINDS) if isinstance(group[0], Kind)]
    assert len(shared) == len(set(shared))


def test_names_are_unique_and_something_is_always_done() -> None:
    assert len({each.name for each in KINDS}) == len(KINDS)
    assert all(0 <= each.ci <= each.full > 0 for each in KINDS)


def test_it_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "7"], [solo("quiet")]) == 0
    said = capsys.readouterr().out
    assert "seed 7" in said
    assert "quiet     30" in said


def test_the_share_of_ci_is_smaller(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--share", "ci"], [solo("quiet")]) == 0
    assert "quiet      2" in capsys.readouterr().out


def test_what_ci_does_anyway_is_left_out_of_its_share(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [solo("quiet"), solo("tested", ci=0, violations=("it moved back",))]
    assert main(["--share", "ci"], kinds) == 0
    assert "tested" not in capsys.readouterr().out
    assert main([], kinds) == 1


def test_a_seed_says_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for seed in (7, 7, 8):
        main(["--seed", str(seed)], [solo("quiet")])
        told.append(capsys.readouterr().out.split("chance ")[1].split()[0])
    assert told[0] == told[1] != told[2]


def test_a_broken_promise_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], [solo("quiet"), solo("loud", violations=("it moved back",))]) == 1
    assert "VIOLATION it moved back" in capsys.readouterr().out


def test_what_is_missing_is_said_before_anything_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    kinds = [solo("quiet"), solo("needy", package="nosuch")]
    assert main([], kinds) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert "needy: apt-get install nosuch" in error
    assert main(["--only", "quiet"], kinds) == 0


def test_a_file_may_have_one_of_several_names() -> None:
    assert File(("no/such/file", "etc/pass*d"), package="base").missing() is None
    assert File(("no/such/file",), package="base").missing() == "apt-get install base"


def test_an_unknown_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nosuch"], [solo("quiet")])
    assert "unknown: nosuch; there are quiet" in capsys.readouterr().err
