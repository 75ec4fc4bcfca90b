"""Map files: lists of images and labels, as AutCar's trainer makes them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autcar.commands import Command
from autcar.errors import CommandError, DataError, DataNotFoundError
from autcar.recording.session import SOURCES
from trainer.data.sources.columns import NOMINAL_INTERVAL_S, Columns, nominal_times_ns

TRAIN_MAP = "train_map.txt"
TEST_MAP = "test_map.txt"
FRAMES = "frames.csv"
"""Beside the maps of a balanced folder: image name; run; time in ns."""


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
        group_sources=[path.parent.name],
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
    columns.group_sources = [columns.root.name] * len(columns.group_names)
    number = {run: index for index, run in enumerate(columns.group_names)}
    columns.groups = np.array([number[run] for run, _ in found], np.int32)
    columns.times_ns = np.array([time for _, time in found], np.int64)
