"""The training loop: batches in, a trained model and its history out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from autcar.errors import DataError
from autcar.progress import Progress
from trainer.learning.checkpoint import Checkpoint, Saved
from trainer.learning.distillation import Teacher
from trainer.learning.history import Epoch, History
from trainer.learning.learner import Learner, Sums
from trainer.learning.objectives import Classes, Objective
from trainer.learning.schedule import Level, Schedule, learning_rate
from trainer.learning.workers import Workers

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]

LOOK_EVERY = 16
"""Batches between two looks at the losses: a look waits for the step to end."""


class BatchSource(Protocol):
    """Where batches come from: ``uint8`` N×H×W×3 RGB and N targets of an objective."""

    def __len__(self) -> int:
        """How many batches an epoch has."""

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, in an order fixed by its number."""


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
    *,
    objective: Objective | None = None,
    checkpoint: Checkpoint | None = None,
    listeners: Sequence[Callable[[Epoch], None]] = (),
    workers: Workers | None = None,
    teacher: Teacher | None = None,
) -> History:
    """Train ``model`` (frames 0…255 → what ``objective`` asks for) in place, to its best weights.

    Without an ``objective``, classes by the model's output. After each epoch all is saved
    to ``checkpoint``; one that is there already is gone on from, as if training had never
    ended. Each epoch is told of once it is saved, and to ``listeners``; what they raise ends
    training. Ctrl-C ends it as early stopping would, once an epoch is done.

    ``model`` is made in the scope of ``workers``; only worker 0 has a ``checkpoint``. The
    answers of a ``teacher`` (see :mod:`trainer.learning.distillation`) count beside the targets
    in training, not in validation.

    Raises :class:`ConfigError` for a model that does not fit the objective,
    :class:`DataError` for a target that is none of the classes and when the loss is no
    longer a number, naming epoch and batch, :class:`TrainingError` when an epoch cannot be
    saved or a worker dies.
    """
    schedule = schedule.settled(len(training))
    objective = objective or Classes(model.output_shape[-1])
    level = Level.parse(schedule.until, objective.names)
    workers = workers or Workers()
    workers.prepare(model)
    learner = Learner(model, schedule, objective, workers, teacher)
    loop = _Loop(learner, schedule, objective, workers, progress)
    history, best = History(), model.get_weights()
    saved = checkpoint.load() if checkpoint else None
    if shared := workers.share(saved.to_bytes() if saved else b""):
        saved = Saved.from_bytes(shared)
        learner.restore(saved.state)
        history, best = saved.history, saved.best
        progress.say(f"going on after epoch {len(history.epochs)} of {schedule.epochs}")
    try:
        while not (ended := _ending(history, schedule, level)):
            with workers.together():
                epoch = loop.epoch(training, validation, history)
            kept = _is_kept(epoch, history, schedule, level)
            history.epochs.append(epoch)
            if kept:
                best, history.best = model.get_weights(), epoch.number
            if checkpoint:
                checkpoint.save(Saved(history, learner.state(), best))
            # Only now, so that an epoch that was told of is not lost any more.
            progress.say(_line(epoch, schedule, kept))
            for listener in listeners:
                listener(epoch)
    except KeyboardInterrupt:
        if not history.best:
            raise
        ended = "interrupted"
    history.ended = ended
    workers.prepare(model, together=False)
    model.set_weights(best)
    return history


def _is_kept(epoch: Epoch, before: History, schedule: Schedule, level: Level | None) -> bool:
    """Whether these are the weights to keep so far."""
    best = before.epochs[before.best - 1].val_loss if before.best else math.inf
    reached = _reached(epoch, schedule, level)
    return epoch.val_loss < best or reached or schedule.keep == "last"


def _reached(epoch: Epoch, schedule: Schedule, level: Level | None) -> bool:
    if level is None or epoch.number < schedule.min_epochs:
        return False
    return level.reached(epoch.figures[f"val_{level.name}"])


def _ending(history: History, schedule: Schedule, level: Level | None) -> str:
    """Why training ends after these epochs; nothing when it goes on."""
    done = len(history.epochs)
    if done and _reached(history.epochs[-1], schedule, level):
        return f"reached {level}"
    if done >= schedule.epochs:
        return "all epochs done"
    waited = done - history.best
    if waited >= schedule.patience and done >= schedule.min_epochs:
        return f"no better for {waited} epochs"
    return ""


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


