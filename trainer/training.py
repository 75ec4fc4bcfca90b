"""The training loop: batches in, a trained model and its history out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from autcar.errors import DataError
from autcar.progress import Progress
from trainer.evaluation import evaluate

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]


class BatchSource(Protocol):
    """Where batches come from: ``uint8`` N×H×W×3 RGB and ``int16`` N classes."""

    def __len__(self) -> int:
        """How many batches an epoch has."""

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, in an order fixed by its number."""


USUAL_STEPS = 3000
"""Batches that train a network well: of 64 frames, some four minutes on two cores."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Adam's rate rises over the first half epoch to ``learning_rate`` and falls along
    a cosine to nearly 0 at the last of ``epochs``; 0 epochs stand for as many as take
    :data:`USUAL_STEPS` batches, between 8 and 40. Training ends early after
    ``patience`` validations in a row that are no better than the best, never before
    ``min_epochs``, and the best weights are kept. With ``keep="last"`` all epochs are
    done and the last weights kept, so that validation decides nothing.
    ``label_smoothing`` is the share of certainty given to all classes alike:
    drivers' labels are not certain.
    """

    epochs: int = 0
    learning_rate: float = 2e-3
    label_smoothing: float = 0.1
    patience: int = 5
    min_epochs: int = 3
    keep: Literal["best", "last"] = "best"

    def settled(self, batches: int) -> Schedule:
        """This schedule with its epochs fixed, for ``batches`` an epoch."""
        usual = min(max(round(USUAL_STEPS / batches), 8), 40)
        return self if self.epochs else replace(self, epochs=usual)


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch; ``rate`` is training images per second."""

    number: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_balanced_accuracy: float
    rate: float
    seconds: float


@dataclass
class History:
    """What happened: every epoch, the best one's number (from 1), and why it ended."""

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    ended: str = "all epochs done"

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)


def seed_everything(seed: int) -> None:
    """Make Python, NumPy, Keras and TensorFlow's operations repeat themselves on this machine.

    Call it before the network is built, for its first weights are drawn there. Layers
    are numbered from the beginning again: their names stand in the exported files.
    """
    import keras
    import tensorflow as tf

    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(
    model: Any,
    training: BatchSource,
    validation: BatchSource,
    schedule: Schedule,
    progress: Progress,
) -> History:
    """Train ``model`` (frames 0…255 → probabilities) in place; it ends with its best weights.

    Ctrl-C ends it as early stopping would, once an epoch is done. Raises
    :class:`DataError` when the loss is no longer a number, naming epoch and batch.
    """
    schedule = schedule.settled(len(training))
    learner = _Learner(model, schedule)
    history = History()
    best = math.inf
    weights = model.get_weights()
    try:
        for number in range(1, schedule.epochs + 1):
            epoch = learner.epoch(number, training, validation, progress)
            history.epochs.append(epoch)
            if epoch.val_loss < best or schedule.keep == "last":
                best, weights, history.best = epoch.val_loss, model.get_weights(), number
            progress.say(_line(epoch, schedule, number == history.best))
            waited = number - history.best
            if waited >= schedule.patience and number >= schedule.min_epochs:
                history.ended = f"no better for {waited} epochs"
                break
    except KeyboardInterrupt:
        if not history.best:
            raise
        history.ended = "interrupted"
    model.set_weights(weights)
    return history


def predict(
    model: Any, batches: BatchSource, progress: Progress, what: str = "predicting"
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int16]]:
    """N×classes probabilities for one pass over ``batches``, and the N true classes."""
    import tensorflow as tf

    forward = tf.function(
        lambda images: model(tf.cast(images, tf.float32), training=False),
        input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)],
    )
    scores, truth = [], []
    for images, labels in _reported(batches, 0, what, progress):
        scores.append(forward(images).numpy())
        truth.append(labels)
    return np.concatenate(scores), np.concatenate(truth)


