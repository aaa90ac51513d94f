"""Invalid configurations in a storm of SIGHUPs: the old one stays in force, and nothing leaks."""

import signal
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.faults.daemons import Daemon
from tests.faults.instruments.configuration import (
    REJECTED,
    configured,
    count,
    put_in_force,
    replace,
)
from tests.faults.kind import Kind
from tests.faults.places import Place, private
from tests.faults.stage import Stage
from tests.waiting import wait_until

_LONGEST_PAUSE_SECONDS = 0.1
_GOES_ON_SECONDS = 15.0
_QUIET_SECONDS = 3.0
"""Long enough for a daemon to look at its files more than once."""
_THREADS, _FILES, _SESSIONS = 4, 12, 8
"""How many more there may be than before: workers connect when they are first needed."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What a process holds of its machine and of the database."""

    threads: int
    files: int
    sessions: int


def inject(stage: Stage[Place], times: int) -> None:
    """Write one invalid configuration after the other, each with a SIGHUP to everybody."""
    valid = stage.config_path.read_text()
    members = list(stage.daemons.members)
    for member in members:
        member.wait_for_log("daemon.started")
    held = {member: _held(stage, member) for member in members}
    rejections = {member: count(member, REJECTED) for member in members}
    invalid = _invalid(valid)
    try:
        for number in range(times):
            _write(stage.config_path, invalid[number % len(invalid)])
            for member in members:
                member.signal(signal.SIGHUP)
            stage.injected()
            stage.rest(stage.chance.uniform(0, _LONGEST_PAUSE_SECONDS))
        _judge_rejections(stage, rejections, times)
        stage.measured("refreshed meanwhile", stage.wait_refreshed(), limit=_GOES_ON_SECONDS)
    finally:
        _clear(stage.config_path)
        put_in_force(stage, valid)
    _judge_in_force(stage)
    for member in members:
        _judge_held(stage, member, held[member])


def _judge_rejections(stage: Stage[Place], before: dict[Daemon, int], times: int) -> None:
    """Each daemon says no more than once that a configuration is invalid."""
    stage.rest(_QUIET_SECONDS)
    said = {member: count(member, REJECTED) for member in before}
    for member, rejections in said.items():
        member.require_running()
        new = rejections - before[member]
        assert 0 < new <= times, f"daemon {member.pid} rejected {new} of {times} configurations"
    stage.rest(_QUIET_SECONDS)
    again = {member.pid for member in said if count(member, REJECTED) > said[member]}
    assert not again, f"{again} rejected the same configuration again"


def _judge_in_force(stage: Stage[Place]) -> None:
    """A valid one is followed, as one sees by what it says of a view."""

    def limit(config: str) -> str:
        return config.replace("ordered: {", "ordered: {max_staleness: 77m, ")

    def known() -> bool:
        with stage.connect() as connection:
            row = connection.execute(
                "SELECT FROM refresher.view WHERE name = 'ordered' AND max_staleness = '77 min'"
            ).fetchone()
        return row is not None

    with configured(stage, limit):
        wait_until(known, 30.0, what="a valid configuration to come into force")


def _judge_held(stage: Stage[Place], member: Daemon, before: _Held) -> None:
    after = _held(stage, member)
    assert after.threads <= before.threads + _THREADS, f"threads of {member.pid}: {before}, {after}"
    assert after.files <= before.files + _FILES, f"files of {member.pid}: {before}, {after}"
    assert after.sessions <= before.sessions + _SESSIONS, f"{member.pid}: {before}, {after}"


def _held(stage: Stage[Place], member: Daemon) -> _Held:
    process = psutil.Process(member.pid)
    with stage.connect() as connection:
        row = connection.execute(
            "SELECT count(*) AS sessions FROM pg_stat_activity"
            " WHERE application_name LIKE 'refresher %%/%%/%%'"
            " AND split_part(application_name, '/', 2) = %s",
            [str(member.pid)],
        ).fetchone()
    assert row is not None
    return _Held(process.num_threads(), process.num_fds(), row["sessions"])


def _invalid(valid: str) -> list[bytes | None]:
    """Configurations that are none; None is for a folder in the file's place."""
    texts = [
        "",
        "views: [",
        valid.replace("schedule", "shedule"),
        valid.replace("every: 1s", "every: 1 fortnight"),
        valid.replace("views:\n", "views:\n  ghost: {kind: view}\n"),
        valid.replace("views:\n", "views:\n  plain_v: {kind: view}\n"),
        valid.replace("${DATABASE_URL}", "${NOBODY_HAS_SET_THIS}"),
        valid + "include: 7\n",
        "[" * 20_000,
        "a0: &a0 []\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(40)),
    ]
    return [*map(str.encode, texts), b"\x00\xff\xfe", valid.encode("utf-16"), None]


def _write(path: Path, contents: bytes | None) -> None:
    _clear(path)
    if contents is None:
        path.mkdir()
    else:
        replace(path, contents)


def _clear(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


KIND = Kind(
    name="storm",
    shows="invalid reload in a SIGHUP storm",
    ci=200,
    full=1000,
    place=private,
    inject=inject,
)
