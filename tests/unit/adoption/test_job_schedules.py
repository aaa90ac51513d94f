"""What pg_cron's schedules are in the configuration's words."""

import json

import pytest

from refresher.adoption.schedule import translate
from refresher.config.model import Manual
from tests.unit.config.project import Project


@pytest.mark.parametrize(
    ("schedule", "timezone", "translated"),
    [
        ("30 3 * * *", None, {"cron": "30 3 * * *"}),
        ("30 3 * * *", "GMT", {"cron": "30 3 * * *"}),
        (
            "30 3 * * *",
            "Europe/Amsterdam",
            {"cron": "30 3 * * *", "timezone": "Europe/Amsterdam"},
        ),
        (" */5\t8-18 * jan-mar mon,fri ", None, {"cron": "*/5 8-18 * jan-mar mon,fri"}),
        ("0 0 * * 7", None, {"cron": "0 0 * * 7"}),
        ("0 3 * * * and what follows", None, {"cron": "0 3 * * *"}),
        ("0 4 $ * *", None, {"cron": "0 4 L * *"}),
        ("0 4 1,$ * *", None, {"cron": "0 4 1,L * *"}),
        ("30 seconds", None, {"every": "30s"}),
        ("1 Second", "Europe/Amsterdam", {"every": "1s"}),
        (" 59  seconds ", None, {"every": "59s"}),
        ("@hourly", None, {"cron": "0 * * * *"}),
        ("@daily", None, {"cron": "0 0 * * *"}),
        ("@weekly", None, {"cron": "0 0 * * 0"}),
        ("@monthly", None, {"cron": "0 0 1 * *"}),
        ("@yearly", None, {"cron": "0 0 1 1 *"}),
    ],
)
def test_schedules(
    project: Project, schedule: str, timezone: str | None, translated: dict[str, str]
) -> None:
    assert translate(schedule, timezone) == translated
    assert project.view(f"schedule: {json.dumps(translated)}").schedule != Manual()


@pytest.mark.parametrize(
    ("schedule", "timezone", "problem"),
    [
        ("@reboot", None, "needs five fields, not 1"),
        ("61 * * * *", None, "bad minute"),
        ("5x * * * *", None, "bad minute"),
        ("", None, "needs five fields, not 0"),
        ("100 seconds", None, "needs five fields, not 2"),
        ("0 3 * * *", "<+03>-3", "none of the IANA database"),
        ("0 3 * * *", "../etc/passwd", "none of the IANA database"),
    ],
)
def test_what_nothing_means(schedule: str, timezone: str | None, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        translate(schedule, timezone)
