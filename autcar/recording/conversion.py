"""From recordings of one kind to those of another: import, export and merge."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from autcar.errors import DataError
from autcar.files import write_atomic
from autcar.images import read_image
from autcar.recording.deletion import deleted_rows
from autcar.recording.reading import read_recording
from autcar.recording.session import (
    CSV,
    SOURCES,
    Record,
    Session,
    SessionWriter,
    is_session,
)
from autcar.recording.tub import TubFrame, is_tub, read_tub, write_tub

PAUSE_NS = 10_000_000_000
"""Between two sessions that are merged into one."""

INTERVAL_NS = 500_000_000
"""Between frames that carry no time, where a time is needed."""

Progress = Callable[[int, int], None]


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
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        what = "is not empty" if target.is_dir() else "is a file"
        raise DataError(f"{target} {what}; name a new folder")
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
            times_ns = _times_ns(session)
            shift_ns = max(0, end_ns + PAUSE_NS - times_ns[0]) if done else 0
            for record, time_ns in zip(session.records, times_ns, strict=True):
                end_ns = time_ns + shift_ns
                _copy(record, writer, end_ns)
                done += 1
                progress(done, total)
    return writer.folder


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


def _times_ns(session: Session) -> list[int]:
    """A time for each record: its own, or :data:`INTERVAL_NS` apart where one has none."""
    times = [record.time_ns for record in session.records if record.time_ns is not None]
    if len(times) == len(session.records):
        return times
    return [number * INTERVAL_NS for number in range(len(session.records))]


def _tub_frames(session: Session) -> list[TubFrame]:
    rows = session.records[-1].row + 1
    gone = deleted_rows(session.folder, rows) if is_session(session.folder) else set()
    return [
        TubFrame(
            record.image,
            record.command,
            time_ns,
            record.source not in ("pilot", "expert"),
            record.row in gone,
        )
        for record, time_ns in zip(session.records, _times_ns(session), strict=True)
    ]
