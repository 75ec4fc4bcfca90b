"""Donkeycar tubs."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autcar.recording.session import SOURCES
from autcar.recording.tub import TubMapping, read_tub
from trainer.data.sources.columns import Columns


def read_tub_columns(folder: Path, *, include_deleted: bool, mapping: TubMapping) -> Columns:
    """Read a tub. Raises as :func:`~autcar.recording.tub.read_tub` does."""
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
        group_sources=[folder.name] * (int(tub.runs[-1]) + 1),
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
