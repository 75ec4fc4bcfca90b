"""Recordings of every kind, read alike, and the ways from one kind to another.

A session of ours or of AutCar, a Donkeycar tub, and a folder of images per command
(``left_light_forward/*.jpg``) are all read as :class:`~autcar.session.Session`.
"""

from __future__ import annotations

import re
import shutil
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from autcar.commands import LABELS, Command
from autcar.errors import CommandError, DataError, DataNotFoundError
from autcar.images import read_image
from autcar.session import (
    CSV,
    DELETED,
    SOURCES,
    Record,
    Session,
    SessionWriter,
    deleted_rows,
    is_session,
    read_session,
    write_atomic,
)
from autcar.tub import TubFrame, TubMapping, is_tub, read_tub, write_tub

IMAGES = (".jpg", ".jpeg", ".png")
PAUSE_NS = 10_000_000_000
"""Between two sessions that are merged into one."""

Progress = Callable[[int, int], None]


def kind_of(folder: Path) -> str | None:
    """``session``, ``tub`` or ``labelled`` where ``folder`` is a recording, else None."""
    if is_session(folder):
        return "session"
    if is_tub(folder):
        return "tub"
    if folder.is_dir() and any((folder / label).is_dir() for label in LABELS):
        return "labelled"
    return None


def find_recordings(path: str | Path) -> list[Path]:
    """The recordings at ``path``: itself, or those in that folder, by name.

    Raises :class:`DataNotFoundError` when there is none.
    """
    path = Path(path)
    if not path.exists():
        raise DataNotFoundError(f"there is no folder {path}; record with `autcar record`")
    if kind_of(path):
        return [path]
    found = sorted(child for child in path.iterdir() if kind_of(child)) if path.is_dir() else []
    if not found:
        raise DataNotFoundError(f"{path} holds no recording; give {_folder_inside(path)}")
    return found


def _folder_inside(path: Path) -> str:
    """A folder a level down that holds recordings, where there is one."""
    children = sorted(child for child in path.iterdir() if child.is_dir()) if path.is_dir() else []
    for child in children:
        if any(kind_of(grandchild) for grandchild in child.iterdir()):
            return str(child)
    return "the folder that `autcar record` printed"


def read_recording(folder: str | Path, *, include_deleted: bool = False) -> Session:
    """Read a recording of any kind. Raises as the reader of that kind does."""
    folder = Path(folder)
    kind = kind_of(folder)
    if kind == "tub":
        return _read_tub(folder, include_deleted)
    if kind == "labelled":
        return _read_labelled(folder)
    return read_session(folder, include_deleted=include_deleted)


