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


def test_of_thousands_of_files_each_is_asked_about_in_turn(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:04}.sql" for number in range(1500)]
    for path in paths:
        path.write_text("SELECT 1")
    files = WatchedFiles(paths)
    for last in (paths[0], paths[777], paths[-1]):
        last.write_text("SELECT 1 AS one")
        looks = [files.changed() for _ in range(10)]
        assert looks.count(True) == 1
        last.write_text("SELECT 2")
        assert files.changed(thoroughly=True)
        assert not any(files.changed() for _ in range(10))


def test_several_files_that_change_together_are_one_change(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:04}.sql" for number in range(1500)]
    files = WatchedFiles(paths)
    for path in paths:
        path.write_text("SELECT 1")
    assert [files.changed() for _ in range(10)] == [True, *[False] * 9]
