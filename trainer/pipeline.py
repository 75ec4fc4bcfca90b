"""The whole way from recordings to a bundle, as one function.

Read, split by time, balance the training part, decode once, train, convert,
prove on frames that were held out, and pack. The command line, the demo and
AutCar's ``Trainer`` all go this way.
"""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar import __version__
from autcar.bundle import MANIFEST, Bundle, keep_earlier, write_bundle
from autcar.commands import LABELS
from autcar.errors import BundleError, ConfigError, DataError, DataNotFoundError
from autcar.progress import LogProgress, Progress
from autcar.safety import BLIND_LABELS
from trainer.data.augmentation import parse_augmentation
from trainer.data.batches import Batches
from trainer.data.cache import ImageCache
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.sample_list import count_learned, write_sample_list
from trainer.data.split import Split, make_split
from trainer.learn import Network, learn, read_frames
from trainer.learning.history import History
from trainer.learning.tensorboard import EventLog
from trainer.learning.warm_start import MODEL, SUMMARY, model_of
from trainer.learning.workers import Workers
from trainer.proof.evaluation import Evaluation, Steering
from trainer.proof.parity import prove, refuse_unproven
from trainer.proof.quantize import Parity, check_kinds
from trainer.report.card import write_card
from trainer.report.plots import plot_classes, plot_confusion, plot_frames, plot_history
from trainer.run_folder import RunFolder
from trainer.settings import Settings

Indices = npt.NDArray[np.int64]

CALIBRATION_FRAMES = 240


@dataclass(frozen=True)
class Result:
    """What came out.

    ``evaluation``, ``steering`` and each variant's ``parity`` are on the test part,
    the first two by the variant that the car drives with. ``recorded`` and ``shown``
    count frames by label: all there are, and those shown in an epoch of training.
    ``plots`` are PNG files by name, ``seconds`` the time that each stage took.
    """

    bundle: Bundle
    history: History
    evaluation: Evaluation
    steering: Steering | None
    parity: dict[str, Parity]
    latency_ms: dict[str, float]
    recorded: dict[str, int]
    shown: dict[str, int]
    run: Path | None
    plots: dict[str, Path]
    seconds: dict[str, float]


def train_bundle(
    settings: Settings,
    progress: Progress | None = None,
    *,
    resume: RunFolder | None = None,
    workers: Workers | None = None,
) -> Result:
    """Train a network on recordings and write its bundle.

    Tells ``progress`` what happens. Raises :class:`~autcar.errors.AutcarError` for
    data, names and folders that cannot be used, before anything is trained, and
    :class:`~autcar.errors.ParityError` in place of shipping a variant that does not
    answer as the trained model does. Ctrl-C during training packs the best epoch so far.
    ``resume`` is a run that was begun with the same ``settings``: it goes on after its
    last whole epoch.
    """
    progress = progress or Progress()
    check_output(settings.output)
    check_kinds(settings.variants)
    dataset, split = read_data(settings)
    return train_on(dataset, split, settings, progress, resume=resume, workers=workers)


def read_data(settings: Settings) -> tuple[Dataset, Split]:
    """The dataset that ``settings`` ask for, and its parts."""
    dataset = read_dataset(settings)
    split = make_split(
        dataset,
        settings.split,
        validation=settings.validation,
        test=settings.test,
        gap_s=settings.gap_s,
        seed=settings.seed,
    )
    notes = [*split.notes, *_learned_before(settings, dataset, split)]
    return dataset, replace(split, notes=notes)


def _learned_before(settings: Settings, dataset: Dataset, split: Split) -> Iterator[str]:
    """Says so where the run to begin with has learned from frames that are to be tested on."""
    if settings.start is None:
        return
    try:
        run = model_of(settings.start).parent
    except DataNotFoundError:
        # A run that goes on has its weights already, and needs the first one no more.
        return
    known = count_learned(run, dataset.subset(split.test))
    if known:
        yield (
            f"{run}, whose weights this begins with, learned from {known:,} of the "
            f"{len(split.test):,} test frames, so these flatter; on recordings that neither saw, "
            f"say autcar eval --split all"
        )


