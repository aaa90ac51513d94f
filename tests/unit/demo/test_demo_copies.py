"""A user starts from the files at the top of the repository; the demo proves the same files."""

from importlib.resources import files
from pathlib import Path

TOP = Path(__file__).parents[3]
DEMO = files("refresher.demo")


def test_the_config_at_the_top_is_the_demos() -> None:
    assert (TOP / "config.yaml").read_bytes() == DEMO.joinpath("config.yaml").read_bytes()


def test_the_queries_at_the_top_are_the_demos() -> None:
    shipped = {entry.name: entry.read_bytes() for entry in DEMO.joinpath("sql").iterdir()}
    assert {path.name: path.read_bytes() for path in (TOP / "sql").iterdir()} == shipped
