"""What training reads: recordings of any kind, seen as one list of samples.

Columns, not objects: a million samples are a few arrays and one list of paths.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autcar.commands import LABELS
from autcar.errors import AutcarError, DataError
from autcar.recording.tub import TubMapping
from trainer.data.heads import Heads, sort_names
from trainer.data.sources import find_sources, read_source
from trainer.data.sources.columns import Columns

PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Dataset:
    """Samples, one row each; rows of a group stand together, in order of time.

    ``labels`` are ``int16`` classes. A group is one recording run (a session, or a
    stretch of a tub without a pause); ``times_ns`` is ``int64`` and comparable
    within a group only. ``groups`` (``int32``) indexes ``group_names`` and
    ``group_roots``, the folders that paths are relative to in :meth:`digest`.
    ``sources`` (``uint8``) says who drove, by index into
    :data:`autcar.recording.session.SOURCES`. ``problems`` names what could not be read,
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

    def first_classes(self, count: int) -> Dataset:
        """The samples of the first ``count`` classes, which are all there are then.

        Raises :class:`DataError` where there are not so many, or the classes have heads.
        """
        if not 2 <= count <= len(self.classes) or self.heads or self.masks:
            raise DataError(
                f"{count} of {len(self.classes)} classes cannot be trained by themselves; give "
                f"2 to {len(self.classes)}, of classes without heads or masks"
            )
        chosen = self.subset(np.flatnonzero(self.labels < count))
        return replace(chosen, classes=self.classes[:count])

    def counts(self) -> dict[str, int]:
        """Samples by label, in class order, zero included."""
        names = self.label_names
        counts = np.bincount(self.labels, minlength=len(names)).tolist()
        return dict(zip(names, counts, strict=True))

    def digest(self) -> str:
        """SHA-256 over all :meth:`lines`. It stays the same when the data is copied elsewhere."""
        digest = hashlib.sha256()
        for line in self.lines():
            digest.update(line.encode())
        return digest.hexdigest()

    def lines(self) -> Iterator[str]:
        """A line for each sample: path within its source, label and file size, tabs between.

        A mask's name and size follow those of its image. A missing file has size −1.
        """
        names = self.label_names
        masks = self.masks or itertools.repeat(None, len(self))
        columns = zip(self.paths, self.labels.tolist(), self.groups.tolist(), masks, strict=True)
        for path, label, group, mask in columns:
            name = path.removeprefix(self.group_roots[group]).lstrip("/")
            masked = f"\t{Path(mask).name}\t{_size(mask)}" if mask else ""
            yield f"{name}\t{names[label]}\t{_size(path)}{masked}\n"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a million Paths take their time
    except OSError:
        return -1


def load_dataset(
    inputs: Sequence[str | Path] | str | Path,
    *,
    include_deleted: bool = False,
    mapping: TubMapping | None = None,
    heads: Sequence[str] | None = None,
) -> Dataset:
    """Read recordings, folders of pictures or of images with masks, or folders of these.

    ``include_deleted`` takes the frames that a tub flags as deleted; ``mapping``
    turns a tub's angle and throttle into commands. Commands that can be driven
    but are no class become their nearest class. ``heads`` names the parts that each
    class is a tuple of, as :meth:`trainer.data.heads.Heads.parse` takes them apart, or is
    ``("drive",)`` for the 12 commands. A folder that is given twice is read once. In a
    folder of recordings, one that cannot be used is a problem; given by name it is an
    error.

    Raises :class:`DataNotFoundError` when a folder is missing or holds no
    recording, :class:`DataError` when nothing is usable, all is of one class, kinds of
    classes are mixed, or a class does not parse into heads.
    """
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    parts: list[Columns] = []
    problems: list[str] = []
    notes: list[str] = []
    seen: set[Path] = set()
    for given in inputs:
        for found in find_sources(given):
            path = found.path
            if path.resolve() in seen:
                notes.append(f"{path} was given twice and is read once")
                continue
            seen.add(path.resolve())
            try:
                part = read_source(
                    path, include_deleted=include_deleted, mapping=mapping or TubMapping()
                )
            except AutcarError as error:
                if path == Path(given) or found.part >= 0:
                    raise
                problems.append(str(error))
                continue
            part.part = found.part
            if found.source is not None:
                part.group_sources = [found.source] * len(part.group_names)
            parts.append(part)
            problems += part.problems
            notes += part.notes
    if not parts:
        detail = f"; first problem: {problems[0]}" if problems else ""
        given = ", ".join(map(str, inputs)) or "no folder"
        raise DataError(f"{given}: no usable recording{detail}; record one with `autcar record`")
    dataset = dataset_of(parts, problems, notes)
    _check_classes(dataset)
    if heads is None:
        return dataset
    return replace(dataset, heads=_heads(dataset, tuple(heads)))


