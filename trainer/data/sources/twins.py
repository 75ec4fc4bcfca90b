"""Images that stand there more than once, byte for byte."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from trainer.data.sources.columns import Columns


def drop_copies(parts: Sequence[Columns]) -> str | None:
    """Leave out what an earlier one of ``parts`` has, too; returns a note if there was any.

    A recording that was merged into another stands there twice, and a split would test
    on one copy what was trained on the other.
    """
    counts = [len(part) for part in parts]
    number = np.repeat(np.arange(len(parts)), counts).tolist()
    keep = np.ones(len(number), bool)
    for rows in twin_groups([path for part in parts for path in part.paths], number):
        keep[[row for row in rows if number[row] != number[rows[0]]]] = False
    if keep.all():
        return None
    for part, kept in zip(parts, np.split(keep, np.cumsum(counts)[:-1]), strict=True):
        part.keep(kept)
    return (
        f"{np.count_nonzero(~keep):,} images left out that an earlier recording has, too, byte "
        f"for byte"
    )


def twin_groups(paths: Sequence[str], places: Sequence[int] | None = None) -> list[list[int]]:
    """Rows of byte-identical files, two or more a list, each in rising order.

    With the ``places`` of all rows only files are read whose size occurs in two places.
    """
    places = range(len(paths)) if places is None else places
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for row, path in enumerate(paths):
        by_size[os.stat(path).st_size].append(row)  # noqa: PTH116 - a million Paths take their time
    by_content: defaultdict[bytes, list[int]] = defaultdict(list)
    for rows in by_size.values():
        if len({places[row] for row in rows}) > 1:
            for row in rows:
                with open(paths[row], "rb") as file:
                    by_content[hashlib.sha256(file.read()).digest()].append(row)
    return [rows for rows in by_content.values() if len(rows) > 1]
