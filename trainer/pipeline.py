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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from autcar import __version__
from autcar.bundle import MANIFEST, Bundle, keep_earlier, write_bundle
from autcar.commands import LABELS
from autcar.errors import BundleError, DataError
from autcar.progress import LogProgress, Progress
from autcar.session import new_folder
from trainer import networks
from trainer.augmentation import Augmentation, parse_augmentation
from trainer.balance import balance_indices, describe_balance
from trainer.batches import Batches
from trainer.cache import ImageCache
from trainer.card import write_card
from trainer.dataset import Dataset, load_dataset
from trainer.evaluation import Evaluation, Steering
from trainer.history import History
from trainer.plots import plot_classes, plot_confusion, plot_frames, plot_history
from trainer.proof import prove, refuse_unproven
from trainer.quantize import SHIPPED, Parity, check_kinds
from trainer.schedule import Schedule
from trainer.split import Split, make_split
from trainer.training import fit, seed_everything

Indices = npt.NDArray[np.int64]

CALIBRATION_FRAMES = 240
SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class Settings:
    """What to train, on what, and how.

    ``data`` are folders of recordings; ``output`` is the bundle's folder, ``runs``
    where the run's folder is made (None: no run folder). ``network`` is a name of
    :data:`trainer.networks.NETWORKS` or ``module:function``. ``validation`` and
    ``test`` are shares of the frames, ``gap_s`` seconds apart from training. ``split`` is
    one of :data:`trainer.split.KINDS`.
    ``heads`` names what the classes consist of, see :func:`load_dataset`.
    ``variants`` are the kinds of :data:`trainer.quantize.KINDS` to make; ``force`` ships
    even those that do not answer as the trained model does.
    ``keep_earlier``: a bundle that is there already gets another name, and stays.
    """

    data: tuple[str | Path, ...]
    output: Path
    network: str = networks.DEFAULT
    width: int = 224
    height: int = 168
    schedule: Schedule = field(default_factory=Schedule)
    batch_size: int = 64
    augment: str = "default"
    balance: Literal["upsample", "none"] = "upsample"
    split: str = "auto"
    validation: float = 0.15
    test: float = 0.15
    gap_s: float = 1.0
    include_deleted: bool = False
    heads: tuple[str, ...] | None = None
    seed: int = 0
    runs: Path | None = Path("runs")
    variants: tuple[str, ...] = SHIPPED
    force: bool = False
    keep_earlier: bool = False


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


def train_bundle(settings: Settings, progress: Progress | None = None) -> Result:
    """Train a network on recordings and write its bundle.

    Tells ``progress`` what happens. Raises :class:`~autcar.errors.AutcarError` for
    data, names and folders that cannot be used, before anything is trained, and
    :class:`~autcar.errors.ParityError` in place of shipping a variant that does not
    answer as the trained model does. Ctrl-C during training packs the best epoch so far.
    """
    progress = progress or Progress()
    check_output(settings.output)
    check_kinds(settings.variants)
    dataset = load_dataset(
        settings.data, include_deleted=settings.include_deleted, heads=settings.heads
    )
    split = make_split(
        dataset,
        settings.split,
        validation=settings.validation,
        test=settings.test,
        gap_s=settings.gap_s,
        seed=settings.seed,
    )
    return train_on(dataset, split, settings, progress)


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
    classes: Sequence[str] = LABELS,
) -> Result:
    """Train on the rows of ``dataset`` that ``split`` names, and write the bundle.

    ``model`` is a Keras model to train in place of ``settings.network``. Its outputs
    are ``classes``, in that order, which must be all 12 for an augmentation that
    mirrors; the bundle's are always the 12 of the car.
    """
    seed_everything(settings.seed)
    if model is None:
        model = networks.build_network(
            settings.network, settings.height, settings.width, len(classes)
        )
    else:
        model = networks.adapt(model, settings.height, settings.width, len(classes))
    augmentation = parse_augmentation(settings.augment, classes)
    with contextlib.ExitStack() as stack:
        run = _new_run(settings)
        if run is not None:
            log = stack.enter_context(open(run / "train.log", "w", encoding="utf-8"))
            progress = LogProgress(log, progress)
        return _train_on(dataset, split, settings, progress, run, model, augmentation, classes)


