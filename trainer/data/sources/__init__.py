"""What training data can be read from, each kind read into the same columns.

A source is a session of ours or of AutCar, a Donkeycar tub, the map file of a
balanced folder, a folder of class folders, or a folder of images and masks. A new
kind of source is one more reader in :func:`read_source`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autcar.errors import DataNotFoundError
from autcar.recording.session import is_session
from autcar.recording.tub import TubMapping, is_tub
from trainer.data.sources.columns import Columns
from trainer.data.sources.maps import TRAIN_MAP, read_map
from trainer.data.sources.masks import is_masked, read_masked
from trainer.data.sources.pictures import is_pictures, read_pictures
from trainer.data.sources.sessions import read_session_columns
from trainer.data.sources.tubs import read_tub_columns

PART_FOLDERS = (("training", "train"), ("validation", "valid", "val"), ("test", "testing"))
"""Names of the folders that give a part each, in the order of the parts."""

DEPTH = 3
"""How many folders deep recordings are looked for: place/driver/session."""


@dataclass(frozen=True)
class Found:
    """A source and what its place says: the part it is for (−1: none) and whom it is by."""

    path: Path
    part: int = -1
    source: str | None = None


def find_sources(path: str | Path) -> list[Found]:
    """The sources at ``path``: itself, or those in that folder, sorted by name.

    Raises :class:`DataNotFoundError` when there is nothing at ``path`` or nothing to
    train from in it.
    """
    path = Path(path)
    if not path.exists():
        raise DataNotFoundError(f"there is no folder {path}; check the path")
    if _is_recording(path) or is_masked(path):
        return [Found(path)]
    if not path.is_dir():
        raise DataNotFoundError(f"{path} is a file; give a folder that `autcar record` printed")
    parts = part_folders(path)
    if parts:
        return [
            Found(found.path, part, found.source)
            for part, folder in parts.items()
            for found in find_sources(folder)
        ]
    recordings = list(_recordings(path, DEPTH))
    if recordings:
        return [Found(found, source=_place(found, path)) for found in recordings]
    if is_pictures(path):
        return [Found(path)]
    raise DataNotFoundError(
        f"{path} holds no recording (neither it nor a folder in it has training.csv, a tub's "
        f"manifest.json or {TRAIN_MAP}), no two folders of pictures named for their classes, "
        f"and no images with masks; give the folder that `autcar record` printed"
    )


def has_masks(paths: Sequence[str | Path]) -> bool:
    """Whether the first source at ``paths`` is of images with masks. Raises as above."""
    return any(is_masked(found.path) for found in find_sources(paths[0])[:1])


def part_folders(path: Path) -> dict[int, Path]:
    """The folders in ``path`` to train, validate and test on, by part, if it has two or more."""
    found = {
        part: path / name
        for part, names in enumerate(PART_FOLDERS)
        for name in names
        if (path / name).is_dir()
    }
    return found if 0 in found and len(found) > 1 else {}


def read_source(path: Path, *, include_deleted: bool, mapping: TubMapping) -> Columns:
    """Read one source that :func:`find_sources` named. Raises as its reader does."""
    if path.is_file():
        return read_map(path)[0]
    if is_session(path):
        return read_session_columns(path)
    if is_tub(path):
        return read_tub_columns(path, include_deleted=include_deleted, mapping=mapping)
    if (path / TRAIN_MAP).is_file():
        return read_map(path / TRAIN_MAP)[0]
    return read_masked(path) if is_masked(path) else read_pictures(path)


def _is_recording(path: Path) -> bool:
    if path.is_file():
        return path.name.endswith("_map.txt")
    return is_session(path) or is_tub(path) or (path / TRAIN_MAP).is_file()


def _recordings(folder: Path, depth: int) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        # Without a look at each file: a folder of pictures has many.
        children = [e for e in entries if e.is_dir() or e.name.endswith("_map.txt")]
    for child in sorted(Path(entry.path) for entry in children):
        if _is_recording(child) or is_masked(child):
            yield child
        elif depth > 1 and child.is_dir():
            yield from _recordings(child, depth - 1)


def _place(found: Path, given: Path) -> str | None:
    """The folder below ``given`` that a recording lies in, where it lies deeper."""
    between = found.relative_to(given).parts[:-1]
    return between[0] if between else None
