"""What every source is read into: columns, one row a frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autcar.commands import LABELS

NOMINAL_INTERVAL_S = 0.5
"""Spacing of frames that carry no time. AutCar records one every 2 s unless told
otherwise; taking them as closer than they are only makes the gap of a split wider."""


@dataclass
class Columns:
    """One source, one row a frame, in the order recorded: part of a
    :class:`~trainer.data.dataset.Dataset`.

    ``groups`` counts from 0 within the source and indexes ``group_names`` and
    ``group_sources``. ``labels`` index ``classes``, unless there are ``masks``.
    ``part`` is the part that the source's place puts it in, −1 where it says nothing.
    """

    root: Path
    paths: list[str]
    labels: npt.NDArray[np.int16]
    times_ns: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int32]
    group_names: list[str]
    group_sources: list[str]
    sources: npt.NDArray[np.uint8]
    classes: tuple[str, ...] = LABELS
    masks: list[str] | None = None
    part: int = -1
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Leave only the rows where ``mask`` is true."""
        rows = np.flatnonzero(mask).tolist()
        self.paths = [self.paths[i] for i in rows]
        self.masks = self.masks and [self.masks[i] for i in rows]
        self.labels, self.times_ns = self.labels[mask], self.times_ns[mask]
        self.groups, self.sources = self.groups[mask], self.sources[mask]


def nominal_times_ns(count: int, interval_s: float = NOMINAL_INTERVAL_S) -> npt.NDArray[np.int64]:
    """Times for ``count`` frames without any, ``interval_s`` apart."""
    return np.arange(count, dtype=np.int64) * int(interval_s * 1e9)