def _train_on(
    dataset: Dataset,
    split: Split,
    settings: Settings,
    progress: Progress,
    run: Path | None,
    model: Any,
    augmentation: Augmentation,
    classes: Sequence[str],
) -> Result:
    clock = _StopWatch()
    _tell_data(dataset, split, progress)
    cache = ImageCache(
        dataset,
        height=settings.height,
        width=settings.width,
        progress=lambda done, total: progress.step("reading images", done, total),
    )
    _tell_problems(cache.problems, "images left out", progress)
    split = _usable(split, cache)
    clock.lap("reading")

    rows = split.train
    if settings.balance == "upsample":
        rows = balance_indices(dataset.labels, rows, settings.seed)
        for line in describe_balance(dataset.labels, split.train, rows):
            progress.say(line)
    outputs = _positions(classes)[dataset.labels]
    training = Batches(cache, outputs, rows, settings.batch_size, settings.seed, augmentation)
    validation = Batches(cache, outputs, split.validation, settings.batch_size, shuffle=False)
    progress.say(
        f"training {model.name}: {model.count_params():,} parameters, {len(rows):,} frames "
        f"an epoch, {settings.width}×{settings.height}, seed {settings.seed}"
    )
    history = fit(model, training, validation, settings.schedule, progress)
    progress.say(f"{history.ended}; kept epoch {history.best}")
    clock.lap("training")

    model = networks.spread(model, classes, LABELS)
    examples = cache.images(_balanced_few(dataset.labels, split.train, settings.seed))
    test = Batches(cache, dataset.labels, split.test, settings.batch_size, shuffle=False)
    proof = prove(model, settings.variants, examples, test, LABELS, progress)
    clock.lap("proving")

    shown = _counts(dataset.labels[rows])
    metrics = {
        "network": model.name,
        "parameters": model.count_params(),
        "best_epoch": history.best,
        **proof.as_dict(),
        "forced": proof.failed if settings.force else [],
    }
    data = _describe_data(settings, dataset, split, shown)
    plots = {}
    if run is not None:
        model.save(run / "model.keras")
        plots = _plot(run, dataset, cache, split, history, proof.evaluation, shown)
        clock.lap("plotting")
        _write_summary(run, settings, history, metrics, data, clock.laps)
    if not settings.force:
        refuse_unproven(proof, LABELS, run)
    if settings.keep_earlier and (earlier := keep_earlier(settings.output)):
        progress.say(f"the earlier {settings.output} is now {earlier}")
    bundle = write_bundle(
        settings.output,
        models={kind: (content, kind) for kind, content in proof.files.items()},
        card=write_card(settings.output.name, metrics, data),
        labels=LABELS,
        width=settings.width,
        height=settings.height,
        metrics=metrics,
        data=data,
        versions=versions(),
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
        run=run,
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
        "gap_s": settings.gap_s,
        "balance": settings.balance,
        "augmentation": settings.augment,
        "seed": settings.seed,
        "notes": [*dataset.notes, *split.notes],
    }


def _counts(labels: npt.NDArray[np.int16]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(LABELS)).tolist()
    return dict(zip(LABELS, counts, strict=True))


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


def _positions(classes: Sequence[str]) -> npt.NDArray[np.int16]:
    """Where in ``classes`` each of the 12 stands, −1 where it does not."""
    order = list(classes)
    return np.array([order.index(x) if x in order else -1 for x in LABELS], np.int16)


def _balanced_few(labels: npt.NDArray[np.int16], rows: Indices, seed: int) -> Indices:
    """:data:`CALIBRATION_FRAMES` of ``rows``, or fewer, as many of each class as there are."""
    rng = np.random.default_rng(seed)
    present = np.unique(labels[rows])
    each = -(-CALIBRATION_FRAMES // len(present))
    return np.concatenate(
        [rng.permutation(rows[labels[rows] == label])[:each] for label in present]
    )


def _new_run(settings: Settings) -> Path | None:
    if settings.runs is None:
        return None
    started = datetime.now(UTC).strftime("%Y-%m-%d_%H-%M-%S")
    return new_folder(settings.runs, f"{started}_{settings.output.name}")


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
    for label, name in enumerate(LABELS):
        rows = split.train[dataset.labels[split.train] == label]
        if len(rows):
            frames[name] = list(cache.images(np.sort(rng.permutation(rows)[:8])))
    title = f"{evaluation.frames:,} test frames, accuracy {evaluation.accuracy:.2f}"
    return {
        "frames": plot_frames(frames, run / "frames.png"),
        "classes": plot_classes(dataset.counts(), shown, run / "classes.png"),
        "history": plot_history(history, run / "history.png"),
        "confusion": plot_confusion(evaluation.confusion, LABELS, run / "confusion.png", title),
    }


def _write_summary(
    run: Path,
    settings: Settings,
    history: History,
    metrics: dict[str, Any],
    data: dict[str, Any],
    seconds: dict[str, float],
) -> None:
    summary = {
        "settings": asdict(settings),
        "history": history.as_dict(),
        "metrics": metrics,
        "data": data,
        "seconds": seconds,
        "versions": versions(),
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False, default=str)
    (run / "summary.json").write_text(text + "\n", encoding="utf-8")


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
