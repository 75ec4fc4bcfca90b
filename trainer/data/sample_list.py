"""What a run was given, sample by sample, as one small file in its folder."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from trainer.data.dataset import PARTS, Dataset
from trainer.data.split import Split

FILE = "samples.tsv.gz"


def write_sample_list(folder: Path, dataset: Dataset, split: Split) -> Path:
    """Write :data:`FILE`: the groups, then part, label, group, size and path of each sample.

    Paths are relative to their group's root. Path, label and size, line by line, are
    what :meth:`~trainer.data.dataset.Dataset.digest` hashes; the masks' names and sizes, where
    there are any, stand last. Samples that no part uses are left out by the part ``-``.
    """
    parts = np.full(len(dataset), "-", object)
    for name, rows in zip(PARTS, (split.train, split.validation, split.test), strict=True):
        parts[rows] = name
    path = folder / FILE
    aside = path.with_name(f".{FILE}.part")
    with gzip.open(aside, "wt", encoding="utf-8") as file:
        groups = zip(dataset.group_names, dataset.group_sources, dataset.group_roots, strict=True)
        for number, (name, source, root) in enumerate(groups):
            file.write(f"# group {number}\t{name}\tby {source}\tin {root}\n")
        samples = zip(parts, dataset.groups.tolist(), dataset.lines(), strict=True)
        file.writelines(f"{part}\t{group}\t{line}" for part, group, line in samples)
    return aside.rename(path)
