"""How good a classifier's answers are. NumPy only: the same figures anywhere.

Truth and predictions are classes, integers 0…11 of :data:`autcar.commands.LABELS`;
scores are N×12 probabilities.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.commands import CLASSES, LABELS

Classes = npt.NDArray[np.integer[Any]]
Scores = npt.NDArray[np.floating[Any]]

STEERING = ("left_medium", "left_light", "straight", "right_light", "right_medium")
"""The five steering classes of driving forward, from left to right."""

_TURN = {"left_medium": 0, "left_light": 1, "right_light": 3, "right_medium": 4}

STEERING_OF = np.array(
    [
        _TURN.get(f"{command.type}_{command.manner}", 2) if command.direction == "forward" else -1
        for command in CLASSES
    ]
)
"""The steering class of each class; −1 for backwards and stop."""


@dataclass(frozen=True)
class ClassFigures:
    """One class: shares 0…1, and ``support``, how many frames truly are of it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """Predictions held against the truth.

    ``balanced_accuracy`` is the mean recall of the classes that have data;
    ``baseline_accuracy`` is what always answering the commonest class,
    ``baseline_label``, gets. ``confusion[truth][prediction]`` counts frames.
    """

    frames: int
    accuracy: float
    balanced_accuracy: float
    baseline_accuracy: float
    baseline_label: str
    per_class: dict[str, ClassFigures]
    confusion: list[list[int]]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Steering:
    """The five steering classes alone, on the frames that were driven forward.

    ``within_one`` is the share that is right or beside the right class.
    """

    frames: int
    accuracy: float
    balanced_accuracy: float
    within_one: float
    baseline_accuracy: float
    baseline_within_one: float

    def __str__(self) -> str:
        return (
            f"steering on {self.frames:,} forward frames: accuracy {self.accuracy:.3f}, balanced "
            f"{self.balanced_accuracy:.3f}, within one class {self.within_one:.3f}; always the "
            f"commonest: {self.baseline_accuracy:.3f}, within one {self.baseline_within_one:.3f}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)


def evaluate(truth: Classes, predicted: Classes, labels: tuple[str, ...] = LABELS) -> Evaluation:
    """Compare N predicted classes with N true ones; both index ``labels``.

    Raises ``ValueError`` when there is nothing to compare or the lengths differ.
    """
    if len(truth) != len(predicted) or not len(truth):
        raise ValueError(f"{len(predicted)} predictions for {len(truth)} frames")
    confusion = confusion_matrix(truth, predicted, len(labels))
    right = np.diag(confusion)
    support = confusion.sum(1)
    precision = _share(right, confusion.sum(0))
    recall = _share(right, support)
    f1 = _share(2 * precision * recall, precision + recall)
    commonest = int(support.argmax())
    return Evaluation(
        frames=len(truth),
        accuracy=float(right.sum() / len(truth)),
        balanced_accuracy=float(recall[support > 0].mean()),
        baseline_accuracy=float(support[commonest] / len(truth)),
        baseline_label=labels[commonest],
        per_class={
            label: ClassFigures(
                float(precision[i]), float(recall[i]), float(f1[i]), int(support[i])
            )
            for i, label in enumerate(labels)
        },
        confusion=confusion.tolist(),
    )


def evaluate_steering(truth: Classes, scores: Scores) -> Steering | None:
    """The steering of N frames with true classes ``truth`` and N×12 ``scores``.

    Frames whose truth is backwards or stop are left out (None when all are). For
    the rest the question is *which way, given forward*: each steering class scores
    the sum of its forward classes, and the highest wins.
    """
    forward = STEERING_OF[truth] >= 0
    if not forward.any():
        return None
    true = STEERING_OF[truth[forward]]
    sums = np.stack(
        [scores[forward][:, which == STEERING_OF].sum(1) for which in range(len(STEERING))], 1
    )
    off = np.abs(sums.argmax(1) - true)
    support = np.bincount(true, minlength=len(STEERING))
    recall = _share(np.bincount(true[off == 0], minlength=len(STEERING)), support)
    commonest = int(support.argmax())
    return Steering(
        frames=len(true),
        accuracy=float((off == 0).mean()),
        balanced_accuracy=float(recall[support > 0].mean()),
        within_one=float((off <= 1).mean()),
        baseline_accuracy=float(support[commonest] / len(true)),
        baseline_within_one=float((np.abs(true - commonest) <= 1).mean()),
    )


def confusion_matrix(truth: Classes, predicted: Classes, classes: int) -> npt.NDArray[np.int64]:
    """``classes``×``classes`` counts: row the truth, column the prediction."""
    flat = truth.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def _share(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """``part / whole``, and 0 where the whole is 0."""
    shares = np.zeros(len(part))
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def table(evaluation: Evaluation) -> str:
    """The figures of each class that has frames or was predicted, as aligned text."""
    lines = [f"{'class':<22}{'precision':>10}{'recall':>8}{'F1':>7}{'frames':>8}"]
    for label, row in evaluation.per_class.items():
        if row.support or row.precision:
            lines.append(
                f"{label:<22}{row.precision:>10.2f}{row.recall:>8.2f}{row.f1:>7.2f}{row.support:>8,}"
            )
    lines.append(
        f"accuracy {evaluation.accuracy:.3f}, balanced {evaluation.balanced_accuracy:.3f} on "
        f"{evaluation.frames:,} frames; always {evaluation.baseline_label}: "
        f"{evaluation.baseline_accuracy:.3f}"
    )
    return "\n".join(lines)
