"""Locks on files, which the system takes back from a process that dies."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold what only one process may, waiting for it if need be. The file stays."""
    with open(path, "a+b") as file:
        _lock(file, wait=True)
        yield


def is_held(path: Path) -> bool:
    """Whether a process that lives holds the lock ``path``."""
    if not path.is_file():
        return False
    with open(path, "a+b") as file:
        try:
            _lock(file, wait=False)
        except OSError:
            return True
    return False


def _lock(file: IO[bytes], *, wait: bool) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
