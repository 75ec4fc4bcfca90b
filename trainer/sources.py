"""What training data can be read from, each read into the same columns.

A source is a session of ours or of AutCar, a Donkeycar tub, or the map file of a
balanced folder. A new kind of source is one more reader in :func:`read_source`.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autcar.commands import LABELS, Command
from autcar.errors import CommandError, DataError, DataNotFoundError
from autcar.session import SOURCES, is_session, read_session
from autcar.tub import TubMapping, is_tub, read_tub

NOMINAL_INTERVAL_S = 0.5
"""Spacing of frames that carry no time. AutCar records one every 2 s unless told
otherwise; taking them as closer than they are only makes the gap of a split wider."""

TRAIN_MAP = "train_map.txt"
TEST_MAP = "test_map.txt"
FRAMES = "frames.csv"
"""Beside the maps of a balanced folder: image name; run; time in ns."""


@dataclass
class Columns:
    """One source, one row a frame, in the order recorded. See :class:`~trainer.dataset.Dataset`.

    ``groups`` counts from 0 within the source and indexes ``group_names``.
    """

    root: Path
    paths: list[str]
    labels: npt.NDArray[np.int16]
    times_ns: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int32]
    group_names: list[str]
    sources: npt.NDArray[np.uint8]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Leave only the rows where ``mask`` is true."""
        self.paths = [self.paths[i] for i in np.flatnonzero(mask)]
        self.labels, self.times_ns = self.labels[mask], self.times_ns[mask]
        self.groups, self.sources = self.groups[mask], self.sources[mask]


def find_sources(path: str | Path) -> list[Path]:
    """The sources at ``path``: itself, or the sources in that folder, sorted by name.

    Raises :class:`DataNotFoundError` when there is nothing at ``path`` or nothing to
    train from in it.
    """
    path = Path(path)
    if not path.exists():
        raise DataNotFoundError(f"there is no folder {path}; check the path")
    if _is_source(path):
        return [path]
    found = sorted(child for child in path.iterdir() if _is_source(child)) if path.is_dir() else []
    if not found:
        raise DataNotFoundError(
            f"{path} holds no recording (neither it nor a folder in it has training.csv, "
            f"a tub's manifest.json or {TRAIN_MAP}); give the folder that `autcar record` printed"
        )
    return found


def read_source(path: Path, *, include_deleted: bool, mapping: TubMapping) -> Columns:
    """Read one source that :func:`find_sources` named. Raises as its reader does."""
    if path.is_file():
        return read_map(path)[0]
    if is_session(path):
        return _read_session(path)
    if is_tub(path):
        return _read_tub(path, include_deleted=include_deleted, mapping=mapping)
    return read_map(path / TRAIN_MAP)[0]


def _is_source(path: Path) -> bool:
    if path.is_file():
        return path.name.endswith("_map.txt")
    return is_session(path) or is_tub(path) or (path / TRAIN_MAP).is_file()


def nominal_times_ns(count: int) -> npt.NDArray[np.int64]:
    """Times for ``count`` frames without any, :data:`NOMINAL_INTERVAL_S` apart."""
    return np.arange(count, dtype=np.int64) * int(NOMINAL_INTERVAL_S * 1e9)


def _read_session(folder: Path) -> Columns:
    session = read_session(folder)
    columns = Columns(
        root=folder,
        paths=[str(record.image) for record in session.records],
        labels=np.array([r.command.nearest_class().index for r in session.records], np.int16),
        times_ns=np.array([record.time_ns or 0 for record in session.records], np.int64),
        groups=np.zeros(len(session.records), np.int32),
        group_names=[folder.name],
        sources=np.array([_source_code(r.source) for r in session.records], np.uint8),
        problems=list(session.problems),
    )
    mapped = Counter(r.command.label for r in session.records if not r.command.is_class)
    columns.notes += [
        f"{folder.name}: {count:,} frames of {label} taken as "
        f"{Command.from_label(label).nearest_class().label}"
        for label, count in sorted(mapped.items())
    ]
    if any(record.time_ns is None for record in session.records):
        columns.times_ns = nominal_times_ns(len(columns))
        columns.notes.append(
            f"{folder.name}: no capture times; frames taken as {NOMINAL_INTERVAL_S} s apart"
        )
    elif np.any(np.diff(columns.times_ns) < 0):
        order = np.argsort(columns.times_ns, kind="stable")
        columns.paths = [columns.paths[i] for i in order]
        columns.labels, columns.sources = columns.labels[order], columns.sources[order]
        columns.times_ns = columns.times_ns[order]
        columns.notes.append(f"{folder.name}: rows put in the order of their capture times")
    return columns


def _source_code(source: str) -> int:
    return SOURCES.index(source if source in SOURCES else "unknown")


def _read_tub(folder: Path, *, include_deleted: bool, mapping: TubMapping) -> Columns:
    tub = read_tub(folder, include_deleted=include_deleted)
    fitted = mapping.fitted(tub.angles, tub.throttles)
    codes = np.where(tub.by_human, SOURCES.index("human"), SOURCES.index("pilot"))
    columns = Columns(
        root=folder,
        paths=[str(image) for image in tub.images],
        labels=fitted.classes(tub.angles, tub.throttles),
        times_ns=tub.times_ns,
        groups=tub.runs,
        group_names=[f"{folder.name}/run {run}" for run in range(int(tub.runs[-1]) + 1)],
        sources=codes.astype(np.uint8),
        problems=list(tub.problems),
        notes=[_describe_mapping(folder.name, mapping, fitted)],
    )
    if tub.deleted:
        taken = "taken all the same" if include_deleted else "left out"
        columns.notes.append(f"{folder.name}: {tub.deleted:,} frames flagged as deleted {taken}")
    _drop_twins(columns)
    return columns


