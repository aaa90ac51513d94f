import shlex
from datetime import timedelta
from pathlib import Path

from refresher.cli.run import command
from refresher.durations import parse_duration
from refresher.errors import ConfigError

UNIT = Path(__file__).parents[3] / "deploy" / "systemd" / "refresher.service"


def settings() -> dict[str, list[str]]:
    """Every setting's values; systemd allows a setting more than once."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_what_it_starts_exists() -> None:
    (start,) = settings()["ExecStart"]
    program, subcommand, *arguments = shlex.split(start)
    options = {option for parameter in command.params for option in parameter.opts}

    assert program.endswith("/refresher")
    assert subcommand == command.name
    assert set(arguments[::2]) <= options


def test_stopping_has_time_to_drain_and_to_cancel() -> None:
    (start,) = settings()["ExecStart"]
    arguments = shlex.split(start)
    drain = parse_duration(arguments[arguments.index("--drain") + 1])

    (stop,) = settings()["TimeoutStopSec"]

    assert parse_duration(stop) >= drain + timedelta(seconds=20)


def test_it_speaks_to_systemd() -> None:
    assert settings()["Type"] == ["notify"]
    assert settings()["NotifyAccess"] == ["main"]
    assert "HUP" in settings()["ExecReload"][0]
    assert parse_duration(settings()["WatchdogSec"][0]) >= timedelta(seconds=30)


def test_it_is_started_again_unless_that_is_hopeless() -> None:
    assert settings()["Restart"] == ["on-failure"]
    assert settings()["RestartPreventExitStatus"] == [str(ConfigError.exit_code)]


def test_it_may_do_little_and_holds_no_secret() -> None:
    found = settings()

    for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "ProtectHome"):
        assert found[name] == ["yes"]
    assert found["ProtectSystem"] == ["strict"]
    assert found["CapabilityBoundingSet"] == [""]
    assert found["LoadCredential"] == ["pgpass:/etc/refresher/pgpass"]
    assert found["Environment"] == ["PGPASSFILE=%d/pgpass"]
