"""Whether a network is as often right as it says it is.

The expected calibration error of Guo et al., "On Calibration of Modern Neural
Networks" (2017): answers are sorted into bins by confidence, the highest probability
of each; the error is the mean distance between confidence and accuracy of a bin,
weighted by its frames. The gate stops the car on low confidence, so it matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence: ``frames`` of them, and their mean confidence and accuracy."""

    frames: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The error, 0…1, and the :data:`BINS` bins from confidence 0 to 1, empty ones left out."""

    error: float
    bins: tuple[Bin, ...]


def calibrate(truth: npt.NDArray[np.integer[Any]], scores: npt.NDArray[Any]) -> Calibration:
    """The calibration of N×classes probabilities for N true classes."""
    confidence = scores.max(1).astype(np.float64)
    right = scores.argmax(1) == truth
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(number, minlength=BINS)
    sure = np.bincount(number, confidence, BINS)
    good = np.bincount(number, right, BINS)
    bins = tuple(
        Bin(int(counts[at]), float(sure[at] / counts[at]), float(good[at] / counts[at]))
        for at in np.flatnonzero(counts)
    )
    return Calibration(float(np.abs(sure - good).sum() / max(len(truth), 1)), bins)
