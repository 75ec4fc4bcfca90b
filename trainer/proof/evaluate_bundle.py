"""A finished bundle held against recordings. Needs no TensorFlow: it runs on the car, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.bundle import Bundle
from autcar.commands import LABELS
from autcar.errors import BundleError, DataError
from autcar.interpreter import Interpreter
from autcar.progress import Progress
from trainer.data.batches import Batches
from trainer.data.cache import ImageCache
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.heads import Head, Heads
from trainer.data.split import KINDS, Split, make_split
from trainer.proof.evaluation import Evaluation, Steering, evaluate, evaluate_steering
from trainer.quiet import quiet

BLOCK_S = 10.0
"""Frames of a recording within so many seconds count as kin when models are compared."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """The frames to be answered: one row each.

    ``before`` is the label of the frame before each in its recording, −1 where there is
    none; ``blocks`` numbers the block of time that each belongs to.
    """

    dataset: Dataset
    before: Ints
    blocks: Ints


@dataclass(frozen=True)
class Session:
    """One recording's part: frames, accuracy and mean recall."""

    name: str
    frames: int
    accuracy: float
    balanced_accuracy: float

    def __str__(self) -> str:
        return (
            f"  {self.name}: {self.frames:,} frames, accuracy {self.accuracy:.3f}, "
            f"balanced {self.balanced_accuracy:.3f}"
        )


@dataclass(frozen=True)
class Answers:
    """What one variant of a bundle said to the frames of a selection, and how good that is.

    ``rows`` are those of ``dataset`` whose images are usable, ``scores`` N×labels;
    ``truth`` and ``scores`` go by the bundle's labels. ``cache`` holds the images.
    """

    bundle: Bundle
    variant: str
    interpreter: Interpreter
    dataset: Dataset
    cache: ImageCache
    rows: Ints
    truth: Ints
    scores: npt.NDArray[np.float32]
    evaluation: Evaluation
    steering: Steering | None
    sessions: list[Session]

    def named(self, labels: Sequence[str]) -> Ints:
        """The answers as indices into ``labels``, −1 for one that is not among them."""
        places = {label: at for at, label in enumerate(labels)}
        own = self.bundle.manifest.labels
        table = np.array([places.get(label, -1) for label in own], np.int64)
        return np.asarray(table[self.scores.argmax(1)])

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "bundle": str(self.bundle.folder),
            "variant": self.variant,
            **self.evaluation.as_dict(),
            "steering": self.steering and self.steering.as_dict(),
            "sessions": [asdict(session) for session in self.sessions],
        }


def select_frames(
    bundle: Bundle,
    data: Sequence[str | Path],
    *,
    split: str | None = None,
    validation: float | None = None,
    test: float | None = None,
    include_deleted: bool = False,
    seed: int | None = None,
    against: Bundle | None = None,
    progress: Progress | None = None,
) -> Selection:
    """Read recordings and choose the frames that ``bundle`` is to be tried on.

    ``split`` is one of :data:`trainer.data.split.KINDS` for the test part of the split that
    training makes of the same data with the same shares and seed, or ``"all"`` for
    every frame. What is None is as in the training of ``bundle`` where that had these
    recordings, else as in :func:`~trainer.data.split.make_split`. Tells ``progress`` what
    ``bundle`` and ``against`` saw of the frames. Raises
    :class:`~autcar.errors.AutcarError` for data that cannot be used.
    """
    progress = progress or Progress()
    dataset = load_dataset(data, include_deleted=include_deleted)
    for problem in dataset.problems:
        progress.say(problem)
    first = np.diff(dataset.groups, prepend=-1) != 0
    before = np.where(first, -1, np.roll(dataset.labels, 1)).astype(np.int64)
    blocks = _blocks(dataset)
    if split == "all":
        return Selection(dataset, before, blocks)
    digest = dataset.digest()
    options = {"split": split, "validation": validation, "test": test, "seed": seed}
    asked = {name: value for name, value in options.items() if value is not None}
    how = {**_USUAL, **_trained(bundle, digest), **asked}
    if how["split"] not in KINDS:
        how["split"] = _USUAL["split"]
    rows = _parts(dataset, how).test
    for one in filter(None, (bundle, against)):
        for note in _seen(one, dataset, digest, how, rows):
            progress.say(f"note: {note}")
    if not len(rows):
        raise DataError(f"the split leaves no frame to test on of {len(dataset):,}; raise --test")
    return Selection(dataset.subset(rows), before[rows], blocks[rows])


