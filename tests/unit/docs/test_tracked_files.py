"""The project stands alone: nothing in it leads to one machine, or to pages it doesn't have."""

import re
import subprocess

import pytest

from tests.pages import ROOT

_PAGE = re.compile(r"\b[A-Z]{4,}[A-Z_-]*\.md\b")
_REGISTRY = re.compile(r"^\s*(?:-i|-f|--(?:extra-)?index-url|--find-links)\b", re.MULTILINE)


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """Every file of the repository, as text."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = [name for name in listing.stdout.split("\0") if (ROOT / name).is_file()]
    assert "pyproject.toml" in names
    return {name: (ROOT / name).read_text(errors="replace") for name in names}


def test_no_file_names_this_clone(tracked: dict[str, str]) -> None:
    assert [name for name, text in tracked.items() if str(ROOT) in text] == []


def test_pages_that_are_named_exist(tracked: dict[str, str]) -> None:
    pages = {name.rpartition("/")[2] for name in tracked}
    named = {page for text in tracked.values() for page in _PAGE.findall(text)}
    assert named <= pages


def test_locked_requirements_name_no_registry(tracked: dict[str, str]) -> None:
    locks = {name: text for name, text in tracked.items() if "--hash=sha256:" in text}
    assert "requirements.txt" in locks
    assert [name for name, text in locks.items() if _REGISTRY.search(text)] == []
