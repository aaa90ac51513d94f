"""What is noticed of files that are watched, whenever they change."""

from pathlib import Path

import pytest

from refresher.daemon.files import WatchedFiles


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("first")
    return path


def test_a_change_is_noticed_once(config: Path) -> None:
    files = WatchedFiles([config])
    assert not files.changed()
    config.write_text("second one")
    assert files.changed()
    assert not files.changed()


def test_a_missing_file_is_a_change_and_its_return_another(config: Path) -> None:
    files = WatchedFiles([config])
    config.unlink()
    assert files.changed()
    assert not files.changed()
    config.write_text("first")
    assert files.changed()


def test_a_change_while_files_are_read_is_noticed(config: Path) -> None:
    files = WatchedFiles([config])
    config.write_text("half of")
    assert files.changed()
    config.write_text("half of it, and the other half")  # what was read may be the first half
    files.watch([config])
    assert files.changed()


def test_others_are_watched_from_then_on(config: Path, tmp_path: Path) -> None:
    files = WatchedFiles([config])
    included = tmp_path / "included.yaml"
    included.write_text("first")
    files.watch([included])
    config.write_text("second one")
    assert not files.changed()
    included.write_text("second one")
    assert files.changed()
