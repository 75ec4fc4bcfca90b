"""Recordings: a folder of images, ``training.csv`` and ``session.json``.

``training.csv`` has no header and is split on ``;``: image path relative to the
folder, command as JSON (AutCar's own reader takes these two), then capture time
in ns, sequence number and source. A row is appended only after its image is
whole. What a power cut can leave behind — a torn last row, a row whose image
never reached the card — the reader skips and reports.
Rows count from 0, one a line; those that are softly deleted are left out.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple, Self

from autcar.cameras.base import Frame
from autcar.commands import LABELS, Command
from autcar.errors import CommandError, DataError, DataNotFoundError
from autcar.files import hold, new_folder, write_atomic, write_new
from autcar.images import encode_jpeg
from autcar.recording.deletion import deleted_rows

SCHEMA = 1
CSV = "training.csv"
INFO = "session.json"
SOURCES = ("human", "pilot", "takeover", "expert", "unknown")

_PNG_START = b"\x89PNG"

SYNC_INTERVAL_S = 0.5
"""How often images and rows are forced to the card: a power cut loses at most that."""


class SessionWriter:
    """Writes one session. Use it as a context manager, or call :meth:`close`.

    A new folder ``parent/name`` is made, never an old one reused, so no image is
    ever overwritten. ``clock`` gives the wall time for ``session.json``; the
    simulator passes its own, so that the same seed writes the same bytes. With
    ``self_sync`` false the owner calls :meth:`sync`, from a thread that may wait.
    """

    def __init__(
        self,
        parent: str | Path,
        *,
        width: int,
        height: int,
        fps: float,
        car: str = "autcar",
        name: str | None = None,
        quality: int = 90,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        self_sync: bool = True,
    ) -> None:
        self._clock = clock
        self._self_sync = self_sync
        started = clock()
        self.folder = new_folder(Path(parent), name or started.strftime("%Y-%m-%d_%H-%M-%S"))
        self.counts: Counter[str] = Counter()
        self._quality = quality
        self._frames = 0
        self._shape = (height, width, 3)
        self._info: dict[str, Any] = {
            "schema": SCHEMA,
            "car": car,
            "camera": {"width": width, "height": height, "fps": fps, "color": "RGB"},
            "vocabulary": list(LABELS),
            "started": started.isoformat(),
            "ended": None,
            "frames": None,
        }
        (self.folder / "images").mkdir()
        self._write_info()
        self._csv: FileIO = open(self.folder / CSV, "ab", buffering=0)  # noqa: SIM115 - close()
        hold(self._csv)  # so that nobody replaces it meanwhile
        self._csv_size = 0
        self._synced_at = time.monotonic()

    @property
    def frames(self) -> int:
        """How many frames were written."""
        return self._frames

    def write(self, frame: Frame, command: Command, source: str) -> None:
        """Write one frame and, once its image is whole, its row.

        Raises :class:`DataError` when the frame has not the session's shape or
        the source is not one of :data:`SOURCES`.
        """
        if frame.image.shape != self._shape:
            raise DataError(
                f"frame {frame.sequence} has shape {frame.image.shape}, the session "
                f"{self.folder.name} has {self._shape}; start a new session for a new size"
            )
        jpeg = encode_jpeg(frame.image, self._quality)
        self.append(jpeg, frame.time_ns, frame.sequence, command, source)

    def append(
        self, image: bytes, time_ns: int | None, sequence: int, command: Command, source: str
    ) -> None:
        """Write an encoded image (JPEG or PNG) of the session's size and its row.

        ``time_ns`` is None where a recording from elsewhere has no times.
        """
        if source not in SOURCES:
            raise DataError(f"source {source!r} is not one of {', '.join(SOURCES)}")
        name = f"images/{self._frames:08d}{'.png' if image.startswith(_PNG_START) else '.jpg'}"
        write_new(self.folder / name, image)
        time_text = "" if time_ns is None else str(time_ns)
        self._append(f"{name};{command.to_json()};{time_text};{sequence};{source}\n".encode())
        self._frames += 1
        self.counts[command.label] += 1
        if self._self_sync and time.monotonic() - self._synced_at > SYNC_INTERVAL_S:
            self.sync()

    def close(self) -> None:
        """Force everything to the card and note the end. Closing twice is harmless."""
        if self._csv.closed:
            return
        self.sync()
        self._csv.close()
        self._info["ended"] = self._clock().isoformat()
        self._info["frames"] = self._frames
        self._write_info()

    def _append(self, row: bytes) -> None:
        if self._csv.write(row) != len(row):
            self._csv.truncate(self._csv_size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder / CSV))
        self._csv_size += len(row)

    def _write_info(self) -> None:
        write_atomic(self.folder / INFO, json.dumps(self._info, indent=2) + "\n")

    def sync(self) -> None:
        """Force what was written to the card. May wait as long as the card is busy."""
        # One sync of the whole file system costs less than one fsync per image. Windows has none.
        if hasattr(os, "sync"):
            os.sync()
        self._synced_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a session. ``time_ns`` is None in AutCar's recordings, which have no times."""

    image: Path
    command: Command
    time_ns: int | None
    sequence: int
    source: str
    row: int