_USUAL: dict[str, Any] = {
    "split": "auto",
    "validation": 0.15,
    "test": 0.15,
    "gap_s": 1.0,
    "seed": 0,
}


def _trained(bundle: Bundle, digest: str) -> dict[str, Any]:
    """How training split the data of ``digest``, as far as its manifest says; {} for others."""
    data = bundle.manifest.data
    if data.get("digest") != digest:
        return {}
    # Bundles of earlier versions do not tell the shares.
    known = {**data, **data.get("shares", {})}
    return {name: known[name] for name in _USUAL if name in known}


def _parts(dataset: Dataset, how: dict[str, Any]) -> Split:
    options = {name: value for name, value in how.items() if name != "split"}
    return make_split(dataset, how["split"], **options)


def _seen(
    bundle: Bundle, dataset: Dataset, digest: str, how: dict[str, Any], rows: Ints
) -> Iterator[str]:
    """What is to be said of ``rows``, split off as ``how`` says, that ``bundle`` may have seen."""
    trained = _trained(bundle, digest)
    if not trained:
        yield (
            f"these are not exactly the recordings that {bundle.folder} learned from, so the test "
            f"part may hold frames that it saw; on recordings that it never saw, say --split all"
        )
        return
    trained = {**how, **trained}
    if trained["split"] not in KINDS:
        yield (
            f"{bundle.folder} was trained on parts that cannot be made again here (split "
            f"{trained['split']}), so the test part may hold frames that it saw"
        )
        return
    parts = _parts(dataset, trained)
    if np.array_equal(parts.test, rows):
        return
    learned, chosen = (
        np.isin(rows, part, assume_unique=True).sum() for part in (parts.train, parts.validation)
    )
    options = " ".join(f"--{name} {trained[name]}" for name in _USUAL if name != "gap_s")
    yield (
        f"{bundle.folder} was trained with {options}, which leaves other frames to test on: of "
        f"these {len(rows):,} it learned from {learned:,} and was chosen by {chosen:,}"
    )


def _blocks(dataset: Dataset) -> Ints:
    """Numbers that are equal for frames of a recording in the same stretch of time."""
    starts = np.full(len(dataset.group_names), np.iinfo(np.int64).max)
    np.minimum.at(starts, dataset.groups, dataset.times_ns)
    number = (dataset.times_ns - starts[dataset.groups]) // int(BLOCK_S * 1e9)
    return np.asarray(dataset.groups.astype(np.int64) * (number.max() + 1) + number, np.int64)


def answer_frames(
    bundle: Bundle,
    selection: Selection,
    *,
    variant: str | None = None,
    progress: Progress | None = None,
) -> Answers:
    """Run a bundle's variant (the first by default) on the selected frames and score it.

    Raises :class:`BundleError` for a variant that is not there or a bundle whose task is
    another, :class:`DataError` for frames of a class that the bundle does not know.
    """
    progress = progress or Progress()
    manifest = bundle.manifest
    chosen = bundle.variant(variant) if variant else manifest.variants[0]
    truth = _truth(bundle, selection.dataset)
    cache = ImageCache(selection.dataset, height=manifest.height, width=manifest.width)
    for problem in cache.problems:
        progress.say(problem)
    rows = cache.only_usable(np.arange(len(truth)))
    with quiet():
        interpreter = Interpreter(bundle.path(chosen))
    batches = Batches(cache, truth.astype(np.int16), rows, shuffle=False)
    scores, _ = predict_frames(interpreter, batches, progress)
    truth = truth[rows]
    drives = manifest.task == "drive"
    before = selection.before[rows]
    known = np.where(before >= 0, _positions(bundle, selection.dataset)[before], -1)
    return Answers(
        bundle=bundle,
        variant=chosen.name,
        interpreter=interpreter,
        dataset=selection.dataset,
        cache=cache,
        rows=rows,
        truth=truth,
        scores=scores,
        evaluation=evaluate(
            truth,
            scores,
            manifest.labels,
            before=known if drives else None,
            heads=bundle_heads(bundle),
        ),
        steering=_steering(bundle, truth, scores) if drives else None,
        sessions=_sessions(selection.dataset, rows, truth, scores.argmax(1)),
    )


