"""How good a classifier's answers are. NumPy only: the same figures anywhere.

Truth and predictions are classes, integers that index labels, by default those of
:data:`autcar.commands.LABELS`; scores are N×classes probabilities.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.commands import CLASSES, LABELS
from trainer.data.heads import Heads
from trainer.proof.calibration import Calibration, calibrate

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
    """Answers held against the truth.

    ``balanced_accuracy`` is the mean recall of the classes that have data. ``top`` is
    the share of frames whose true class is among the likeliest 1, 2 and 3.
    ``baseline_accuracy`` is what always answering the commonest class,
    ``baseline_label``, gets, and ``last_accuracy`` what repeating the label of the frame
    before gets, where frames have one before: no car can do that, it shows how little a
    command changes from frame to frame. ``heads`` is the accuracy of each part of a class
    that is a tuple. ``confusion[truth][prediction]`` counts frames.
    """

    frames: int
    accuracy: float
    balanced_accuracy: float
    top: tuple[float, ...]
    calibration: Calibration
    baseline_accuracy: float
    baseline_label: str
    last_accuracy: float | None
    heads: dict[str, float]
    per_class: dict[str, ClassFigures]
    confusion: list[list[int]]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)

    def figures(self) -> dict[str, Any]:
        """The same without the confusion matrix and the calibration's bins: for a manifest."""
        found = self.as_dict()
        found["calibration"] = {"error": self.calibration.error}
        del found["confusion"]
        return found


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


def evaluate(
    truth: Classes,
    scores: Scores,
    labels: tuple[str, ...] = LABELS,
    *,
    before: Classes | None = None,
    heads: Heads | None = None,
) -> Evaluation:
    """Hold N×classes ``scores`` against N true classes; both index ``labels``.

    ``before`` is the class of the frame before each, −1 where there is none. Raises
    ``ValueError`` when there is nothing to compare or the lengths differ.
    """
    if len(truth) != len(scores) or not len(truth):
        raise ValueError(f"{len(scores)} answers for {len(truth)} frames")
    predicted = scores.argmax(1)
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
        top=top_shares(truth, scores),
        calibration=calibrate(truth, scores),
        baseline_accuracy=float(support[commonest] / len(truth)),
        baseline_label=labels[commonest],
        last_accuracy=None if before is None else _last_accuracy(truth, before),
        heads={} if heads is None else head_shares(heads, truth, predicted),
        per_class={
            label: ClassFigures(
                float(precision[i]), float(recall[i]), float(f1[i]), int(support[i])
            )
            for i, label in enumerate(labels)
        },
        confusion=confusion.tolist(),
    )


def top_shares(truth: Classes, scores: Scores, most: int = 3) -> tuple[float, ...]:
    """The share of frames whose true class is among the k likeliest, for k from 1 to ``most``.

    Of equal scores the lower class counts as the likelier, as ``argmax`` has it.
    """
    own = scores[np.arange(len(truth)), truth][:, None]
    classes = np.arange(scores.shape[1])
    ahead = (scores > own) | ((scores == own) & (classes < np.asarray(truth)[:, None]))
    rank = np.count_nonzero(ahead, axis=1)
    return tuple(float((rank < k).mean()) for k in range(1, min(most, scores.shape[1]) + 1))


def head_shares(heads: Heads, a: Classes, b: Classes) -> dict[str, float]:
    """For each head the share of frames where classes ``a`` and ``b`` have the same part."""
    same = (heads.split(a) == heads.split(b)).mean(0)
    return {head.name: float(share) for head, share in zip(heads.heads, same, strict=True)}


def _last_accuracy(truth: Classes, before: Classes) -> float | None:
    known = before >= 0
    return float((truth[known] == before[known]).mean()) if known.any() else None


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
    rows = {
        label: row for label, row in evaluation.per_class.items() if row.support or row.precision
    }
    wide = max(22, *(len(label) + 1 for label in rows))
    lines = [f"{'class':<{wide}}{'precision':>10}{'recall':>8}{'F1':>7}{'frames':>8}"]
    lines += [
        f"{label:<{wide}}{row.precision:>10.2f}{row.recall:>8.2f}{row.f1:>7.2f}{row.support:>8,}"
        for label, row in rows.items()
    ]
    likeliest = ", ".join(f"{k}: {share:.3f}" for k, share in enumerate(evaluation.top, 1))
    last = evaluation.last_accuracy
    lines += [
        f"accuracy {evaluation.accuracy:.3f}, balanced {evaluation.balanced_accuracy:.3f} on "
        f"{evaluation.frames:,} frames; always {evaluation.baseline_label}: "
        f"{evaluation.baseline_accuracy:.3f}"
        + ("" if last is None else f"; the label of the frame before: {last:.3f}"),
        f"truth among the likeliest {likeliest}; calibration error "
        f"{evaluation.calibration.error:.3f}",
        *(f"{name} {share:.3f}" for name, share in evaluation.heads.items()),
    ]
    return "\n".join(lines)
