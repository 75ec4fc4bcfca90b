"""What training reads: recordings of any kind, seen as one list of samples.

Columns, not objects: a million samples are a few arrays and one list of paths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autcar.commands import LABELS
from autcar.errors import AutcarError, DataError
from autcar.tub import TubMapping
from trainer.heads import Heads
from trainer.sources import Columns, describe_missing, find_sources, read_source

PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Dataset:
    """Samples, one row each; rows of a group stand together, in order of time.

    ``labels`` are ``int16`` classes. A group is one recording run (a session, or a
    stretch of a tub without a pause); ``times_ns`` is ``int64`` and comparable
    within a group only. ``groups`` (``int32``) indexes ``group_names`` and
    ``group_roots``, the folders that paths are relative to in :meth:`digest`.
    ``sources`` (``uint8``) says who drove, by index into
    :data:`autcar.session.SOURCES`. ``problems`` names what could not be read,
    ``notes`` what was mapped or left out on purpose.
    """

    paths: list[str]
    labels: npt.NDArray[np.int16]
    times_ns: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int32]
    group_names: tuple[str, ...]
    group_roots: tuple[str, ...]
    sources: npt.NDArray[np.uint8]
    classes: tuple[str, ...] = LABELS
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    group_sources: tuple[str, ...] = ()
    heads: Heads | None = None
    masks: list[str] | None = None
    parts: npt.NDArray[np.int8] | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """What ``labels`` index: the classes, or whether the image shows the last of them."""
        if self.masks is None:
            return self.classes
        return f"without {self.classes[-1]}", f"with {self.classes[-1]}"

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, indices: npt.NDArray[np.integer]) -> Dataset:
        """The rows ``indices``, in that order; groups keep their numbers."""
        return replace(
            self,
            paths=[self.paths[i] for i in indices.tolist()],
            labels=self.labels[indices],
            times_ns=self.times_ns[indices],
            groups=self.groups[indices],
            sources=self.sources[indices],
            masks=self.masks and [self.masks[i] for i in indices.tolist()],
            parts=None if self.parts is None else self.parts[indices],
        )

    def counts(self) -> dict[str, int]:
        """Samples by label, in class order, zero included."""
        names = self.label_names
        counts = np.bincount(self.labels, minlength=len(names)).tolist()
        return dict(zip(names, counts, strict=True))

    def digest(self) -> str:
        """SHA-256 over each sample's path within its source, label and file size.

        It stays the same when the data is copied elsewhere. A missing file counts
        as size −1.
        """
        digest = hashlib.sha256()
        names = self.label_names
        columns = zip(self.paths, self.labels.tolist(), self.groups.tolist(), strict=True)
        for path, label, group in columns:
            name = path.removeprefix(self.group_roots[group]).lstrip("/")
            digest.update(f"{name}\t{names[label]}\t{_size(path)}\n".encode())
        return digest.hexdigest()


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return -1


def load_dataset(
    inputs: Sequence[str | Path] | str | Path,
    *,
    include_deleted: bool = False,
    mapping: TubMapping | None = None,
) -> Dataset:
    """Read sessions, AutCar folders, tubs, balanced folders, or folders of these.

    ``include_deleted`` takes the frames that a tub flags as deleted; ``mapping``
    turns a tub's angle and throttle into commands. Commands that can be driven
    but are no class become their nearest class. A folder that is given twice is
    read once. In a folder of recordings, one that cannot be used is a problem;
    given by name it is an error.

    Raises :class:`DataNotFoundError` when a folder is missing or holds no
    recording, :class:`DataError` when nothing is usable or all is of one class.
    """
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    parts: list[Columns] = []
    problems: list[str] = []
    notes: list[str] = []
    seen: set[Path] = set()
    for given in inputs:
        for path in find_sources(given):
            if path.resolve() in seen:
                notes.append(f"{path} was given twice and is read once")
                continue
            seen.add(path.resolve())
            try:
                part = read_source(
                    path, include_deleted=include_deleted, mapping=mapping or TubMapping()
                )
            except AutcarError as error:
                if path == Path(given):
                    raise
                problems.append(str(error))
                continue
            parts.append(part)
            problems += part.problems
            notes += part.notes
    if not parts:
        detail = f"; first problem: {problems[0]}" if problems else ""
        given = ", ".join(map(str, inputs)) or "no folder"
        raise DataError(f"{given}: no usable recording{detail}; record one with `autcar record`")
    dataset = dataset_of(parts, problems, notes)
    _check_classes(dataset)
    return dataset


def dataset_of(parts: Sequence[Columns], problems: list[str], notes: list[str]) -> Dataset:
    """One dataset of all ``parts``, their groups numbered through."""
    offsets = np.cumsum([0, *(len(part.group_names) for part in parts)])
    labels = np.concatenate([part.labels for part in parts])
    missing = describe_missing(labels)
    return Dataset(
        paths=[path for part in parts for path in part.paths],
        labels=labels,
        times_ns=np.concatenate([part.times_ns for part in parts]),
        groups=np.concatenate(
            [part.groups + offset for part, offset in zip(parts, offsets, strict=False)]
        ).astype(np.int32),
        group_names=tuple(name for part in parts for name in part.group_names),
        group_roots=tuple(str(part.root) for part in parts for _ in part.group_names),
        sources=np.concatenate([part.sources for part in parts]),
        problems=problems,
        notes=[*notes, missing] if missing else notes,
    )


def _check_classes(dataset: Dataset) -> None:
    counts = {label: count for label, count in dataset.counts().items() if count}
    if len(counts) == 1:
        (label, count), *_ = counts.items()
        raise DataError(
            f"only one class in the data: all {count:,} frames are {label}, so there is nothing "
            f"to tell apart; drive turns as well and record them with `autcar record`"
        )