def dataset_of(parts: Sequence[Columns], problems: list[str], notes: list[str]) -> Dataset:
    """One dataset of all ``parts``, their groups numbered through and their classes made one.

    Raises :class:`DataError` when their classes are of different kinds.
    """
    offsets = np.cumsum([0, *(len(part.group_names) for part in parts)])
    classes, labels = _one_vocabulary(parts)
    masked = [part for part in parts if part.masks is not None]
    named = np.repeat(np.array([part.part for part in parts], np.int8), [*map(len, parts)])
    missing = describe_missing(labels) if classes == LABELS else None
    return Dataset(
        paths=[path for part in parts for path in part.paths],
        labels=labels,
        times_ns=np.concatenate([part.times_ns for part in parts]),
        groups=np.concatenate(
            [part.groups + offset for part, offset in zip(parts, offsets, strict=False)]
        ).astype(np.int32),
        group_names=tuple(name for part in parts for name in part.group_names),
        group_roots=tuple(str(part.root) for part in parts for _ in part.group_names),
        group_sources=tuple(name for part in parts for name in part.group_sources),
        sources=np.concatenate([part.sources for part in parts]),
        classes=classes,
        problems=problems,
        notes=[*notes, missing] if missing else notes,
        masks=[mask for part in masked for mask in part.masks or ()] if masked else None,
        parts=named if (named >= 0).any() else None,
    )


def _one_vocabulary(
    parts: Sequence[Columns],
) -> tuple[tuple[str, ...], npt.NDArray[np.int16]]:
    """The classes of all ``parts``, and their labels by index into these."""
    first = parts[0]
    for other in parts[1:]:
        kinds = [(part.masks is not None, part.classes == LABELS) for part in (first, other)]
        if kinds[0] != kinds[1]:
            raise DataError(
                f"{first.root} has {_kind(first)} and {other.root} has {_kind(other)}, which one "
                f"model cannot learn together; train on one of them"
            )
    if all(part.classes == first.classes for part in parts):
        return first.classes, np.concatenate([part.labels for part in parts])
    classes = tuple(sort_names({name for part in parts for name in part.classes}))
    index = {name: number for number, name in enumerate(classes)}
    tables = [np.array([index[name] for name in part.classes], np.int16) for part in parts]
    labels = [table[part.labels] for table, part in zip(tables, parts, strict=True)]
    return classes, np.concatenate(labels)


def _kind(part: Columns) -> str:
    if part.masks is not None:
        return "images with masks"
    return "commands" if part.classes == LABELS else f"classes such as {part.classes[0]}"


def _check_classes(dataset: Dataset) -> None:
    counts = {label: count for label, count in dataset.counts().items() if count}
    if len(counts) == 1 and dataset.masks is None:
        (label, count), *_ = counts.items()
        raise DataError(
            f"only one class in the data: all {count:,} frames are {label}, so there is nothing "
            f"to tell apart; drive turns as well and record them with `autcar record`"
        )


def _heads(dataset: Dataset, names: tuple[str, ...]) -> Heads:
    if dataset.masks is not None:
        raise DataError("images with masks have no heads; leave --heads out")
    if names != ("drive",):
        return Heads.parse(dataset.classes, names)
    if dataset.classes != LABELS:
        raise DataError(
            f"heads 'drive' are for the 12 commands, not for classes such as "
            f"{dataset.classes[0]}; name what these consist of, such as --heads color,percentage"
        )
    return Heads.of_drive()


def describe_missing(labels: npt.NDArray[np.int16]) -> str | None:
    """Names the commands that no frame shows, or None when each has some."""
    counts = np.bincount(labels, minlength=len(LABELS))
    missing = [label for label, count in zip(LABELS, counts, strict=True) if not count]
    return f"no frame of {', '.join(missing)}: these cannot be learned" if missing else None
