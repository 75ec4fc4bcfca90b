"""Folders of pictures: ``class/picture``, ``class/source/picture`` or deeper, JPEG and PNG."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np

from autcar.commands import LABELS, Command
from autcar.errors import CommandError, DataError
from autcar.recording.session import SOURCES
from trainer.data.heads import sort_names
from trainer.data.sources.columns import Columns, nominal_times_ns

SUFFIXES = (".jpg", ".jpeg", ".png")

INTERVAL_S = 2.0
"""Nominal time between pictures that follow one another by name: more than the gap of
a split, so that none is left out, and little enough that neighbours stay together."""


def has_pictures(folder: Path) -> bool:
    """Whether there is a picture in ``folder`` or below it."""
    return any(
        name.lower().endswith(SUFFIXES) for _, _, names in os.walk(folder) for name in names
    )


def class_folders(root: Path) -> list[Path]:
    """The folders in ``root`` that name a class, in the order of their classes."""
    if not root.is_dir():
        return []
    folders = {
        child.name: child
        for child in root.iterdir()
        if child.is_dir() and not child.name.startswith(".")
    }
    return [folders[name] for name in sort_names(set(folders))]


def is_pictures(root: Path) -> bool:
    """Whether ``root`` is a folder of two classes or more, one of them with a picture."""
    folders = class_folders(root)
    return len(folders) > 1 and any(map(has_pictures, folders))


def read_pictures(root: Path) -> Columns:
    """Read a folder of class folders. A folder within a class names a source.

    Folders named for commands give the car's 12 classes; otherwise the classes are the
    folders' names, numbers in numeric order. Raises :class:`DataError` for a class
    folder without a picture.
    """
    folders = class_folders(root)
    paths: list[str] = []
    labels: list[int] = []
    groups: list[int] = []
    names: list[str] = []
    sources: list[str] = []
    others: list[str] = []
    classes, targets, notes = _classes([folder.name for folder in folders])
    for folder, label in zip(folders, targets, strict=True):
        before = len(paths)
        for place, below, files in os.walk(folder):
            below[:] = sorted(name for name in below if not name.startswith("."))
            found = sorted(name for name in files if name.lower().endswith(SUFFIXES))
            others += [f"{place}/{name}" for name in files if name not in found]
            if not found:
                continue
            within = Path(place).relative_to(folder).parts
            groups += [len(names)] * len(found)
            names.append("/".join((folder.name, *within)))
            sources.append(within[0] if within else root.name)
            paths += [f"{place}/{name}" for name in found]
        if len(paths) == before:
            raise DataError(
                f"class folder {folder} has no picture (.jpg, .jpeg or .png); put some there, "
                f"or delete it"
            )
        labels += [label] * (len(paths) - before)
    if others:
        notes.append(f"{root.name}: {len(others):,} files are no pictures, such as {others[0]}")
    return Columns(
        root=root,
        paths=paths,
        labels=np.array(labels, np.int16),
        times_ns=_times_ns(np.array(groups, np.int64)),
        groups=np.array(groups, np.int32),
        group_names=names,
        group_sources=sources,
        sources=np.full(len(paths), SOURCES.index("unknown"), np.uint8),
        classes=classes,
        notes=notes,
    )


def _classes(names: list[str]) -> tuple[tuple[str, ...], list[int], list[str]]:
    """The vocabulary, the class of each folder, and what was mapped."""
    try:
        commands = [Command.from_label(name) for name in names]
    except CommandError:
        return tuple(names), list(range(len(names))), []
    notes = [
        f"pictures of {command.label} taken as {command.nearest_class().label}"
        for command in commands
        if not command.is_class
    ]
    return LABELS, [command.nearest_class().index for command in commands], notes


def _times_ns(groups: np.ndarray) -> np.ndarray:
    counts = Counter(groups.tolist())
    return np.concatenate([nominal_times_ns(counts[group], INTERVAL_S) for group in counts])
