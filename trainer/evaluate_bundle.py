"""A finished bundle held against recordings. Needs no TensorFlow: it runs on the car, too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autcar.bundle import load_bundle
from autcar.interpreter import Interpreter
from autcar.progress import Progress
from trainer.batches import Batches
from trainer.cache import ImageCache
from trainer.dataset import load_dataset
from trainer.evaluation import Evaluation, Steering, evaluate, evaluate_steering
from trainer.quiet import quiet
from trainer.split import make_split


def evaluate_bundle(
    bundle: str | Path,
    data: Sequence[str | Path],
    *,
    variant: str | None = None,
    split: str = "auto",
    validation: float = 0.15,
    test: float = 0.15,
    include_deleted: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Evaluation, Steering | None]:
    """Run a bundle's variant (the first by default) on recordings and score it.

    ``split`` is one of :data:`trainer.split.KINDS` for the test part of the split that
    training makes of the same data with the same shares and seed, or ``"all"`` for
    every frame. Raises :class:`~autcar.errors.AutcarError` for a bundle, variant or
    recording that cannot be used.
    """
    progress = progress or Progress()
    loaded = load_bundle(bundle)
    manifest = loaded.manifest
    chosen = loaded.variant(variant) if variant else manifest.variants[0]
    dataset = load_dataset(data, include_deleted=include_deleted)
    if split != "all" and dataset.digest() != manifest.data.get("digest"):
        progress.say(
            "note: these are not exactly the recordings that the bundle learned from, so the test "
            "part may hold frames that it saw; on recordings that it never saw, say --split all"
        )
    if split != "all":
        parts = make_split(dataset, split, validation=validation, test=test, seed=seed)
        dataset = dataset.subset(parts.test)
    cache = ImageCache(dataset, height=manifest.height, width=manifest.width)
    for problem in (*dataset.problems, *cache.problems):
        progress.say(problem)
    with quiet():
        interpreter = Interpreter(loaded.path(chosen))
    batches = Batches(cache, dataset.labels, np.arange(len(dataset)), shuffle=False)
    scores, truth = predict_frames(interpreter, batches, progress)
    return evaluate(truth, scores.argmax(1), manifest.labels), evaluate_steering(truth, scores)


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
            progress.step("testing", len(truth), len(batches))
    return np.array(scores), np.concatenate(truth)
