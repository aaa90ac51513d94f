"""A part of the tests, run as a kind of fault."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType

from tests.faults.kind import Findings

_MOST_SECONDS = 1200
_WORKERS = "2"
_FAILED = re.compile(r"^(?:FAILED|ERROR|E  ) .*$", re.MULTILINE)
"""Which tests failed, and what pytest marks as the reason."""
_SUMMARY = re.compile(r"^\d+ (?:passed|failed|error).*$", re.MULTILINE)
_TAIL = 4000
_LINE = 300
_NOTHING: Mapping[str, str] = MappingProxyType({})


def play(tests: str, times: int, *, environment: Mapping[str, str] = _NOTHING) -> Findings:
    """Run a folder or file of tests so many times."""
    violations: list[str] = []
    notes: list[str] = []
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", _WORKERS, tests],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_MOST_SECONDS,
            check=False,
        )
        notes += _SUMMARY.findall(done.stdout)
        if done.returncode != 0:
            told = "\n".join(line[:_LINE] for line in _FAILED.findall(done.stdout))
            violations.append((told or done.stdout)[-_TAIL:])
    return Findings(times=times, violations=violations, note="; ".join(notes))