def help_training(settings: Settings, progress: Progress, workers: Workers) -> None:
    """Be a worker other than number 0, which runs :func:`train_bundle` with the same settings.

    Raises :class:`DataError` when the recordings here are not those that worker 0 reads.
    """
    dataset, split = read_data(settings)
    network = Network.new(settings, dataset, workers)
    _check_same(dataset.digest(), workers)
    learn(
        read_frames(dataset, split, settings, progress),
        network,
        settings,
        progress,
        workers=workers,
    )
    progress.say(f"worker {workers.index} is done; worker 0 makes the bundle")


def _check_same(digest: str, workers: Workers) -> None:
    with workers.together():
        first = workers.share(digest.encode()).decode()
    if digest != first:
        raise DataError(
            f"worker {workers.index} reads other recordings than worker 0 (digest {digest[:12]}, "
            f"there {first[:12]}); copy the same DATA to each machine"
        )


def read_dataset(settings: Settings) -> Dataset:
    """The samples that ``settings`` name.

    Raises as :func:`load_dataset` does, and :class:`ConfigError` for images with masks.
    """
    dataset = load_dataset(
        settings.data, include_deleted=settings.include_deleted, heads=settings.heads
    )
    if dataset.masks is not None:
        named = " ".join(map(str, settings.data))
        raise ConfigError(
            f"{named}: images with masks teach to follow, where frames with a command or class "
            f"each were expected; to follow, say `autcar train {named}`, without --task drive"
        )
    if 0 < settings.first_classes < len(dataset.classes):
        return dataset.first_classes(settings.first_classes)
    return dataset


def check_output(folder: Path) -> None:
    """Raise :class:`BundleError` now where :func:`write_bundle` would only after training."""
    other = folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file()
    if folder.is_file() or other:
        raise BundleError(f"{folder} is there and is no bundle; name another --output")


def train_on(
    dataset: Dataset,
    split: Split,
    settings: Settings,
    progress: Progress,
    *,
    model: Any = None,
    classes: Sequence[str] = (),
    resume: RunFolder | None = None,
    workers: Workers | None = None,
) -> Result:
    """Train on the rows of ``dataset`` that ``split`` names, and write the bundle.

    ``model`` is a Keras model to train in place of ``settings.network``. Its outputs
    are ``classes``, in that order, by default all of the dataset's, which they must be
    for an augmentation that mirrors; the bundle's are always the dataset's.
    """
    workers = workers or Workers()
    network = Network.new(settings, dataset, workers, model=model, classes=classes)
    parse_augmentation(settings.augment, network.classes, masked=dataset.masks is not None)
    digest = dataset.digest()
    if resume is not None:
        resume.check_data(digest)
    _check_same(digest, workers)
    with contextlib.ExitStack() as stack:
        run = resume or RunFolder.new(settings, digest)
        if run is not None:
            log = stack.enter_context(open(run.log, "a", encoding="utf-8"))
            progress = LogProgress(log, progress)
        return _train_on(dataset, split, settings, progress, run, network, workers)


def _train_on(
    dataset: Dataset,
    split: Split,
    settings: Settings,
    progress: Progress,
    run: RunFolder | None,
    network: Network,
    workers: Workers,
) -> Result:
    clock = _StopWatch()
    frames = read_frames(dataset, split, settings, progress)
    split, cache = frames.split, frames.cache
    if run is not None:
        write_sample_list(run.path, dataset, split)
    clock.lap("reading")
    learned = learn(
        frames,
        network,
        settings,
        progress,
        checkpoint=run.checkpoint if run else None,
        listeners=[EventLog(run.path / "tensorboard")] if run and settings.tensorboard else [],
        workers=workers,
    )
    model, history, rows = learned.model, learned.history, learned.rows
    if history.ended == "interrupted" and run is not None:
        progress.say(f"to go on later: autcar train --resume {run.path}")
    clock.lap("training")

    examples = cache.images(_balanced_few(dataset.labels, split.train, settings.seed))
    test = Batches(cache, dataset.labels, split.test, settings.batch_size, shuffle=False)
    proof = prove(
        model, settings.variants, examples, test, dataset.classes, progress, network.heads
    )
    clock.lap("proving")

    shown = _counts(dataset.label_names, dataset.labels[rows])
    metrics = {
        "network": model.name,
        "parameters": model.count_params(),
        "best_epoch": history.best,
        **proof.as_dict(),
        "forced": proof.failed if settings.force else [],
    }
    data = _describe_data(settings, dataset, split, shown)
    if run is not None:
        data["run"] = str(run.path)
    plots = {}
    if run is not None:
        learned.network.model.save(run.path / MODEL)
        plots = _plot(run.path, dataset, cache, split, history, proof.evaluation, shown)
        clock.lap("plotting")
        _write_summary(run.path, network.classes, settings, history, metrics, data, clock.laps)
    if not settings.force:
        refuse_unproven(proof, dataset.classes, run.path if run else None)
    if settings.keep_earlier and (earlier := keep_earlier(settings.output)):
        progress.say(f"the earlier {settings.output} is now {earlier}")
    bundle = write_bundle(
        settings.output,
        models={kind: (content, kind) for kind, content in proof.files.items()},
        card=write_card(settings.output.name, metrics, data),
        labels=dataset.classes,
        width=settings.width,
        height=settings.height,
        metrics=metrics,
        data=data,
        versions=versions(),
        task="drive" if _drives(dataset.classes) else "classify",
        heads={head.name: head.classes for head in dataset.heads.heads} if dataset.heads else {},
    )
    return Result(
        bundle=bundle,
        history=history,
        evaluation=proof.evaluation,
        steering=proof.steering,
        parity=proof.parity,
        latency_ms=proof.latency_ms,
        recorded=dataset.counts(),
        shown=shown,
        run=run.path if run else None,
        plots=plots,
        seconds=clock.laps,
    )


