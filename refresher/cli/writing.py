"""Writing files that were not there before: nothing is ever overwritten."""

from collections.abc import Mapping
from pathlib import Path

from refresher.errors import ConfigError, RefresherError


def write_new(texts: Mapping[Path, str]) -> None:
    """Write files, with the directories they need; all of them, or none if one is there already.

    Raises:
        ConfigError: a file is there already; it is named.
        RefresherError: a file can't be written.
    """
    for path in texts:
        if path.exists() or path.is_symlink():
            raise _stands(path)
    for path, text in texts.items():
        _write(path, text)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise _stands(Path(error.filename or path)) from error
    except OSError as error:
        message = f"can't write {path}: {error.strerror}; choose another directory"
        raise RefresherError(message) from error


def _stands(path: Path) -> ConfigError:
    return ConfigError(f"{path} is there already; remove it, or choose another directory")
