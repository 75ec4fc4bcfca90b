"""What training minimises and reports, for each kind of target.

An objective sees a batch's outputs and targets as tensors and gives, for every
sample, its loss and whatever else is averaged over the samples (``measures``), and
counts what was taken for what (``confusion``). At the end of an epoch ``figures``
makes of the means and the counts what is logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from autcar.errors import ConfigError
from trainer.data.heads import Heads

Counts = npt.NDArray[np.float64]
"""Classes × classes: samples (or pixels) by true class, then by predicted class."""


class Objective(Protocol):
    """One kind of target. ``names`` are those of the figures, ``loss`` among them."""

    @property
    def names(self) -> tuple[str, ...]:
        """The figures that :meth:`figures` gives."""

    @property
    def classes(self) -> int:
        """Targets are 0 up to this, which is left out."""

    @property
    def target(self) -> tuple[str, tuple[int | None, ...]]:
        """A batch of targets: the name of its type, and its shape."""

    def check(self, model: Any) -> None:
        """Raise :class:`ConfigError` for a Keras model whose output does not fit."""

    def measures(self, outputs: Any, targets: Any) -> dict[str, Any]:
        """By name a ``float32`` tensor of B values; ``loss`` is what is minimised."""

    def confusion(self, outputs: Any, targets: Any) -> Any:
        """A ``float32`` tensor, classes × classes, of what was taken for what."""

    def figures(self, means: Mapping[str, float], confusion: Counts) -> dict[str, float]:
        """What is logged, from the means of the measures and the counts of an epoch."""


@dataclass(frozen=True)
class Classes:
    """One of ``classes`` for each image, from N×classes probabilities.

    ``label_smoothing`` is the share of certainty given to all classes alike: drivers'
    labels are not certain. ``weights`` multiply the loss of each class. ``focal`` is
    the exponent that plays down what is already right (Lin et al., "Focal Loss", 2017).
    """

    classes: int
    label_smoothing: float = 0.1
    weights: tuple[float, ...] | None = None
    focal: float = 0.0

    names = ("loss", "accuracy", "balanced_accuracy")
    target: tuple[str, tuple[int | None, ...]] = ("int16", (None,))

    def check(self, model: Any) -> None:  # noqa: D102
        _check_output(model.output_shape, (self.classes,), "the model", self.classes)

    def measures(self, outputs: Any, targets: Any) -> dict[str, Any]:  # noqa: D102
        losses = cross_entropy(outputs, targets, self.label_smoothing, self.focal)
        return {"loss": weighted(losses, targets, self.weights)}

    def confusion(self, outputs: Any, targets: Any) -> Any:  # noqa: D102
        import tensorflow as tf

        return count_pairs(targets, tf.argmax(outputs, -1), self.classes)

    def figures(self, means: Mapping[str, float], confusion: Counts) -> dict[str, float]:  # noqa: D102
        return {**means, **accuracies(confusion)}


@dataclass(frozen=True)
class HeadsObjective:
    """A joint class for each image, from one output of probabilities for each head.

    The loss is the sum of the heads' losses; ``accuracy`` is that of the joint class,
    for which the heads' answers are multiplied. ``weights`` are by joint class.
    """

    heads: Heads
    label_smoothing: float = 0.1
    weights: tuple[float, ...] | None = None
    focal: float = 0.0

    target: tuple[str, tuple[int | None, ...]] = ("int16", (None,))

    @property
    def classes(self) -> int:  # noqa: D102
        return len(self.heads.classes)

    @property
    def names(self) -> tuple[str, ...]:  # noqa: D102
        parts = [
            f"{head.name}_{what}" for head in self.heads.heads for what in ("loss", "accuracy")
        ]
        return ("loss", "accuracy", "balanced_accuracy", *parts)

    def check(self, model: Any) -> None:  # noqa: D102
        shapes = model.compute_output_shape(model.input_shape)
        wanted = [head.name for head in self.heads.heads]
        if not isinstance(shapes, dict) or set(shapes) != set(wanted):
            found = ", ".join(shapes) if isinstance(shapes, dict) else "one without a name"
            raise ConfigError(
                f"the model's outputs are {found}, the heads are {', '.join(wanted)}; end it "
                f"with a dictionary of one output for each head"
            )
        for head in self.heads.heads:
            count = len(head.classes)
            _check_output(shapes[head.name], (count,), f"the model's head {head.name}", count)

    def measures(self, outputs: Any, targets: Any) -> dict[str, Any]:  # noqa: D102
        import tensorflow as tf

        truths = tf.gather(tf.constant(self.heads.table, tf.int32), tf.cast(targets, tf.int32))
        measures: dict[str, Any] = {}
        for number, head in enumerate(self.heads.heads):
            scores, truth = outputs[head.name], truths[:, number]
            losses = cross_entropy(scores, truth, self.label_smoothing, self.focal)
            right = tf.equal(tf.argmax(scores, -1, tf.int32), truth)
            measures[f"{head.name}_loss"] = weighted(losses, targets, self.weights)
            measures[f"{head.name}_accuracy"] = tf.cast(right, tf.float32)
        losses = [measures[f"{head.name}_loss"] for head in self.heads.heads]
        return {"loss": tf.add_n(losses), **measures}

    def confusion(self, outputs: Any, targets: Any) -> Any:  # noqa: D102
        import tensorflow as tf

        logits = tf.concat([tf.math.log(outputs[h.name] + 1e-9) for h in self.heads.heads], -1)
        joint = tf.matmul(logits, tf.constant(self.heads.mixer()))
        return count_pairs(targets, tf.argmax(joint, -1), self.classes)

    def figures(self, means: Mapping[str, float], confusion: Counts) -> dict[str, float]:  # noqa: D102
        return {**means, **accuracies(confusion)}


@dataclass(frozen=True)
class Pixels:
    """One of ``classes`` for each pixel of ``height`` × ``width``, from probabilities.

    ``weights`` multiply the loss of each class of pixel. ``overlap`` is the weight of
    1 − intersection over union of the last class, softly counted by its probabilities
    (Rahman and Wang, 2016), in images that show it: what is sought there counts as much
    where it is a few pixels as where it is many.
    """

    classes: int
    height: int
    width: int
    weights: tuple[float, ...] | None = None
    focal: float = 0.0
    overlap: float = 0.0

    names = ("loss", "accuracy", "balanced_accuracy", "iou")

    @property
    def target(self) -> tuple[str, tuple[int | None, ...]]:  # noqa: D102
        return "uint8", (None, self.height, self.width)

    def check(self, model: Any) -> None:  # noqa: D102
        wanted = (self.height, self.width, self.classes)
        _check_output(model.output_shape, wanted, "the model", self.classes)

    def measures(self, outputs: Any, targets: Any) -> dict[str, Any]:  # noqa: D102
        import tensorflow as tf

        losses = cross_entropy(outputs, targets, 0.0, self.focal)
        loss = tf.reduce_mean(weighted(losses, targets, self.weights), (1, 2))
        if self.overlap:
            loss += self.overlap * self._missed(outputs, targets)
        return {"loss": loss}

    def _missed(self, outputs: Any, targets: Any) -> Any:
        """1 − IoU of the last class in each image, 0 in images without it."""
        import tensorflow as tf

        truth = tf.cast(tf.equal(targets, self.classes - 1), tf.float32)
        scores = outputs[..., -1]
        shared = tf.reduce_sum(truth * scores, (1, 2))
        size = tf.reduce_sum(truth, (1, 2))
        either = size + tf.reduce_sum(scores, (1, 2)) - shared
        return tf.where(size > 0, 1 - (shared + 1) / (either + 1), 0.0)

    def confusion(self, outputs: Any, targets: Any) -> Any:  # noqa: D102
        import tensorflow as tf

        return count_pairs(targets, tf.argmax(outputs, -1), self.classes)

    def figures(self, means: Mapping[str, float], confusion: Counts) -> dict[str, float]:  # noqa: D102
        right = np.diag(confusion)
        union = confusion.sum(0) + confusion.sum(1) - right
        there = union > 0
        return {
            **means,
            **accuracies(confusion),
            "iou": float((right[there] / union[there]).mean()),
        }


def cross_entropy(scores: Any, targets: Any, label_smoothing: float, focal: float) -> Any:
    """The loss of each target, from probabilities along the last axis."""
    import keras
    import tensorflow as tf

    truth = tf.one_hot(tf.cast(targets, tf.int32), scores.shape[-1])
    losses = keras.losses.categorical_crossentropy(truth, scores, label_smoothing=label_smoothing)
    if focal:
        sure = tf.reduce_sum(truth * scores, -1)
        losses *= tf.pow(tf.clip_by_value(1 - sure, 1e-6, 1.0), focal)
    return losses


def weighted(losses: Any, targets: Any, weights: Sequence[float] | None) -> Any:
    """``losses``, each multiplied by its target's weight."""
    if weights is None:
        return losses
    import tensorflow as tf

    return losses * tf.gather(tf.constant(weights, tf.float32), tf.cast(targets, tf.int32))


def count_pairs(targets: Any, predicted: Any, classes: int) -> Any:
    """A ``float32`` tensor, classes × classes, of how often each pair occurs."""
    import tensorflow as tf

    truth = tf.one_hot(tf.reshape(tf.cast(targets, tf.int32), (-1,)), classes)
    taken = tf.one_hot(tf.reshape(tf.cast(predicted, tf.int32), (-1,)), classes)
    return tf.matmul(truth, taken, transpose_a=True)


def accuracies(confusion: Counts) -> dict[str, float]:
    """The share that is right, and the mean of that share over the classes that occur."""
    right, each = np.diag(confusion), confusion.sum(1)
    there = each > 0
    return {
        "accuracy": float(right.sum() / each.sum()),
        "balanced_accuracy": float((right[there] / each[there]).mean()),
    }


def _check_output(found: Any, wanted: tuple[int, ...], what: str, classes: int) -> None:
    shape = tuple(found[1:]) if isinstance(found, tuple) else found
    if shape != wanted:
        last = "Dense" if len(wanted) == 1 else "Conv2D"
        raise ConfigError(
            f"{what}'s output is {shape}, there are {classes} classes; end it with "
            f"{last}({classes}, …, activation='softmax') of shape {wanted}"
        )