class Row(NamedTuple):
    """One row as it stands in the file: as a :class:`Record`, ``image`` relative to the folder."""

    image: str
    command: Command
    time_ns: int | None
    sequence: int
    source: str
    row: int


class Rows(NamedTuple):
    """A session's rows as read, with what :class:`Session` has besides records."""

    folder: Path
    info: dict[str, Any]
    rows: list[Row]
    problems: list[str]
    deleted: int


@dataclass(frozen=True)
class Session:
    """A session as read: its records, and in ``problems`` what was skipped and why.

    ``deleted`` counts the records that are softly deleted, read or not.
    """

    folder: Path
    info: dict[str, Any]
    records: list[Record]
    problems: list[str]
    deleted: int


def is_session(folder: Path) -> bool:
    """Whether ``folder`` is a session of ours or of AutCar."""
    return (folder / CSV).is_file()


def _session_inside(folder: Path) -> str:
    """A session in ``folder``, where there is one."""
    inside = sorted(child for child in folder.iterdir() if is_session(child))
    return str(inside[0]) if inside else "the folder that `autcar record` printed"


def read_session(folder: str | Path, *, include_deleted: bool = False) -> Session:
    """Read a session of ours or of AutCar, without its deleted rows unless they are asked for.

    Raises as :func:`read_rows` does.
    """
    found = read_rows(folder, include_deleted=include_deleted)
    records = [
        Record(found.folder / image, command, time_ns, sequence, source, row)
        for image, command, time_ns, sequence, source, row in found.rows
    ]
    return Session(found.folder, found.info, records, found.problems, found.deleted)


def read_rows(folder: str | Path, *, include_deleted: bool = False) -> Rows:
    """Read the rows of a session as they stand there, in half of :func:`read_session`'s time.

    Rows that cannot be used are skipped and named in ``problems``. Raises
    :class:`DataNotFoundError` when the folder or its ``training.csv`` is missing,
    :class:`DataError` when not one row can be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataNotFoundError(f"there is no folder {folder}; check the path")
    if not is_session(folder):
        raise DataNotFoundError(
            f"{folder} has no {CSV}, so it is no recording; give {_session_inside(folder)}"
        )
    info = _read_info(folder)
    lines = (folder / CSV).read_bytes().split(b"\n")
    torn = lines.pop()
    rows: list[Row] = []
    problems: list[str] = []
    present = _Present(folder)
    gone = deleted_rows(folder, len(lines))
    deleted = 0
    for number, line in enumerate(lines):
        text = line.decode("utf-8", "replace").strip()
        if not text:
            continue
        try:
            row = _parse_row(text, number)
        except (CommandError, ValueError) as error:
            problems.append(f"{folder / CSV}:{number + 1}: skipped: {error}")
            continue
        if row.image not in present:
            image = folder / row.image
            problems.append(f"{folder / CSV}:{number + 1}: skipped: image {image} is not there")
            continue
        deleted += number in gone
        if include_deleted or number not in gone:
            rows.append(row)
    if torn.strip():
        problems.append(f"{folder / CSV}:{len(lines) + 1}: skipped: the last line is torn")
    if not rows and deleted:
        raise DataError(
            f"all {deleted:,} frames of {folder} are deleted; take the last deletion back with "
            f"`autcar data trim {folder} --undo`"
        )
    if not rows:
        detail = f"; first problem: {problems[0]}" if problems else ""
        raise DataError(f"{folder} has no usable frame{detail}; record again with `autcar record`")
    return Rows(folder, info, rows, problems, deleted)


def _read_info(folder: Path) -> dict[str, Any]:
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DataError(
            f"{folder / INFO} is not JSON ({error}); delete it and the images and "
            f"{CSV} can still be read"
        ) from error
    if not isinstance(info, dict) or info.get("schema", SCHEMA) != SCHEMA:
        found = info.get("schema") if isinstance(info, dict) else type(info).__name__
        raise DataError(
            f"{folder / INFO} has schema {found}, this autcar reads {SCHEMA}; "
            f"read it with the version that wrote it"
        )
    return info


def _parse_row(text: str, number: int) -> Row:
    cells = text.split(";")
    if len(cells) < 2:
        raise ValueError(f"{text[:60]!r} has no command; expected image;command")
    command = _command(cells[1])
    time_ns = int(cells[2]) if len(cells) > 2 and cells[2] else None
    if time_ns is not None and not 0 <= time_ns < 2**63:
        raise ValueError(f"capture time {cells[2][:30]} is no time in ns")
    sequence = int(cells[3]) if len(cells) > 3 and cells[3] else number
    source = cells[4] if len(cells) > 4 and cells[4] else "unknown"
    if cells[0].startswith("/") or ".." in cells[0].split("/"):
        raise ValueError(f"image {cells[0]!r} lies outside the session")
    return Row(cells[0], command, time_ns, sequence, source, number)


@functools.lru_cache(maxsize=256)
def _command(text: str) -> Command:
    return Command.parse(text)


class _Present:
    """Answers whether an image of ``root`` exists with one directory listing a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[str, set[str]] = {}

    def __contains__(self, image: str) -> bool:
        folder, _, name = image.rpartition("/")
        names = self._names.get(folder)
        if names is None:
            names = self._names[folder] = _names_in(self._root / folder)
        return name in names


def _names_in(folder: Path) -> set[str]:
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}
