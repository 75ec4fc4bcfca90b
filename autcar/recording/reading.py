"""Recordings of every kind, found and read alike.

A session of ours or of AutCar, a Donkeycar tub, and a folder of images per command
(``left_light_forward/*.jpg``) are all read as :class:`~autcar.recording.session.Session`.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from autcar.commands import LABELS, Command
from autcar.errors import CommandError, DataError, DataNotFoundError
from autcar.recording.session import Record, Session, is_session, read_session
from autcar.recording.tub import TubMapping, is_tub, read_tub

IMAGES = (".jpg", ".jpeg", ".png")


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
    return Session(folder, {"car": folder.name}, records, problems, 0)


def _in_order(path: Path) -> list[tuple[int, str]]:
    """Sorts frame 10 after frame 9."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]