class _Loop:
    """Takes a learner through one epoch after the other."""

    def __init__(
        self,
        learner: Learner,
        schedule: Schedule,
        objective: Objective,
        workers: Workers,
        progress: Progress,
    ) -> None:
        self._learner = learner
        self._schedule = schedule
        self._objective = objective
        self._workers = workers
        self._progress = progress

    def epoch(self, training: BatchSource, validation: BatchSource, history: History) -> Epoch:
        """The epoch after ``history``: train on every batch once, then validate."""
        number = len(history.epochs) + 1
        learner, schedule = self._learner, self._schedule
        val_losses = [epoch.val_loss for epoch in history.epochs]

        def train(index: int, images: Any, targets: Any) -> Any:
            done = number - 1 + index / len(training)
            learner.optimizer.learning_rate = learning_rate(schedule, done, val_losses)
            return learner.train(images, targets)

        started = time.perf_counter()
        learned, frames = self._pass(train, training, number, "training")
        trained = time.perf_counter()
        checked, _ = self._pass(
            lambda _, images, targets: learner.validate(images, targets),
            validation,
            number,
            "validation",
        )
        return Epoch(
            number=number,
            figures=learned | {f"val_{name}": value for name, value in checked.items()},
            rate=frames / (trained - started),
            seconds=time.perf_counter() - started,
        )

    def _pass(
        self, step: Callable[[int, Any, Any], Any], batches: BatchSource, number: int, phase: str
    ) -> tuple[dict[str, float], int]:
        what = f"epoch {number} of {self._schedule.epochs}, {phase}"
        ledger = _Ledger(what, len(batches), self._schedule, self._workers)
        kind = self._objective.target[0]
        frames = 0
        source = _reported(batches, number, what, self._progress)
        for index, (images, targets) in enumerate(source):
            self._check_targets(targets, f"{what}, batch {index + 1}")
            ledger.add(step(index, images, targets.astype(kind, copy=False)))
            frames += len(images)
        return self._learner.figures(ledger.total()), frames * self._workers.count

    def _check_targets(self, targets: Any, where: str) -> None:
        if targets.size and not 0 <= targets.min() <= targets.max() < self._objective.classes:
            raise DataError(
                f"{where}: the targets reach from {targets.min()} to {targets.max()}, the network "
                f"knows 0 to {self._objective.classes - 1}; give a network with more outputs, or "
                f"leave those samples out"
            )


class _Ledger:
    """Adds up the sums of a pass's batches, looking at every few for a loss that is no number."""

    def __init__(self, what: str, batches: int, schedule: Schedule, workers: Workers) -> None:
        self._what, self._batches = what, batches
        self._schedule, self._workers = schedule, workers
        self._waiting: list[Any] = []
        self._seen = 0
        self._total: Sums | None = None

    def add(self, sums: Any) -> None:
        self._waiting.append(sums)
        if len(self._waiting) == LOOK_EVERY:
            self._look()

    def total(self) -> Sums:
        """The sums over all batches, of all workers."""
        if self._waiting:
            self._look()
        if self._total is None:
            raise DataError(f"{self._what}: there is not one batch; give more frames")
        return self._total

    def _look(self) -> None:
        rows = np.stack([sums.numpy() for sums in self._waiting]).astype(np.float64)
        rows = self._workers.total(rows)
        broken = np.flatnonzero(~np.isfinite(rows[:, 0]))
        if len(broken):
            raise DataError(
                f"{self._what}: the loss of batch {self._seen + broken[0] + 1} of "
                f"{self._batches} is {rows[broken[0], 0]}, no number to learn from; train with a "
                f"smaller --learning-rate than {self._schedule.learning_rate:g}"
            )
        self._seen += len(rows)
        self._waiting.clear()
        self._total = rows.sum(0) if self._total is None else self._total + rows.sum(0)


def _reported(batches: BatchSource, epoch: int, what: str, progress: Progress) -> Iterator[Batch]:
    """The batches of an epoch, each counted once it is worked on."""
    done = total = 0
    for images, targets in batches.epoch(epoch):
        total = total or len(batches) * len(images)
        progress.step(what, done, total)
        yield images, targets
        done += len(images)
    progress.step(what, total, total)


def _line(epoch: Epoch, schedule: Schedule, kept: bool) -> str:
    best = "; best so far" if kept and schedule.keep == "best" else ""
    learned = {
        name: value
        for name, value in epoch.figures.items()
        if not name.startswith("val_") and name != "balanced_accuracy"
    }
    checked = {
        name.removeprefix("val_").replace("balanced_accuracy", "balanced"): value
        for name, value in epoch.figures.items()
        if name.startswith("val_")
    }
    return (
        f"epoch {epoch.number:>2} of {schedule.epochs}: {_figures(learned)}; "
        f"validation: {_figures(checked)}; {epoch.rate:,.0f} images/s{best}"
    )


def _figures(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
