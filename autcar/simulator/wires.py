"""The wires between motors and wheels in the simulator: a small memory-mapped file.

The process that owns the motors writes wheel speeds, the world reads them, and a
test may watch from outside. Neither NumPy nor OpenCV is loaded here.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from typing import NamedTuple, Self

from autcar.errors import MotorError

_SIZE = 24
_SPEEDS, _UPDATES, _TIME = range(3)


class Signal(NamedTuple):
    """What is on the wires: wheel speeds −1…1, how often they were set, and when last (ns)."""

    left: float
    right: float
    updates: int
    time_ns: int


class Wires:
    """Two wheel speeds that any process may set and read.

    With a ``path`` the file is made if need be, at rest, and shared with every
    other opener; without one the wires stay within this process. Both speeds
    travel in one aligned eight-byte store, so a reader never sees the left wheel
    of one command with the right wheel of another. Raises
    :class:`~autcar.errors.MotorError` when the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        try:
            self._map = mmap.mmap(-1, _SIZE) if path is None else _open(path)
        except OSError as error:
            raise MotorError(
                f"the simulator's wires {path} cannot be opened: {error.strerror or error}; "
                "name a file in a folder that you may write to, such as /tmp/autcar.wires"
            ) from error
        self._words = memoryview(self._map).cast("Q")

    def write(self, left: float, right: float) -> None:
        """Set both wheel speeds, −1…1 of full speed, at once."""
        words = self._words
        # The time goes first: a reader in between pairs it with the old speeds, which is harmless.
        words[_TIME] = time.monotonic_ns()
        words[_SPEEDS] = int.from_bytes(struct.pack("ff", left, right), sys.byteorder)
        words[_UPDATES] += 1

    def read(self) -> Signal:
        """Look at the wires."""
        words = self._words
        speeds = words[_SPEEDS].to_bytes(8, sys.byteorder)
        left, right = struct.unpack("ff", speeds)
        return Signal(left, right, words[_UPDATES], words[_TIME])

    def close(self) -> None:
        """Let go of the file; what is on the wires stays. Closing twice is harmless."""
        self._words.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _open(path: str | os.PathLike[str]) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        if os.fstat(descriptor).st_size < _SIZE:
            os.ftruncate(descriptor, _SIZE)
        return mmap.mmap(descriptor, _SIZE)
    finally:
        os.close(descriptor)
