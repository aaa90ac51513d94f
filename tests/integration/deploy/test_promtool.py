import subprocess
from pathlib import Path

import pytest

from tests.programs import find_program

pytestmark = pytest.mark.program("promtool")

PROMETHEUS = Path(__file__).parents[3] / "deploy" / "prometheus"


def promtool(*arguments: str) -> str:
    """What promtool says; it must say that all is well."""
    done = subprocess.run(
        [find_program("promtool"), *arguments],
        cwd=PROMETHEUS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_rules_are_valid() -> None:
    assert "SUCCESS: 37 rules found" in promtool("check", "rules", "rules.yaml")


def test_the_alerts_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yaml")


def test_the_example_of_a_scrape_is_valid() -> None:
    assert "is valid prometheus config file" in promtool("check", "config", "prometheus.yaml")
