"""The recordings as the page shows them: listed, leafed through, softly deleted.

What a browser names is only ever looked up among the folders that are there; no
path is made of it.
"""

from __future__ import annotations

import json
import os
import threading
from bisect import bisect_left
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

from autcar.commands import LABELS
from autcar.errors import AutcarError, DataNotFoundError
from autcar.recording.deletion import DELETED, deleted_rows, deletions
from autcar.recording.session import CSV, INFO, Record, is_session, read_session

_KEPT = 4


class Library:
    """The sessions below one folder. Safe to use from several threads."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._lock = threading.Lock()
        self._read: OrderedDict[str, tuple[tuple[int, ...], list[Record]]] = OrderedDict()

    def names(self) -> list[str]:
        """The sessions' folder names, newest first."""
        try:
            found = [child for child in self._folder.iterdir() if is_session(child)]
        except OSError:
            return []
        found.sort(key=lambda child: (child / CSV).stat().st_mtime, reverse=True)
        return [child.name for child in found]

    def folder(self, name: str) -> Path:
        """The folder of a session. Raises :class:`DataNotFoundError` for any other name."""
        if name not in self.names():
            raise DataNotFoundError("there is no such recording; reload the list")
        return self._folder / name

    def sessions(self) -> list[dict[str, Any]]:
        """One object a session: name, start, seconds, frames, of which deleted, and a row to show.

        Quick for long sessions, too: rows are counted, not read.
        """
        return [_summary(self._folder / name) for name in self.names()]

    def rows(self, name: str) -> dict[str, Any]:
        """All rows as columns: row number, class (−1 none), time in ms, deleted or not."""
        folder = self.folder(name)
        records = self._records(name)
        gone = deleted_rows(folder, records[-1].row + 1)
        index = {label: number for number, label in enumerate(LABELS)}
        first_ns = records[0].time_ns or 0
        return {
            "name": name,
            "labels": list(LABELS),
            "row": [record.row for record in records],
            "label": [index.get(record.command.label, -1) for record in records],
            "ms": [((record.time_ns or first_ns) - first_ns) // 1_000_000 for record in records],
            "gone": [int(record.row in gone) for record in records],
            "undo": len(deletions(folder)),
        }

    def image(self, name: str, row: int) -> tuple[bytes, str]:
        """The image of one row and its type. Raises :class:`DataNotFoundError`."""
        records = self._records(name)
        index = bisect_left(records, row, key=lambda record: record.row)
        if index < len(records) and records[index].row == row:
            image = records[index].image
            with suppress(FileNotFoundError):
                return image.read_bytes(), (
                    "image/png" if image.suffix == ".png" else "image/jpeg"
                )
        raise DataNotFoundError("there is no such image")

    def last_row(self, name: str) -> int:
        """The number of the last row of a session."""
        return self._records(name)[-1].row

    def _records(self, name: str) -> list[Record]:
        stat = (self.folder(name) / CSV).stat()
        version = (stat.st_size, stat.st_mtime_ns)
        with self._lock:
            if name in self._read and self._read[name][0] == version:
                self._read.move_to_end(name)
                return self._read[name][1]
        records = read_session(self._folder / name, include_deleted=True).records
        with self._lock:
            self._read[name] = (version, records)
            while len(self._read) > _KEPT:
                self._read.popitem(last=False)
        return records


def _summary(folder: Path) -> dict[str, Any]:
    with open(folder / CSV, "rb") as file:
        frames = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
        file.seek(0)
        first = _time_ns(file.readline())
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
        ends = file.read().split(b"\n")
        last = _time_ns(ends[-2]) if len(ends) > 1 else None
    try:
        started = json.loads((folder / INFO).read_text(encoding="utf-8")).get("started")
    except (OSError, ValueError, AttributeError):
        started = None
    try:
        gone = deleted_rows(folder, frames)
        problem = None
    except AutcarError as error:
        gone, problem = set(), f"{DELETED}: {error}"
    kept = next((row for row in range(frames // 2, frames) if row not in gone), frames // 2)
    return {
        "name": folder.name,
        "started": started if isinstance(started, str) else None,
        "frames": frames,
        "deleted": len(gone),
        "seconds": (last - first) / 1e9 if first is not None and last is not None else None,
        "row": kept,
        "problem": problem,
    }


def _time_ns(line: bytes) -> int | None:
    cells = line.split(b";")
    try:
        return int(cells[2])
    except (IndexError, ValueError):
        return None
