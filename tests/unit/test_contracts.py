"""What the import contracts can't see of the modules they call pure."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLOCKS = {"now", "today", "utcnow", "time", "monotonic", "perf_counter"}


def pure_modules() -> list[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (pure,) = (contract for contract in contracts["contracts"] if contract["id"] == "pure")
    modules: list[str] = pure["source_modules"]
    return modules


@pytest.mark.parametrize("module", pure_modules())
def test_a_pure_module_reads_no_clock(module: str) -> None:
    source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    assert not names & CLOCKS