class _Learner:
    """A model with its optimizer and its compiled steps."""

    def __init__(self, model: Any, schedule: Schedule) -> None:
        import keras
        import tensorflow as tf

        self._schedule = schedule
        self._optimizer = optimizer = keras.optimizers.Adam(schedule.learning_rate)
        classes = model.output_shape[-1]
        cross_entropy = keras.losses.CategoricalCrossentropy(
            label_smoothing=schedule.label_smoothing
        )
        signature = [
            tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8),
            tf.TensorSpec((None,), tf.int32),
        ]

        def loss_of(images: Any, labels: Any, training: bool) -> tuple[Any, Any]:
            scores = model(tf.cast(images, tf.float32), training=training)
            return cross_entropy(tf.one_hot(labels, classes), scores), scores

        @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
        def train(images: Any, labels: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                loss, scores = loss_of(images, labels, training=True)
                total = tf.add_n([loss, *model.losses])
            variables = model.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(total, variables), variables, strict=True))
            return loss, tf.argmax(scores, 1)

        @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
        def validate(images: Any, labels: Any) -> tuple[Any, Any]:
            loss, scores = loss_of(images, labels, training=False)
            return loss, tf.argmax(scores, 1)

        optimizer.build(model.trainable_variables)
        self._train, self._validate = train, validate
        self._classes = tuple(map(str, range(classes)))

    def epoch(
        self, number: int, training: BatchSource, validation: BatchSource, progress: Progress
    ) -> Epoch:
        """Train on every batch once, then validate."""
        started = time.perf_counter()

        def train(index: int, images: Any, labels: Any) -> tuple[Any, Any]:
            done = number - 1 + index / len(training)
            self._optimizer.learning_rate.assign(learning_rate(self._schedule, done))
            found: tuple[Any, Any] = self._train(images, labels)
            return found

        learned = self._pass(train, training, number, "training", progress)
        trained = time.perf_counter()
        checked = self._pass(
            lambda _, images, labels: self._validate(images, labels),
            validation,
            number,
            "validation",
            progress,
        )
        figures = evaluate(checked.truth, checked.predicted, self._classes)
        return Epoch(
            number=number,
            loss=learned.loss,
            accuracy=float((learned.truth == learned.predicted).mean()),
            val_loss=checked.loss,
            val_accuracy=figures.accuracy,
            val_balanced_accuracy=figures.balanced_accuracy,
            rate=len(learned.truth) / (trained - started),
            seconds=time.perf_counter() - started,
        )

    def _pass(
        self,
        step: Callable[[int, Any, Any], tuple[Any, Any]],
        batches: BatchSource,
        number: int,
        phase: str,
        progress: Progress,
    ) -> _Pass:
        what = f"epoch {number} of {self._schedule.epochs}, {phase}"
        losses, truth, predicted = 0.0, [], []
        for index, (images, labels) in enumerate(_reported(batches, number, what, progress)):
            loss, classes = step(index, images, labels.astype(np.int32))
            value = float(loss)
            if not math.isfinite(value):
                raise DataError(
                    f"{what}: the loss of batch {index + 1} of {len(batches)} is {value}, no "
                    f"number to learn from; train with a smaller --learning-rate than "
                    f"{self._schedule.learning_rate:g}"
                )
            losses += value * len(labels)
            truth.append(labels)
            predicted.append(classes.numpy())
        every = np.concatenate(truth)
        return _Pass(losses / len(every), every, np.concatenate(predicted))


@dataclass(frozen=True)
class _Pass:
    """One pass over batches: mean loss, true and predicted classes."""

    loss: float
    truth: npt.NDArray[np.int16]
    predicted: npt.NDArray[np.int64]


def learning_rate(schedule: Schedule, done: float) -> float:
    """Adam's rate after ``done`` epochs (fractions count)."""
    warm_up = min(1.0, (done + 0.01) / 0.5)
    cosine = 0.5 * (1 + math.cos(math.pi * done / schedule.epochs))
    return schedule.learning_rate * warm_up * (0.01 + 0.99 * cosine)


def _reported(batches: BatchSource, epoch: int, what: str, progress: Progress) -> Iterator[Batch]:
    """The batches of an epoch, each counted once it is worked on."""
    done = total = 0
    for images, labels in batches.epoch(epoch):
        total = total or len(batches) * len(labels)
        progress.step(what, done, total)
        yield images, labels
        done += len(labels)
    progress.step(what, total, total)


def _line(epoch: Epoch, schedule: Schedule, kept: bool) -> str:
    best = "; best so far" if kept and schedule.keep == "best" else ""
    return (
        f"epoch {epoch.number:>2} of {schedule.epochs}: loss {epoch.loss:.3f}, "
        f"accuracy {epoch.accuracy:.3f}; validation: loss {epoch.val_loss:.3f}, "
        f"accuracy {epoch.val_accuracy:.3f}, balanced {epoch.val_balanced_accuracy:.3f}; "
        f"{epoch.rate:,.0f} images/s{best}"
    )
