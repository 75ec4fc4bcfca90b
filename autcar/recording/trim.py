"""Which rows were recorded when, and deleting for good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autcar.errors import DataError
from autcar.files import hold, write_atomic
from autcar.recording.deletion import DELETED, deleted_rows
from autcar.recording.session import CSV, Record


def empty(folder: Path) -> int:
    """Delete for good what is softly deleted in a session; returns how many frames.

    Raises :class:`DataError` while the session is being recorded: its recorder would go on
    writing into the file that is replaced here.
    """
    with open(folder / CSV, "rb") as file:
        if not hold(file):
            raise DataError(f"{folder} is being recorded; finish it first")
    # Closed again, as Windows replaces no open file: what is not being recorded never will be.
    lines = (folder / CSV).read_bytes().split(b"\n")
    gone = deleted_rows(folder, len(lines))
    if not gone:
        return 0
    images = [_image_of(folder, lines[row]) for row in gone]
    keep = [line for row, line in enumerate(lines) if row not in gone]
    # A crash after this line brings frames back, one before the images go loses none.
    (folder / DELETED).rename(folder / f".{DELETED}")
    write_atomic(folder / CSV, b"\n".join(keep).decode("utf-8", "replace"))
    kept = {_image_of(folder, line) for line in keep}
    for image in images:
        if image is not None and image not in kept:
            image.unlink(missing_ok=True)
    (folder / f".{DELETED}").unlink()
    return len(gone)


def rows_between(records: Sequence[Record], begin_s: float, end_s: float) -> tuple[int, int]:
    """The first and last row recorded from ``begin_s`` to ``end_s`` seconds after the first.

    Raises :class:`DataError` when there is none, or the recording has no times.
    """
    if any(record.time_ns is None for record in records):
        raise DataError("this recording has no times; give rows, such as --rows 10:20")
    start_ns = records[0].time_ns or 0
    rows = [
        record.row
        for record in records
        if begin_s * 1e9 <= (record.time_ns or 0) - start_ns <= end_s * 1e9
    ]
    if not rows:
        raise DataError(f"nothing was recorded from {begin_s:g} to {end_s:g} s")
    return min(rows), max(rows)


def _image_of(folder: Path, line: bytes) -> Path | None:
    image = Path(line.split(b";")[0].decode("utf-8", "replace"))
    if not line.strip() or image.is_absolute() or ".." in image.parts:
        return None
    return folder / image
