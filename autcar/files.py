"""Files and folders that are whole or not there, whatever happens meanwhile."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import IO

from autcar.errors import DataError


def write_atomic(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` so that a crash leaves the old file or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync_files(folder: Path) -> None:
    """Force the files in a folder, and then their names, to the card."""
    for path in folder.iterdir():
        # Windows forces only what is open for writing.
        with open(path, "r+b" if sys.platform == "win32" else "rb") as file:
            os.fsync(file.fileno())
    sync_names(folder)


def sync_names(folder: Path) -> None:
    """Force which files and folders a folder holds to the card. Windows opens no folder."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def hold(file: IO[bytes]) -> bool:
    """Take an open file for oneself, until it is closed or its process dies; False if it is taken.

    Only those who ask are kept out, and nobody where the file system knows no locks, nor
    on Windows, which replaces no open file anyway.
    """
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet; where it does not fit, none is left."""
    try:
        with open(path, "xb") as file:
            file.write(data)
    except FileExistsError:
        raise
    except OSError:
        path.unlink(missing_ok=True)
        raise


def new_folder(parent: Path, name: str) -> Path:
    """Make ``parent/name``, or ``name_2`` and so on where that is there: never an old one.

    Raises :class:`DataError` when 9,999 of the name are there.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 10_000):
        folder = parent / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise DataError(f"{parent} already holds 9,999 folders named {name}; choose another folder")
