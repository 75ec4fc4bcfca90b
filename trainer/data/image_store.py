"""Where decoded images are kept: in memory, or in a file when they are many."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from autcar.errors import DataError

Images = npt.NDArray[np.uint8]

MEMORY_BUDGET = 128 << 20
"""Bytes of decoded images that are held in memory, if half of what is free allows it.
A file gives them nearly as fast: see benchmarks/training_data.py."""


class ImageStore(Protocol):
    """Holds images of one shape by row. Threads may put and take at the same time."""

    def put(self, row: int, image: Images) -> None:
        """Keep ``image``, ``uint8`` and of the store's shape, as number ``row``."""

    def take(self, rows: npt.NDArray[np.integer]) -> Images:
        """Copies of the images ``rows``, ``uint8`` and one after the other."""


def open_store(
    count: int, shape: tuple[int, ...], folder: str | Path | None, budget: int | None
) -> ImageStore:
    """A store for ``count`` images of ``shape``, in memory if that is within ``budget`` bytes.

    By default that is :func:`default_budget`. The file, otherwise, has no name and is
    gone when its store is; it lies in ``folder``, by default in the system's folder for
    large temporary files. Raises :class:`DataError` when it does not fit there.
    """
    size = count * int(np.prod(shape))
    if size <= (default_budget() if budget is None else budget):
        return MemoryStore(count, shape)
    return FileStore(count, shape, folder)


def default_budget() -> int:
    """:data:`MEMORY_BUDGET`, or half of the free memory where that is less, in bytes."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        free = 2 * MEMORY_BUDGET
    return min(MEMORY_BUDGET, free // 2)


class MemoryStore:
    """Images in one array."""

    def __init__(self, count: int, shape: tuple[int, ...]) -> None:
        self._images: Images = np.empty((count, *shape), np.uint8)

    def put(self, row: int, image: Images) -> None:  # noqa: D102
        self._images[row] = image

    def take(self, rows: npt.NDArray[np.integer]) -> Images:  # noqa: D102
        return np.asarray(self._images[rows])


class FileStore:
    """Images in an unnamed file.

    They are read and written, not mapped: mapped pages would count as this process's
    memory, and a disk that fills up would kill it without a word.
    """

    def __init__(self, count: int, shape: tuple[int, ...], folder: str | Path | None) -> None:
        self._shape = shape
        self._bytes = int(np.prod(shape))
        self._needed = count * self._bytes
        self._folder = Path(folder or _large_files())
        self._folder.mkdir(parents=True, exist_ok=True)
        # Unbuffered, with a place to read at that threads share: pread is not on Windows.
        self._lock = threading.Lock()
        self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        try:
            # Taken now, so that a full disk is found before the work and not in its midst.
            if hasattr(os, "posix_fallocate"):  # not on macOS, nor Windows
                os.posix_fallocate(self._file.fileno(), 0, self._needed)
        except OSError as error:
            raise self._full(error) from error

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def put(self, row: int, image: Images) -> None:  # noqa: D102
        data = np.ascontiguousarray(image).data.cast("B")
        try:
            with self._lock:
                self._file.seek(row * self._bytes)
                written = self._file.write(data)
        except OSError as error:
            raise self._full(error) from error
        if written != self._bytes:
            raise self._full(OSError(0, "the disk took only a part"))

    def take(self, rows: npt.NDArray[np.integer]) -> Images:  # noqa: D102
        images = np.empty((len(rows), *self._shape), np.uint8)
        data = images.data.cast("B")
        for number, row in enumerate(rows.tolist()):
            target = data[number * self._bytes : (number + 1) * self._bytes]
            with self._lock:
                self._file.seek(row * self._bytes)
                found = self._file.readinto(target)
            if found != self._bytes:
                raise DataError(
                    f"the file of decoded images in {self._folder} has lost image {row:,}; "
                    f"check the disk, and train again"
                )
        return images

    def _full(self, error: OSError) -> DataError:
        return DataError(
            f"the decoded images need {self._needed / 1e9:.1f} GB in {self._folder} "
            f"({error.strerror}); free some space, name another disk by TMPDIR, or train with "
            f"smaller images"
        )


def _large_files() -> str:
    """The folder for them. Where /tmp is memory, /var/tmp is a disk."""
    if "TMPDIR" not in os.environ and os.access("/var/tmp", os.W_OK):
        return "/var/tmp"
    return tempfile.gettempdir()