def import_recording(
    source: str | Path,
    parent: str | Path,
    *,
    include_deleted: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[Path]:
    """Copy a recording of any kind into sessions of ours below ``parent``, one a run.

    A run of a tub ends where its driver paused; images keep their bytes. Returns the
    sessions' folders.
    """
    source = Path(source)
    session = read_recording(source, include_deleted=include_deleted)
    runs = _runs(source, session, include_deleted)
    folders = []
    done = 0
    for number, records in enumerate(runs):
        name = source.resolve().name if len(runs) == 1 else f"{source.resolve().name}_{number:02d}"
        with _writer(records, parent, name, str(session.info.get("car", source.name))) as writer:
            for record in records:
                _copy(record, writer, record.time_ns)
                done += 1
                progress(done, len(session.records))
        folders.append(writer.folder)
    return folders


def export_recordings(
    folders: Sequence[Path],
    target: str | Path,
    kind: str,
    *,
    include_deleted: bool = False,
    progress: Progress = lambda done, total: None,
) -> int:
    """Write recordings as another kind to the new folder ``target``; returns how many frames.

    ``kind`` is ``autcar`` (AutCar's own layout), ``tub`` (Donkeycar) or ``labelled``.
    Raises :class:`DataError` when ``target`` is not empty.
    """
    target = Path(target)
    if target.exists() and any(target.iterdir()):
        raise DataError(f"{target} is not empty; name a new folder")
    sessions = [read_recording(folder, include_deleted=include_deleted) for folder in folders]
    if kind == "tub":
        return write_tub(target, [_tub_frames(session) for session in sessions])
    total = sum(len(session.records) for session in sessions)
    target.mkdir(parents=True, exist_ok=True)
    rows: list[str] = []
    for number, record in enumerate(r for session in sessions for r in session.records):
        suffix = record.image.suffix
        if kind == "autcar":
            name = f"{number}_car_snapshot{suffix}"
            rows.append(f"{name};{record.command.to_json()}\r\n")
        elif kind == "labelled":
            label = record.command.nearest_class().label
            (target / label).mkdir(exist_ok=True)
            name = f"{label}/{number:08d}{suffix}"
        else:
            raise DataError(f"{kind!r} is no kind to export to; there are autcar, tub, labelled")
        shutil.copyfile(record.image, target / name)
        progress(number + 1, total)
    if kind == "autcar":
        write_atomic(target / CSV, "".join(rows))
    return total


def merge(
    folders: Sequence[Path],
    target: str | Path,
    *,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Copy recordings, one after the other, into the new session ``target``.

    Deleted frames are left out. Times are shifted where need be, so that each recording
    begins after the one before. Returns the session's folder.
    """
    target = Path(target)
    if target.exists():
        raise DataError(f"{target} is there already; name a new folder")
    sessions = [read_recording(folder) for folder in folders]
    total = sum(len(session.records) for session in sessions)
    first = [record for session in sessions for record in session.records]
    car = str(sessions[0].info.get("car", "autcar"))
    done = end_ns = 0
    with _writer(first, target.parent, target.name, car) as writer:
        for session in sessions:
            begin_ns = session.records[0].time_ns or 0
            shift_ns = max(0, end_ns + PAUSE_NS - begin_ns) if done else 0
            for record in session.records:
                end_ns = (record.time_ns or 0) + shift_ns
                _copy(record, writer, end_ns)
                done += 1
                progress(done, total)
    return writer.folder


def empty(folder: Path) -> int:
    """Delete for good what is softly deleted in a session; returns how many frames."""
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


def _read_tub(folder: Path, include_deleted: bool) -> Session:
    tub = read_tub(folder, include_deleted=include_deleted)
    classes = TubMapping().classes(tub.angles, tub.throttles)
    records = []
    for row, image in enumerate(tub.images):
        try:
            command = Command.from_label(tub.commands[row] or LABELS[classes[row]])
        except CommandError:
            command = Command.from_label(LABELS[classes[row]])
        source = "human" if tub.by_human[row] else "pilot"
        records.append(Record(image, command, int(tub.times_ns[row]), row, source, row))
    return Session(folder, {"car": folder.name}, records, tub.problems, tub.deleted)


def _read_labelled(folder: Path) -> Session:
    records: list[Record] = []
    problems = []
    for child in sorted(child for child in folder.iterdir() if child.is_dir()):
        if child.name not in LABELS:
            problems.append(f"{child}: skipped: its name is none of the 12 commands")
            continue
        for image in sorted(child.iterdir(), key=_in_order):
            if image.suffix.lower() in IMAGES:
                row = len(records)
                command = Command.from_label(child.name)
                records.append(Record(image, command, None, row, "unknown", row))
    if not records:
        raise DataError(f"{folder} has folders named by commands but no image in them")
    return Session(folder, {"car": folder.name}, records, problems)


def _in_order(path: Path) -> list[tuple[int, str]]:
    """Sorts frame 10 after frame 9."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def _runs(source: Path, session: Session, include_deleted: bool) -> list[list[Record]]:
    if not is_tub(source):
        return [session.records]
    numbers = read_tub(source, include_deleted=include_deleted).runs
    runs: dict[int, list[Record]] = {}
    for number, record in zip(numbers, session.records, strict=True):
        runs.setdefault(int(number), []).append(record)
    return list(runs.values())


def _writer(records: Sequence[Record], parent: str | Path, name: str, car: str) -> SessionWriter:
    height, width = read_image(records[0].image).shape[:2]
    times = [record.time_ns for record in records if record.time_ns is not None]
    steps = [after - before for before, after in pairwise(times) if after > before]
    fps = round(1e9 / statistics.median(steps), 2) if steps else 0.0
    return SessionWriter(parent, width=width, height=height, fps=fps, car=car, name=name)


def _copy(record: Record, writer: SessionWriter, time_ns: int | None) -> None:
    data = record.image.read_bytes()
    if not data:
        raise DataError(f"{record.image} is empty; delete it, and run the command again")
    source = record.source if record.source in SOURCES else "unknown"
    writer.append(data, time_ns, record.sequence, record.command, source)


def _tub_frames(session: Session) -> list[TubFrame]:
    rows = session.records[-1].row + 1
    gone = deleted_rows(session.folder, rows) if is_session(session.folder) else set()
    return [
        TubFrame(
            record.image,
            record.command,
            # Tubs need a time; frames without one are put half a second apart.
            record.time_ns if record.time_ns is not None else number * 500_000_000,
            record.source not in ("pilot", "expert"),
            record.row in gone,
        )
        for number, record in enumerate(session.records)
    ]


def _image_of(folder: Path, line: bytes) -> Path | None:
    image = Path(line.split(b";")[0].decode("utf-8", "replace"))
    if not line.strip() or image.is_absolute() or ".." in image.parts:
        return None
    return folder / image


def seconds_driven(records: Sequence[Record]) -> float | None:
    """How long was driven, pauses left out; None where the records have no times.

    A pause is ten times the usual step between frames, and two seconds at least.
    """
    times = [record.time_ns for record in records if record.time_ns is not None]
    steps = [after - before for before, after in pairwise(times)]
    if not steps:
        return None
    pause = max(2e9, 10 * statistics.median(steps))
    return sum(step for step in steps if 0 < step < pause) / 1e9