def _positions(bundle: Bundle, dataset: Dataset) -> Ints:
    """Where among the bundle's labels each class of the dataset stands, −1 where it does not."""
    labels = bundle.manifest.labels
    places = {label: at for at, label in enumerate(labels)}
    return np.array([places.get(name, -1) for name in dataset.classes], np.int64)


def _truth(bundle: Bundle, dataset: Dataset) -> Ints:
    if (bundle.manifest.task == "follow") != (dataset.masks is not None):
        what = "images with masks" if dataset.masks is not None else "frames with a label each"
        raise BundleError(
            f"bundle {bundle.folder} was trained to {bundle.manifest.task}, the data holds "
            f"{what}; give the kind of data that it was trained on"
        )
    if dataset.masks is not None:
        raise BundleError(
            f"bundle {bundle.folder} answers by pixels; this scores answers by frame"
        )
    truth = _positions(bundle, dataset)[dataset.labels]
    unknown = sorted({dataset.classes[label] for label in dataset.labels[truth < 0].tolist()})
    if unknown:
        raise DataError(
            f"bundle {bundle.folder} does not know {', '.join(unknown[:4])}"
            f"{' …' if len(unknown) > 4 else ''}, of which the data has "
            f"{np.count_nonzero(truth < 0):,} frames; its labels are "
            f"{', '.join(bundle.manifest.labels[:4])} …; give data of its labels, or train anew"
        )
    return truth


def bundle_heads(bundle: Bundle) -> Heads | None:
    """The heads that a manifest names, laid out over its labels; None where it has none."""
    named = bundle.manifest.heads
    labels = bundle.manifest.labels
    if not named:
        return None
    if labels == LABELS:
        return Heads.of_drive()
    found = Heads.parse(labels, tuple(named))
    if found.heads != tuple(Head(name, tuple(classes)) for name, classes in named.items()):
        raise BundleError(f"{bundle.folder} has heads that do not fit its labels; train it again")
    return found


def _steering(bundle: Bundle, truth: Ints, scores: npt.NDArray[np.float32]) -> Steering | None:
    labels = bundle.manifest.labels
    columns = np.array([labels.index(label) for label in LABELS])
    place = np.full(len(labels), -1)
    place[columns] = np.arange(len(LABELS))
    command = place[truth] >= 0
    if not command.any():
        return None
    return evaluate_steering(place[truth[command]], scores[command][:, columns])


def _sessions(dataset: Dataset, rows: Ints, truth: Ints, predicted: Ints) -> list[Session]:
    groups = dataset.groups[rows]
    found = []
    for group in np.unique(groups).tolist():
        mine = groups == group
        right = (truth == predicted)[mine]
        recalls = [right[truth[mine] == label].mean() for label in np.unique(truth[mine])]
        name = dataset.group_names[group]
        found.append(Session(name, len(right), float(right.mean()), float(np.mean(recalls))))
    return found


def predict_frames(
    interpreter: Interpreter, batches: Batches, progress: Progress | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int16]]:
    """N×classes scores of each image of ``batches``, and the N true classes."""
    scores: list[npt.NDArray[np.float32]] = []
    truth: list[npt.NDArray[np.int16]] = []
    for images, labels in batches.epoch(0):
        scores += [interpreter.run(image) for image in images]
        truth.append(labels)
        if progress:
            progress.step("testing", len(scores), len(batches) * len(truth[0]))
    return np.array(scores), np.concatenate(truth)
