"""Training, validation and test parts, by blocks of time with a gap between them.

Frames that follow one another are near twins. Whoever splits them at random, or
balances before splitting, tests on what was trained. So whole blocks of time go to
one part, and frames closer than the gap to another part go to none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from autcar.commands import LABELS
from autcar.errors import DataError
from trainer.data.dataset import PARTS, Dataset

Indices = npt.NDArray[np.int64]

KINDS = ("auto", "blocks", "last", "session", "source", "folders")
"""What :func:`make_split` can split by."""

_TRAIN, _VALIDATION, _TEST = 0, 1, 2


@dataclass(frozen=True)
class Split:
    """Rows of a dataset by part, ``int64``, rising.

    ``notes`` says what could not be had, ``kind`` how it was split: one of :data:`KINDS`
    or ``"maps"``, as a balanced folder's two maps say.
    """

    train: Indices
    validation: Indices
    test: Indices
    notes: list[str] = field(default_factory=list)
    kind: str = "maps"


def split_by_time(
    dataset: Dataset,
    *,
    validation: float = 0.15,
    test: float = 0.15,
    gap_s: float = 1.0,
    block_s: float | None = None,
    order: Literal["blocks", "last"] = "blocks",
    seed: int = 0,
) -> Split:
    """Split by blocks of ``block_s`` seconds, ``gap_s`` apart within each group.

    ``validation`` and ``test`` are shares of the frames. With ``order="blocks"``
    both are blocks from all over the recordings, drawn by ``seed`` so that every
    part gets its share of every class; with ``"last"`` the test part is the last
    of all frames, and validation is blocks from what comes before. The gap is
    taken from training, and between validation and test from validation. By
    default a block is 10 s, less where the recordings are short.

    Raises :class:`DataError` when shares make no sense or leave nothing to train on.
    """
    _check_shares(validation, test)
    line = _timeline(dataset, gap_s)
    if block_s is None:
        block_s = _default_block_s(line, gap_s)
    blocks = _blocks(dataset, block_s)
    parts = np.full(len(dataset), _TRAIN, np.int8)
    rest = np.arange(len(dataset))
    shares = (1 - validation - test, validation, test)
    if order == "last":
        first = len(dataset) - round(test * len(dataset))
        by_time = np.argsort(line, kind="stable")
        parts[by_time[first:]] = _TEST
        rest = by_time[:first]
        shares = (1 - validation - test, validation, 0.0)
    elif order != "blocks":
        raise DataError(f"order {order!r} is not known; use 'blocks' or 'last'")
    parts[rest] = _stratify(blocks[rest], dataset.labels[rest], shares, seed)
    return _gapped(dataset, parts, line, gap_s)


def split_by_group(
    dataset: Dataset, *, validation: float = 0.15, test: float = 0.15, seed: int = 0
) -> Split:
    """Split by whole groups: no run has frames in two parts. Shares are met roughly.

    Raises :class:`DataError` when there are fewer groups than parts asked for.
    """
    return _whole(dataset, dataset.groups, "recordings", (validation, test), seed)


def split_by_source(
    dataset: Dataset, *, validation: float = 0.15, test: float = 0.15, seed: int = 0
) -> Split:
    """Split by whole sources (drivers, players, places or days). Shares are met roughly.

    Raises :class:`DataError` when there are fewer sources than parts asked for.
    """
    names, number = np.unique(np.array(dataset.group_sources), return_inverse=True)
    keys = number[dataset.groups].astype(np.int32)
    split = _whole(dataset, keys, "sources", (validation, test), seed)
    held = [", ".join(names[np.unique(keys[rows])]) for rows in (split.validation, split.test)]
    note = f"sources kept apart: {held[0] or 'none'} to validate, {held[1] or 'none'} to test"
    return replace(split, notes=[note, *split.notes])


def _whole(
    dataset: Dataset,
    keys: npt.NDArray[np.int32],
    what: str,
    held_out: tuple[float, float],
    seed: int,
) -> Split:
    _check_shares(*held_out)
    asked = 1 + sum(share > 0 for share in held_out)
    found = len(np.unique(keys))
    if found < asked:
        raise DataError(f"{found} {what} cannot make {asked} parts; record more, or split by time")
    shares = (1 - sum(held_out), *held_out)
    parts = _stratify(keys.astype(np.int64), dataset.labels, shares, seed)
    return _gapped(dataset, parts, _timeline(dataset, 0.0), 0.0)


def split_by_folders(
    dataset: Dataset,
    *,
    validation: float = 0.15,
    test: float = 0.15,
    gap_s: float = 1.0,
    seed: int = 0,
) -> Split:
    """Split as the data's own folders say: ``training``, ``validation``, ``test``.

    Where one of the last two is not there, its share is taken from training by blocks
    of time. Raises :class:`DataError` where the data has no such folders, and where a
    class is in one of them but not in another; commands may be missing.
    """
    if dataset.parts is None:
        raise DataError(
            f"the data does not lie in folders {', '.join(PARTS)}; arrange it so, or split it "
            f"with --split blocks"
        )
    _check_folders(dataset)
    given = [np.flatnonzero(dataset.parts == part) for part in range(3)]
    given[_TRAIN] = np.flatnonzero(dataset.parts <= _TRAIN)
    if len(given[_VALIDATION]) and len(given[_TEST]):
        train, *held = given
        return Split(train, held[0], held[1], _notes(dataset, (train, held[0], held[1])))
    rest = given[_TRAIN]
    cut = split_by_time(
        dataset.subset(rest),
        validation=0.0 if len(given[_VALIDATION]) else validation,
        test=0.0 if len(given[_TEST]) else test,
        gap_s=gap_s,
        seed=seed,
    )
    missing = [PARTS[part] for part in (_VALIDATION, _TEST) if not len(given[part])]
    note = f"no folder for {' and '.join(missing)}: taken from training by blocks of time"
    return Split(
        rest[cut.train],
        given[_VALIDATION] if len(given[_VALIDATION]) else rest[cut.validation],
        given[_TEST] if len(given[_TEST]) else rest[cut.test],
        [note, *cut.notes],
    )


def _check_folders(dataset: Dataset) -> None:
    assert dataset.parts is not None
    if dataset.classes == LABELS:
        return
    names = dataset.label_names
    rows = [np.flatnonzero(dataset.parts == part) for part in range(3)]
    counts = {
        part: np.bincount(dataset.labels[found], minlength=len(names))
        for part, found in zip(PARTS, rows, strict=True)
        if len(found)
    }
    for part, here in counts.items():
        for other, there in counts.items():
            lone = np.flatnonzero((here > 0) & (there == 0))
            if len(lone):
                raise DataError(
                    f"class {names[lone[0]]!r} is in the {part} folder but not in the {other} "
                    f"folder ({len(lone)} such); add pictures of it, or take it out of both"
                )


def make_split(
    dataset: Dataset,
    kind: str = "auto",
    *,
    validation: float = 0.15,
    test: float = 0.15,
    gap_s: float = 1.0,
    seed: int = 0,
) -> Split:
    """Split as ``kind`` of :data:`KINDS` says. Raises as that kind does.

    ``"auto"`` is by the data's own folders where it has them, else by blocks of time.
    """
    if kind == "auto":
        kind = "blocks" if dataset.parts is None else "folders"
    shares: dict[str, Any] = {"validation": validation, "test": test}
    ways: dict[str, Callable[[], Split]] = {
        "blocks": lambda: split_by_time(dataset, **shares, gap_s=gap_s, seed=seed),
        "last": lambda: split_by_time(dataset, **shares, gap_s=gap_s, order="last", seed=seed),
        "session": lambda: split_by_group(dataset, **shares, seed=seed),
        "source": lambda: split_by_source(dataset, **shares, seed=seed),
        "folders": lambda: split_by_folders(dataset, **shares, gap_s=gap_s, seed=seed),
    }
    if kind not in ways:
        raise DataError(f"split {kind!r} is not known; use one of {', '.join(KINDS)}")
    return replace(ways[kind](), kind=kind)


def _check_shares(validation: float, test: float) -> None:
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise DataError(
            f"validation {validation} and test {test} must be shares of 0 or more that leave "
            f"something to train on; use for example 0.15 and 0.15"
        )


def _timeline(dataset: Dataset, gap_s: float) -> Indices:
    """One ``int64`` time in ns for all rows: groups follow one another, far apart."""
    order = np.lexsort((dataset.times_ns, dataset.groups))
    steps = np.diff(dataset.times_ns[order])
    steps[np.diff(dataset.groups[order]) != 0] = 2 * int(gap_s * 1e9) + 2
    line = np.empty(len(dataset), np.int64)
    line[order] = np.concatenate([[0], np.cumsum(steps)])
    return line


def _default_block_s(line: Indices, gap_s: float) -> float:
    total_s = float(np.ptp(line)) / 1e9
    return min(10.0, max(total_s / 40, min(5 * gap_s, total_s / 10)))


def _blocks(dataset: Dataset, block_s: float) -> Indices:
    """The block of each row: each group is cut into equal blocks of about ``block_s``."""
    starts = np.full(len(dataset.group_names), np.iinfo(np.int64).max)
    ends = np.zeros(len(dataset.group_names), np.int64)
    np.minimum.at(starts, dataset.groups, dataset.times_ns)
    np.maximum.at(ends, dataset.groups, dataset.times_ns)
    spans = np.maximum(ends - starts, 0) + 1
    numbers = np.maximum(np.round(spans / max(block_s * 1e9, 1)), 1).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(numbers)[:-1]])
    groups = dataset.groups
    share = (dataset.times_ns - starts[groups]) / spans[groups]
    within = np.minimum((share * numbers[groups]).astype(np.int64), numbers[groups] - 1)
    return np.asarray(first[groups] + within, np.int64)


def _stratify(
    blocks: Indices, labels: npt.NDArray[np.int16], shares: tuple[float, ...], seed: int
) -> npt.NDArray[np.int8]:
    """The part of each row, whole blocks to one part, each class shared out as ``shares`` says.

    Greedy: the class left in the fewest blocks goes first; its next block goes to
    a part that has nothing of the class yet, else to the one that lacks most of it
    among those that are not full.
    """
    names, rows = np.unique(blocks, return_inverse=True)
    classes = int(labels.max()) + 1
    held = np.bincount(rows * classes + labels, minlength=len(names) * classes)
    held = held.reshape(len(names), classes)
    wanted = np.outer(shares, held.sum(axis=0)) / sum(shares)
    parts = np.full(len(names), -1, np.int8)
    asked = [part for part in (_TRAIN, _TEST, _VALIDATION) if shares[part] > 0]
    has = np.zeros((len(shares), classes), bool)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    while len(shuffled):
        left = np.count_nonzero(held[shuffled], axis=0)
        rarest = int(np.argmin(np.where(left > 0, left, len(names) + 1)))
        of_rarest = held[shuffled, rarest] > 0

        def need(part: int, label: int = rarest) -> tuple[bool, float]:
            return bool(wanted[part].sum() > 0), float(wanted[part, label])

        for block in shuffled[of_rarest]:
            without = [part for part in asked if not has[part, rarest]]
            part = without[0] if without else max(asked, key=need)
            parts[block] = part
            wanted[part] -= held[block]
            has[part] |= held[block] > 0
        shuffled = shuffled[~of_rarest]
    return parts[rows]


def _gapped(dataset: Dataset, parts: npt.NDArray[np.int8], line: Indices, gap_s: float) -> Split:
    gap = int(gap_s * 1e9)
    test = np.flatnonzero(parts == _TEST)
    validation = _apart(np.flatnonzero(parts == _VALIDATION), test, line, gap)
    held_out = np.concatenate([validation, test])
    train = _apart(np.flatnonzero(parts == _TRAIN), held_out, line, gap)
    if not len(train):
        raise DataError(
            f"a split of {len(dataset):,} frames with gaps of {gap_s:g} s leaves nothing to train "
            f"on; record more, or make the validation and test parts or the gap smaller"
        )
    notes = _notes(dataset, (train, validation, test))
    dropped = len(dataset) - len(train) - len(held_out)
    if dropped:
        notes.insert(0, f"{dropped:,} frames closer than {gap_s:g} s to another part left out")
    return Split(train, validation, test, notes)


def _apart(rows: Indices, others: Indices, line: Indices, gap: int) -> Indices:
    """Those of ``rows`` that are more than ``gap`` ns from each of ``others``."""
    if not len(others):
        return rows
    there = np.sort(line[others])
    here = line[rows]
    after = np.searchsorted(there, here)
    to_next = there[np.minimum(after, len(there) - 1)] - here
    to_previous = here - there[np.maximum(after - 1, 0)]
    return np.asarray(rows[np.minimum(np.abs(to_next), np.abs(to_previous)) > gap])


def _notes(dataset: Dataset, parts: tuple[Indices, ...]) -> list[str]:
    notes = []
    names = dataset.label_names
    recorded = np.bincount(dataset.labels, minlength=len(names)) > 0
    for name, rows in zip(PARTS, parts, strict=True):
        counts = np.bincount(dataset.labels[rows], minlength=len(names))
        missing = [names[i] for i in np.flatnonzero(recorded & (counts == 0))]
        if missing and len(rows):
            notes.append(f"the {name} part has no frame of {', '.join(missing)}")
    return notes