def _describe_data(
    settings: Settings, dataset: Dataset, split: Split, shown: dict[str, int]
) -> dict[str, Any]:
    return {
        "inputs": [str(path) for path in settings.data],
        "digest": dataset.digest(),
        "recorded": dataset.counts(),
        "shown": shown,
        "parts": {
            "training": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
        },
        "split": split.kind,
        "shares": {"validation": settings.validation, "test": settings.test},
        "gap_s": settings.gap_s,
        "balance": settings.balance,
        "augmentation": settings.augment,
        "seed": settings.seed,
        "notes": [*dataset.notes, *split.notes],
    }


def _drives(classes: Sequence[str]) -> bool:
    return tuple(label for label in classes if label not in BLIND_LABELS) == LABELS


def _counts(names: Sequence[str], labels: npt.NDArray[np.int16]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(names)).tolist()
    return dict(zip(names, counts, strict=True))


def _balanced_few(labels: npt.NDArray[np.int16], rows: Indices, seed: int) -> Indices:
    """:data:`CALIBRATION_FRAMES` of ``rows``, or fewer, as many of each class as there are."""
    rng = np.random.default_rng(seed)
    present = np.unique(labels[rows])
    each = -(-CALIBRATION_FRAMES // len(present))
    return np.concatenate(
        [rng.permutation(rows[labels[rows] == label])[:each] for label in present]
    )


def _plot(
    run: Path,
    dataset: Dataset,
    cache: ImageCache,
    split: Split,
    history: History,
    evaluation: Evaluation,
    shown: dict[str, int],
) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    frames = {}
    for label, name in enumerate(dataset.label_names):
        rows = split.train[dataset.labels[split.train] == label]
        if len(rows):
            frames[name] = list(cache.images(np.sort(rng.permutation(rows)[:8])))
    title = f"{evaluation.frames:,} test frames, accuracy {evaluation.accuracy:.2f}"
    return {
        "frames": plot_frames(frames, run / "frames.png"),
        "classes": plot_classes(dataset.counts(), shown, run / "classes.png"),
        "history": plot_history(history, run / "history.png"),
        "confusion": plot_confusion(
            evaluation.confusion, dataset.classes, run / "confusion.png", title
        ),
    }


def _write_summary(
    run: Path,
    classes: Sequence[str],
    settings: Settings,
    history: History,
    metrics: dict[str, Any],
    data: dict[str, Any],
    seconds: dict[str, float],
) -> None:
    summary = {
        "settings": settings.as_dict(),
        "classes": list(classes),
        "history": history.as_dict(),
        "metrics": metrics,
        "data": data,
        "seconds": seconds,
        "versions": versions(),
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False, default=str)
    (run / SUMMARY).write_text(text + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """What made a bundle: autcar, Python, TensorFlow, Keras, NumPy."""
    import keras
    import tensorflow as tf

    return {
        "autcar": __version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


class _StopWatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 3)
        self._last = now
