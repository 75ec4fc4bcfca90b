"""Output heads: a class that is a tuple of simpler classes, such as ``blue_21``.

A network with heads answers each part of the tuple by itself (the colour, the
percentage). Splitting, balancing and counting go on with the joint class, and the
heads' answers make one joint answer again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autcar.commands import CLASSES, LABELS
from autcar.errors import DataError


@dataclass(frozen=True)
class Head:
    """One output: its name and what it tells apart."""

    name: str
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Heads:
    """The joint ``classes`` as tuples of the ``heads``' classes.

    ``table`` is ``int16`` classes × heads: the class of each head, by joint class.
    """

    classes: tuple[str, ...]
    heads: tuple[Head, ...]
    table: npt.NDArray[np.int16]

    def split(self, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.int16]:
        """The class of each head, ``int16`` N×heads, of N joint classes."""
        return np.asarray(self.table[labels])

    def mixer(self) -> npt.NDArray[np.float32]:
        """What turns the heads' logits, one after the other, into joint logits.

        A ``float32`` matrix of (sum of the heads' classes) × joint classes. A joint
        logit is the sum of its heads' logits, so the softmax over them is the product
        of the heads' softmaxes, shared out among the tuples that there are.
        """
        offsets = np.cumsum([0, *(len(head.classes) for head in self.heads)])
        mixer = np.zeros((offsets[-1], len(self.classes)), np.float32)
        for head, offset in enumerate(offsets[:-1]):
            mixer[offset + self.table[:, head], np.arange(len(self.classes))] = 1
        return mixer

    @classmethod
    def of_drive(cls) -> Heads:
        """The 12 commands as turn, strength and direction."""
        rows = [
            (
                command.type if command.type in ("left", "right") else "straight",
                command.manner or "none",
                command.direction or "none",
            )
            for command in CLASSES
        ]
        heads = (
            Head("turn", ("left", "straight", "right")),
            Head("strength", ("none", "light", "medium", "fast")),
            Head("direction", ("none", "forward", "backwards")),
        )
        return cls(LABELS, heads, _table(rows, heads))

    @classmethod
    def parse(
        cls,
        names: Sequence[str],
        head_names: Sequence[str] | None = None,
        separator: str = "_",
    ) -> Heads:
        """Heads of folder names such as ``blue_21`` or ``blue_21_ellipse``.

        ``names`` are the joint classes in order; ``head_names`` (by default ``head1``
        and so on) fixes how many parts each must have. A head whose classes are all
        numbers has them in numeric order. Raises :class:`DataError` for a name that
        does not have these parts, and for a head with one class only.
        """
        rows = [tuple(name.split(separator)) for name in names]
        if not rows:
            raise DataError("there are no classes to make heads of; give a folder with some")
        parts = len(head_names) if head_names else Counter(map(len, rows)).most_common(1)[0][0]
        head_names = tuple(head_names or (f"head{number}" for number in range(1, parts + 1)))
        _check_names(head_names)
        for name, row in zip(names, rows, strict=True):
            if len(row) != parts or not all(row):
                raise DataError(
                    f"class {name!r} has {len(row)} parts between {separator!r}, of which none "
                    f"may be empty; expected {parts}, {separator.join(head_names)}; rename its "
                    f"folder, or name the heads with --heads"
                )
        heads = tuple(
            Head(name, tuple(sort_names({row[number] for row in rows})))
            for number, name in enumerate(head_names)
        )
        for head in heads:
            if len(head.classes) < 2:
                raise DataError(
                    f"head {head.name!r} has nothing to tell apart: each class has "
                    f"{head.classes[0]!r} there; leave this part out of the folders' names"
                )
        return cls(tuple(names), heads, _table(rows, heads))


def sort_names(names: set[str]) -> list[str]:
    """Names in alphabetical order, or in order of value where all are whole numbers."""
    return sorted(names, key=int) if all(map(_is_number, names)) else sorted(names)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _check_names(names: Sequence[str]) -> None:
    wrong = [name for name in names if not name.isidentifier()]
    if wrong or len(set(names)) < len(names) or len(names) < 2:
        raise DataError(
            f"heads {','.join(names)} must be two or more names of letters and digits, each once; "
            f"use for example --heads color,percentage"
        )


def _table(rows: Sequence[tuple[str, ...]], heads: Sequence[Head]) -> npt.NDArray[np.int16]:
    return np.array(
        [
            [head.classes.index(part) for head, part in zip(heads, row, strict=True)]
            for row in rows
        ],
        np.int16,
    )
