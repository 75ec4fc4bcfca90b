"""Plain files as a tar stream, from the workstation to a car."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from autcar.errors import DataError

LARGEST = 500_000_000
"""Bytes that a car takes at once."""


def pack(files: Iterable[Path], to: IO[bytes]) -> None:
    """Write ``files`` by their names, without their folders."""
    with tarfile.open(fileobj=to, mode="w|") as tar:
        for path in files:
            tar.add(path, path.name, recursive=False)


def unpack(stream: IO[bytes], folder: Path) -> None:
    """Write the files of a stream into ``folder``, and nowhere else.

    Raises :class:`DataError` when the stream ends early or holds anything but plain files.
    """
    total = 0
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                total += member.size
                plain = member.isfile() and Path(member.name).name == member.name
                if not plain or member.name.startswith(".") or total > LARGEST:
                    raise DataError(f"the stream holds {member.name!r}, which a car does not take")
                source = tar.extractfile(member)
                assert source is not None
                with open(folder / member.name, "wb") as file:
                    shutil.copyfileobj(source, file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"the upload broke off ({error}); try again") from error
