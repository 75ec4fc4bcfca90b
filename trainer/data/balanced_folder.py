"""Balanced folders, as AutCar's trainer makes them: images and two map files.

A map file has a line for each sample: image path, tab, label. Unlike AutCar's,
the parts are split first, by time and with a gap, and only the training part is
balanced: a frame shown three times is three lines and one image, and that image
is a link to the recording where the file system can.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autcar.errors import DataError, DataNotFoundError
from autcar.recording.tub import TubMapping
from trainer.data.balance import balance_indices, describe_balance
from trainer.data.dataset import Dataset, dataset_of, load_dataset
from trainer.data.sources.maps import FRAMES, TEST_MAP, TRAIN_MAP, read_map
from trainer.data.split import split_by_time

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BalancedFolder:
    """A balanced folder as read: each image once, and the rows that the maps list.

    ``train`` repeats rows as its map repeats lines; ``test`` does not.
    """

    dataset: Dataset
    train: Indices
    test: Indices


def create_balanced_folder(
    inputs: Sequence[str | Path] | str | Path,
    output: str | Path,
    train_test_split: float = 0.8,
    *,
    gap_s: float = 1.0,
    seed: int = 0,
    include_deleted: bool = False,
    mapping: TubMapping | None = None,
) -> list[str]:
    """Make a balanced folder of recordings. Returns what was done, a line each.

    ``train_test_split`` is the share to train on, 0…1. The folder is built aside
    and swapped in whole; an earlier balanced folder is replaced, anything else at
    ``output`` is refused with :class:`DataError`. Also raises what
    :func:`~trainer.data.dataset.load_dataset` does.
    """
    output = Path(output).absolute()
    if not 0 < train_test_split < 1:
        raise DataError(
            f"train_test_split {train_test_split} is the share to train on; use for example 0.8"
        )
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    _check_output(output, inputs)
    dataset = load_dataset(inputs, include_deleted=include_deleted, mapping=mapping)
    split = split_by_time(
        dataset, validation=0.0, test=1 - train_test_split, gap_s=gap_s, seed=seed
    )
    train = np.sort(balance_indices(dataset.labels, split.train, seed))
    aside = output.with_name(f".{output.name}.new.{os.getpid()}")
    aside.mkdir(parents=True)
    try:
        names = _place_images(dataset, np.union1d(split.train, split.test), aside)
        place = str(output)
        for name, rows in ((TRAIN_MAP, train), (TEST_MAP, split.test)):
            labels = dataset.labels[rows].tolist()
            lines = [
                f"{place}/{names[row]}\t{dataset.classes[label]}\n"
                for row, label in zip(rows.tolist(), labels, strict=True)
            ]
            (aside / name).write_text("".join(lines), encoding="utf-8")
        _write_frames(dataset, names, aside / FRAMES)
        _swap(aside, output)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [
        *(f"problem: {problem}" for problem in dataset.problems),
        *dataset.notes,
        *split.notes,
        *describe_balance(dataset.labels, split.train, train, dataset.classes),
        f"{output}: {len(train):,} training and {len(split.test):,} test samples",
    ]


def get_classes(folder: str | Path) -> dict[str, int]:
    """Samples by label in the folder's training map, in the order the labels first occur.

    Raises :class:`DataNotFoundError` when the map is not there.
    """
    path = Path(folder) / TRAIN_MAP
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        raise DataNotFoundError(_no_map(path)) from None
    return dict(Counter(line.rpartition("\t")[2] for line in lines if line.strip()))


def load_map(path: str | Path) -> tuple[Dataset, Indices]:
    """Read one map file: its images as a dataset, each once, and the row of each line.

    Raises :class:`DataNotFoundError` when the map is not there, and
    :class:`DataError` when images are gone or no line can be used.
    """
    columns, rows = read_map(path)
    return dataset_of([columns], columns.problems, columns.notes), rows


def load_balanced_folder(folder: str | Path) -> BalancedFolder:
    """Read both maps of a balanced folder, ours or AutCar's. Raises as :func:`load_map` does.

    AutCar's own folders were balanced before they were split, with copies under
    new names: nothing here can tell that a test image was trained on.
    """
    folder = Path(folder)
    if not (folder / TRAIN_MAP).is_file():
        raise DataNotFoundError(_no_map(folder / TRAIN_MAP))
    train, train_rows = read_map(folder / TRAIN_MAP)
    test, test_rows = read_map(folder / TEST_MAP)
    dataset = dataset_of(
        [train, test], [*train.problems, *test.problems], [*train.notes, *test.notes]
    )
    return BalancedFolder(dataset, train_rows, test_rows + len(train))


def _no_map(path: Path) -> str:
    return f"there is no {path}; make it with Trainer().create_balanced_dataset(…)"


def _check_output(output: Path, inputs: Sequence[str | Path]) -> None:
    if not output.exists():
        return
    ours = (output / TRAIN_MAP).is_file() and (output / TEST_MAP).is_file()
    if not ours and not (output.is_dir() and not any(output.iterdir())):
        raise DataError(
            f"{output} is there and is no balanced folder ({TRAIN_MAP} and {TEST_MAP} are "
            f"missing), so it is not replaced; name another output folder"
        )
    for given in inputs:
        if Path(given).resolve().is_relative_to(output.resolve()):
            raise DataError(
                f"{given} lies in {output}, which would be replaced; name another output folder"
            )


def _place_images(dataset: Dataset, rows: Indices, folder: Path) -> dict[int, str]:
    """Put the images ``rows`` into ``folder`` as AutCar names them. Returns the names by row."""
    names = {row: f"image_{row}{_suffix(dataset.paths[row])}" for row in rows.tolist()}
    places = _Places()
    ways: list[Callable[[str, str], object]] = [os.link, os.symlink, shutil.copyfile]
    for row, name in names.items():
        source, target = places.real(dataset.paths[row]), f"{folder}/{name}"
        while True:
            try:
                ways[0](source, target)
                break
            except OSError:
                # This file system cannot: no image after this one can either.
                if len(ways) == 1:
                    raise
                del ways[0]
    return names


def _suffix(path: str) -> str:
    dot = path.rfind(".")
    return path[dot:] if dot > path.rfind("/") else ""


class _Places:
    """Answers where a file really lies, with one look at each folder."""

    def __init__(self) -> None:
        self._folders: dict[str, tuple[str, set[str]]] = {}

    def real(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            with os.scandir(folder) as entries:
                links = {entry.name for entry in entries if entry.is_symlink()}
            self._folders[folder] = os.path.realpath(folder), links
        place, links = self._folders[folder]
        return os.path.realpath(path) if name in links else f"{place}/{name}"


def _write_frames(dataset: Dataset, names: dict[int, str], path: Path) -> None:
    runs = [
        f"{number}:{name}".replace(";", "_") for number, name in enumerate(dataset.group_names)
    ]
    groups, times = dataset.groups.tolist(), dataset.times_ns.tolist()
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(
            f"{name};{runs[groups[row]]};{times[row]}\n" for row, name in names.items()
        )


def _swap(new: Path, output: Path) -> None:
    old = output.with_name(f".{output.name}.old.{os.getpid()}")
    if output.exists():
        output.rename(old)
    try:
        new.rename(output)
    except OSError:
        if old.exists():
            old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)
