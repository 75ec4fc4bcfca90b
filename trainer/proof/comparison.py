"""Whether one model is better than another on the same frames, or only luckier.

McNemar's exact test (McNemar 1947) looks at the frames that only one of them got
right. It takes frames as independent, which neighbours in time are not, so its p is
too small for recordings. The bootstrap draws whole blocks of time with replacement
(Carlstein 1986; Künsch 1989), each with both models' answers, and so keeps what
neighbours and models share: believe its intervals.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer[Any]]
Interval = tuple[float, float]

DRAWS = 2000
LEAST_BLOCKS = 10
"""With fewer, an interval says little."""


@dataclass(frozen=True)
class Comparison:
    """Model B against model A on the same frames.

    ``only_a`` and ``only_b`` count frames that only one of them got right, ``p`` is
    McNemar's. Differences are B less A, with intervals that hold 95 % of the bootstrap's
    draws of ``blocks`` blocks of time.
    """

    frames: int
    blocks: int
    both: int
    only_a: int
    only_b: int
    neither: int
    p: float
    accuracy_difference: float
    accuracy_interval: Interval
    balanced_difference: float
    balanced_interval: Interval

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)

    @property
    def verdict(self) -> str:
        """What may be said of balanced accuracy."""
        low, high = self.balanced_interval
        if self.blocks < LEAST_BLOCKS:
            return f"too few blocks of time ({self.blocks}) to tell; use more data"
        if low > 0:
            return "B is better"
        if high < 0:
            return "A is better"
        return "no difference that these frames can show"

    def __str__(self) -> str:
        def interval(difference: float, ends: Interval) -> str:
            return f"{difference:+.3f} (95 %: {ends[0]:+.3f} … {ends[1]:+.3f})"

        return (
            f"B less A: accuracy {interval(self.accuracy_difference, self.accuracy_interval)}, "
            f"balanced {interval(self.balanced_difference, self.balanced_interval)}, over "
            f"{self.blocks:,} blocks of time: {self.verdict}\n"
            f"only A right {self.only_a:,}, only B right {self.only_b:,} of {self.frames:,} "
            f"frames; McNemar's p {self.p:.2g}, which takes neighbours as independent"
        )


def compare(truth: Ints, a: Ints, b: Ints, blocks: Ints, seed: int = 0) -> Comparison:
    """Compare N predictions ``b`` with ``a``; ``blocks`` numbers each frame's block of time."""
    right_a, right_b = a == truth, b == truth
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    _, block = np.unique(blocks, return_inverse=True)
    present, label = np.unique(truth, return_inverse=True)
    shape = (int(block.max()) + 1, len(present))

    def counted(rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        flat = np.bincount(block[rows] * shape[1] + label[rows], minlength=shape[0] * shape[1])
        return flat.reshape(shape).astype(np.float64)

    support = counted(np.ones(len(truth), bool))
    hits = counted(right_b) - counted(right_a)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(shape[0], np.full(shape[0], 1 / shape[0]), DRAWS).astype(np.float64)
    whole = np.ones((1, shape[0]))
    return Comparison(
        frames=len(truth),
        blocks=shape[0],
        both=int((right_a & right_b).sum()),
        only_a=only_a,
        only_b=only_b,
        neither=int((~right_a & ~right_b).sum()),
        p=mcnemar(only_a, only_b),
        accuracy_difference=float(_accuracy(whole, support, hits)[0]),
        accuracy_interval=_interval(_accuracy(draws, support, hits)),
        balanced_difference=float(_balanced(whole, support, hits)[0]),
        balanced_interval=_interval(_balanced(draws, support, hits)),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p: how likely a fair coin splits these frames as unevenly."""
    total, less = only_a + only_b, min(only_a, only_b)
    if not total:
        return 1.0
    logs = [
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
        for k in range(less + 1)
    ]
    return float(min(1.0, 2 * np.exp(np.logaddexp.reduce(logs) - total * math.log(2))))


def _accuracy(draws: Any, support: Any, hits: Any) -> Any:
    return (draws @ hits.sum(1)) / (draws @ support.sum(1))


def _balanced(draws: Any, support: Any, hits: Any) -> Any:
    """Mean recall over the classes that a draw holds."""
    frames = draws @ support
    recall = np.divide(draws @ hits, frames, out=np.zeros_like(frames), where=frames > 0)
    return recall.sum(1) / np.count_nonzero(frames, axis=1)


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
