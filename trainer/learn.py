"""From frames to a trained network: decode, balance, and learn what the settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.commands import LABELS
from autcar.errors import ConfigError, DataError
from autcar.progress import Progress
from trainer import networks
from trainer.data.augmentation import parse_augmentation
from trainer.data.balance import balance_indices, class_weights, describe_balance, describe_weights
from trainer.data.batches import Batches
from trainer.data.cache import ImageCache
from trainer.data.dataset import Dataset
from trainer.data.heads import Heads
from trainer.data.split import Split
from trainer.learning.checkpoint import Checkpoint
from trainer.learning.distillation import load_teachers
from trainer.learning.history import Epoch, History
from trainer.learning.objectives import Classes, HeadsObjective, Objective, Pixels
from trainer.learning.training import fit, seed_everything
from trainer.learning.warm_start import begin_with
from trainer.learning.workers import Workers
from trainer.settings import Settings

Indices = npt.NDArray[np.int64]

SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class Frames:
    """A dataset, decoded, and its usable rows by part."""

    dataset: Dataset
    split: Split
    cache: ImageCache


def read_frames(dataset: Dataset, split: Split, settings: Settings, progress: Progress) -> Frames:
    """Decode all images once, telling what is there and what was left out.

    Raises :class:`DataError` when a part of the split would be empty.
    """
    _tell_data(dataset, split, progress)
    cache = ImageCache(
        dataset,
        height=settings.height,
        width=settings.width,
        progress=lambda done, total: progress.step("reading images", done, total),
    )
    _tell_problems(cache.problems, "images left out", progress)
    return Frames(dataset, _usable(split, cache), cache)


@dataclass(frozen=True)
class Network:
    """An untrained Keras model, and what its outputs are: ``classes``, or ``heads`` of them."""

    model: Any
    classes: tuple[str, ...]
    heads: Heads | None = None

    @classmethod
    def new(
        cls,
        settings: Settings,
        dataset: Dataset,
        workers: Workers,
        *,
        model: Any = None,
        classes: Sequence[str] = (),
    ) -> Network:
        """The network that ``settings`` ask for, or ``model`` made to fit.

        The outputs are ``classes``, by default all that ``dataset`` has. The seed is set
        anew. Raises :class:`ConfigError` for a network that is not there or does not fit.
        """
        seed_everything(settings.seed)
        named = tuple(classes) or dataset.classes
        height, width = settings.height, settings.width
        if model is not None:
            if settings.precision != "float32" or workers.count > 1:
                raise ConfigError(
                    f"a given model ({model.name}) is trained in float32 by one worker; for more, "
                    f"name what builds it: --network MODULE:FUNCTION"
                )
            return cls(networks.adapt(model, height, width, len(named)), named)
        heads = dataset.heads
        if heads is None and networks.has_heads(settings.network) and named == LABELS:
            heads = Heads.of_drive()
        with workers.scope(), networks.precision(settings.precision):
            if heads is not None:
                built = networks.build_heads(settings.network, height, width, heads)
            else:
                built = networks.build_network(settings.network, height, width, len(named))
        return cls(built, named, heads)

    def objective(self, dataset: Dataset, rows: Indices, settings: Settings) -> Objective:
        """What to minimise when ``rows`` are learnt."""
        weights = None
        if settings.balance == "weights":
            found = class_weights(dataset.labels[rows], classes=len(dataset.label_names))
            weights = tuple(map(float, found[_positions(self.classes, dataset.classes) >= 0]))
        smoothing, focal = settings.label_smoothing, settings.focal
        if dataset.masks is not None:
            height, width = self.model.output_shape[1:3]
            return Pixels(len(self.classes), height, width, focal=focal)
        if self.heads is not None:
            return HeadsObjective(self.heads, smoothing, weights, focal)
        return Classes(len(self.classes), smoothing, weights, focal)

    def answering(self, classes: Sequence[str]) -> Any:
        """The model that gives one probability for each of ``classes``."""
        if self.heads is not None:
            return networks.joined(self.model, self.heads)
        return networks.spread(self.model, self.classes, classes)


@dataclass(frozen=True)
class Learned:
    """``network`` as trained; ``model`` answers with one probability for each class of the
    data. ``rows`` made an epoch."""

    network: Network
    model: Any
    history: History
    rows: Indices


def learn(
    frames: Frames,
    network: Network,
    settings: Settings,
    progress: Progress,
    *,
    checkpoint: Checkpoint | None = None,
    listeners: Sequence[Callable[[Epoch], None]] = (),
    workers: Workers | None = None,
) -> Learned:
    """Train ``network`` on the training part, judged by the validation part."""
    dataset, split, cache = frames.dataset, frames.split, frames.cache
    if settings.start is not None and not (checkpoint and checkpoint.path.exists()):
        progress.say(begin_with(network.model, settings.start))
    workers = workers or Workers()
    teacher = None
    if settings.teachers:
        with workers.scope():
            teacher = load_teachers(settings.teachers, network.model, network.classes)
        progress.say(f"taught by {', '.join(settings.teachers)}")
    rows = split.train
    if settings.balance == "upsample":
        rows = balance_indices(dataset.labels, rows, settings.seed)
        for line in describe_balance(dataset.labels, split.train, rows, dataset.label_names):
            progress.say(line)
    if settings.balance == "weights":
        names = dataset.label_names
        found = class_weights(dataset.labels[rows], classes=len(names))
        progress.say(describe_weights(found, names))
    rows = np.tile(rows, settings.augment_factor)
    outputs = dataset.labels
    if dataset.masks is None:
        outputs = _positions(network.classes, dataset.classes)[dataset.labels]
    augmentation = parse_augmentation(
        settings.augment, network.classes, masked=dataset.masks is not None
    )
    size = settings.batch_size
    mine: dict[str, Any] = {"shard": workers.index, "shards": workers.count}
    training = Batches(cache, outputs, rows, size, settings.seed, augmentation, **mine)
    validation = Batches(cache, outputs, split.validation, size, shuffle=False, **mine)
    model = network.model
    progress.say(
        f"training {model.name}: {model.count_params():,} parameters, {len(rows):,} frames "
        f"an epoch, {settings.width}×{settings.height}, seed {settings.seed}"
    )
    history = fit(
        model,
        training,
        validation,
        settings.schedule,
        progress,
        objective=network.objective(dataset, split.train, settings),
        checkpoint=checkpoint,
        listeners=listeners,
        workers=workers,
        teacher=teacher,
    )
    progress.say(f"{history.ended}; kept epoch {history.best}")
    if workers.count > 1 or settings.precision != "float32":
        # What was made for many, or for halves, cannot be converted: one like it takes
        # the weights.
        weights = model.get_weights()
        network = Network.new(replace(settings, precision="float32"), dataset, Workers())
        network.model.set_weights(weights)
    return Learned(network, network.answering(dataset.classes), history, rows)


def _positions(classes: Sequence[str], all_classes: Sequence[str]) -> npt.NDArray[np.int16]:
    """Where in ``classes`` each of ``all_classes`` stands, −1 where it does not."""
    order = list(classes)
    return np.array([order.index(x) if x in order else -1 for x in all_classes], np.int16)


def _tell_data(dataset: Dataset, split: Split, progress: Progress) -> None:
    if not (len(split.validation) and len(split.test)):
        raise DataError(
            f"{len(dataset):,} frames leave {len(split.validation):,} to validate and "
            f"{len(split.test):,} to test on; record more, or give larger shares"
        )
    progress.say(
        f"{len(dataset):,} frames: {len(split.train):,} to train, "
        f"{len(split.validation):,} to validate, {len(split.test):,} to test"
    )
    for note in (*dataset.notes, *split.notes):
        progress.say(f"note: {note}")
    _tell_problems(dataset.problems, "rows left out", progress)


def _tell_problems(problems: Sequence[str], what: str, progress: Progress) -> None:
    if problems:
        progress.say(f"{len(problems):,} {what}:")
        for problem in problems[:SHOWN_PROBLEMS]:
            progress.say(f"  {problem}")
        if len(problems) > SHOWN_PROBLEMS:
            progress.say(f"  … and {len(problems) - SHOWN_PROBLEMS:,} more")


def _usable(split: Split, cache: ImageCache) -> Split:
    parts = (split.train, split.validation, split.test)
    train, validation, test = map(cache.only_usable, parts)
    if not (len(train) and len(validation) and len(test)):
        raise DataError(
            f"of the images to train, validate and test on, {len(train):,}, {len(validation):,} "
            f"and {len(test):,} are usable; first problem: {cache.problems[0]}"
        )
    return replace(split, train=train, validation=validation, test=test)