def _describe_mapping(name: str, asked: TubMapping, fitted: TubMapping) -> str:
    if math.isinf(fitted.fast_throttle or 0.0):
        fast = "nothing taken as fast, as it has one straight throttle"
    elif asked.fast_throttle is None:
        fast = f"fast from {fitted.fast_throttle:.3g} (75th percentile of its straight throttle)"
    else:
        fast = f"fast from {fitted.fast_throttle:.3g}"
    return (
        f"{name}: |angle| < {fitted.straight:g} taken as move, < {fitted.light:g} as light, else "
        f"medium; |throttle| < {fitted.standing:g} as stop; {fast}"
    )


def _drop_twins(columns: Columns) -> None:
    """Drop byte-identical images: the later ones, or all of them where their labels differ."""
    twins = twin_groups(columns.paths)
    keep = np.ones(len(columns), bool)
    repeated = contradicting = 0
    for rows in twins:
        if len(set(columns.labels[rows].tolist())) == 1:
            keep[rows[1:]] = False
            repeated += len(rows) - 1
        else:
            keep[rows] = False
            contradicting += len(rows)
    if twins:
        columns.keep(keep)
        columns.notes.append(
            f"{columns.root.name}: {len(twins)} images stand there more than once, byte for byte; "
            f"frames left out: {repeated} repeats, {contradicting} whose commands contradict"
        )


def twin_groups(paths: Sequence[str]) -> list[list[int]]:
    """Rows of byte-identical files, two or more a list, each in rising order."""
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for row, path in enumerate(paths):
        by_size[Path(path).stat().st_size].append(row)
    by_content: defaultdict[bytes, list[int]] = defaultdict(list)
    for rows in by_size.values():
        if len(rows) > 1:
            for row in rows:
                by_content[hashlib.sha256(Path(paths[row]).read_bytes()).digest()].append(row)
    return [rows for rows in by_content.values() if len(rows) > 1]


def read_map(path: str | Path) -> tuple[Columns, npt.NDArray[np.int64]]:
    """Read a map file: image path, tab, label.

    Returns each image once, and for each line the row of its image: a balanced
    map repeats lines. Times and runs come from :data:`FRAMES` beside the map,
    where it is. An image that is not at its path is looked for beside the map,
    so a balanced folder can be moved. Raises :class:`DataNotFoundError` when the
    map is not there, :class:`DataError` when images are gone or no line can be used.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataNotFoundError(
            f"there is no map file {path}; make it with Trainer().create_balanced_dataset(…)"
        ) from None
    rows: dict[str, int] = {}
    labels: list[int] = []
    uses: list[int] = []
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        image, _, label = line.rpartition("\t")
        try:
            command = Command.parse(label)
        except CommandError as error:
            problems.append(f"{path}:{number}: skipped: {error}")
            continue
        if image not in rows:
            rows[image] = len(rows)
            labels.append(command.nearest_class().index)
        uses.append(rows[image])
    if not rows:
        detail = f"; first problem: {problems[0]}" if problems else ""
        raise DataError(
            f"{path} names no image{detail}; each line is image path, tab, label; "
            f"make it again with Trainer().create_balanced_dataset(…)"
        )
    columns = Columns(
        root=path.parent,
        paths=_locate(path, list(rows)),
        labels=np.array(labels, np.int16),
        times_ns=nominal_times_ns(len(rows)),
        groups=np.zeros(len(rows), np.int32),
        group_names=[path.parent.name],
        sources=np.full(len(rows), SOURCES.index("unknown"), np.uint8),
        problems=problems,
    )
    _add_times(columns, path.with_name(FRAMES))
    return columns, np.array(uses, np.int64)


def _locate(map_file: Path, images: list[str]) -> list[str]:
    found: list[str] = []
    gone: list[str] = []
    for image in images:
        beside = map_file.parent / Path(image).name
        if Path(image).is_file():
            found.append(image)
        elif beside.is_file():
            found.append(str(beside))
        else:
            gone.append(image)
    if gone:
        raise DataError(
            f"{map_file} names {len(images):,} images, {len(gone):,} of them are gone, the first "
            f"is {gone[0]}; make the folder again with Trainer().create_balanced_dataset(…)"
        )
    return found


def _add_times(columns: Columns, frames: Path) -> None:
    try:
        with open(frames, encoding="utf-8", newline="") as file:
            known = {name: (run, int(time)) for name, run, time in csv.reader(file, delimiter=";")}
        found = [known[Path(path).name] for path in columns.paths]
    except (FileNotFoundError, ValueError, KeyError):
        columns.notes.append(
            f"{columns.root.name}: no capture times; frames taken as {NOMINAL_INTERVAL_S} s apart"
        )
        return
    columns.group_names = list(dict.fromkeys(run for run, _ in found))
    number = {run: index for index, run in enumerate(columns.group_names)}
    columns.groups = np.array([number[run] for run, _ in found], np.int32)
    columns.times_ns = np.array([time for _, time in found], np.int64)


def describe_missing(labels: npt.NDArray[np.int16]) -> str | None:
    """Names the classes that no frame shows, or None when each has some."""
    counts = np.bincount(labels, minlength=len(LABELS))
    missing = [label for label, count in zip(LABELS, counts, strict=True) if not count]
    return f"no frame of {', '.join(missing)}: these cannot be learned" if missing else None
