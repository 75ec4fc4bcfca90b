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


def count_learned(folder: Path, dataset: Dataset) -> int:
    """How many samples of ``dataset`` the run in ``folder`` trained on; 0 where it has no list.

    A sample is known by its group's name, its path in there and its size, wherever the data
    lies and whatever the label is by now.
    """
    path = folder / FILE
    if not path.is_file():
        return 0
    names = [dataset.group_names[group] for group in dataset.groups.tolist()]
    mine = set(map(_sample, names, dataset.lines()))
    groups: list[str] = []
    learned = set()
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            if line.startswith("# group "):
                groups.append(line.split("\t")[1])
                continue
            part, group, sample = line.split("\t", 2)
            if part == PARTS[0]:
                learned.add(_sample(groups[int(group)], sample))
    return len(mine & learned)


def _sample(group: str, line: str) -> tuple[str, str, str]:
    name, _, size = line.rstrip("\n").split("\t")[:3]
    return group, name, size
