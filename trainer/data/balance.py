"""Balance: rare classes are shown more often. Only ever for the training part.

By index: no image is copied, in memory or on disk.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from autcar.commands import LABELS

MAXIMUM_REPEAT = 10
"""How often a frame may be shown an epoch: a class of 3 frames would otherwise be
shown as often as one of 6,000, and learned by heart."""


def balance_indices(
    labels: npt.NDArray[np.int16],
    indices: npt.NDArray[np.int64],
    seed: int = 0,
    *,
    maximum_repeat: int = MAXIMUM_REPEAT,
) -> npt.NDArray[np.int64]:
    """Upsample as AutCar does: repeat indices until each class is as common as the commonest.

    ``labels`` are the whole dataset's, ``indices`` its training part's. Within a
    class all frames are repeated equally often, give or take one drawn by
    ``seed``, and none more than ``maximum_repeat`` times. Returns ``int64``
    indices in shuffled order; every index given is in it.
    """
    rng = np.random.default_rng(seed)
    shown = labels[indices]
    counts = np.bincount(shown)
    balanced = []
    for label in np.flatnonzero(counts):
        rows = rng.permutation(indices[shown == label])
        target = min(counts.max(), len(rows) * maximum_repeat)
        balanced.append(np.resize(rows, target))
    return rng.permutation(np.concatenate(balanced)) if balanced else indices.copy()


def describe_balance(
    labels: npt.NDArray[np.int16],
    before: npt.NDArray[np.int64],
    after: npt.NDArray[np.int64],
    classes: Sequence[str] = LABELS,
) -> list[str]:
    """What balancing did: one line in all, and one for each class that stays rarer."""
    had = np.bincount(labels[before], minlength=len(classes))
    has = np.bincount(labels[after], minlength=len(classes))
    lines = [
        f"balanced by showing rare classes more often: {len(before):,} frames as {len(after):,}"
    ]
    lines += [
        f"{classes[i]} stays rarer: {had[i]:,} frames, {has[i] // had[i]} times each, are "
        f"{has[i]:,}; the commonest has {has.max():,}"
        for i in np.flatnonzero((has > 0) & (has < has.max())).tolist()
    ]
    return lines


def class_weights(
    labels: npt.NDArray[np.int16], *, maximum: float = MAXIMUM_REPEAT, classes: int = len(LABELS)
) -> npt.NDArray[np.float32]:
    """The alternative: a weight for each class, ``float32``, inverse to its frequency.

    The commonest class weighs 1, none more than ``maximum``, one without frames 0.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = np.minimum(counts.max(initial=0) / np.maximum(counts, 1), maximum)
    return np.where(counts > 0, weights, 0).astype(np.float32)


def describe_weights(weights: npt.NDArray[np.float32], classes: Sequence[str]) -> str:
    """What weighing does: how much the loss of each class that is there counts."""
    shown = ", ".join(
        f"{name} × {weight:.3g}" for name, weight in zip(classes, weights, strict=True) if weight
    )
    return f"balanced by weighing the losses of classes: {shown}"
