"""A finished bundle held against recordings. Needs no TensorFlow: it runs on the car, too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autcar.bundle import load_bundle
from autcar.interpreter import Interpreter
from autcar.progress import Progress
from trainer.batches import Batches, ImageCache
from trainer.dataset import load_dataset
from trainer.evaluation import Evaluation, Steering, evaluate, evaluate_steering
from trainer.split import split_by_time


def evaluate_bundle(
    bundle: str | Path,
    data: Sequence[str | Path],
    *,
    variant: str | None = None,
    split: str = "blocks",
    validation: float = 0.15,
    test: float = 0.15,
    include_deleted: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Evaluation, Steering | None]:
    """Run a bundle's variant (the first by default) on recordings and score it.

    ``split`` is ``"blocks"`` or ``"last"`` for the test part of the split that
    training makes of the same data with the same shares and seed, or ``"all"`` for
    every frame. Raises :class:`~autcar.errors.AutcarError` for a bundle, variant or
    recording that cannot be used.
    """
    progress = progress or Progress()
    loaded = load_bundle(bundle)
    manifest = loaded.manifest
    chosen = loaded.variant(variant) if variant else manifest.variants[0]
    dataset = load_dataset(data, include_deleted=include_deleted)
    if split != "all":
        parts = split_by_time(
            dataset,
            validation=validation,
            test=test,
            order="last" if split == "last" else "blocks",
            seed=seed,
        )
        dataset = dataset.subset(parts.test)
    cache = ImageCache(dataset, height=manifest.height, width=manifest.width)
    for problem in (*dataset.problems, *cache.problems):
        progress.say(problem)
    interpreter = Interpreter(loaded.path(chosen))
    rows = cache.only_usable(np.arange(len(dataset)))
    scores: list[npt.NDArray[np.float32]] = []
    for images, _ in Batches(cache, dataset.labels, rows, shuffle=False).epoch(0):
        progress.step("testing", len(scores), len(rows))
        scores += [interpreter.run(image) for image in images]
    progress.step("testing", len(rows), len(rows))
    table, truth = np.array(scores), dataset.labels[rows]
    return evaluate(truth, table.argmax(1), manifest.labels), evaluate_steering(truth, table)
