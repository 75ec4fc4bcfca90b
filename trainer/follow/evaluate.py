"""How well a network, or a finished bundle, finds the hero on images with masks.

Scoring a bundle needs no TensorFlow: it runs on the car, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.bundle import Bundle
from autcar.errors import ConfigError, DataError
from autcar.images import write_png
from autcar.interpreter import Interpreter
from autcar.progress import Progress
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.split import KINDS, Split, make_split
from trainer.follow.scenes import Images, Indices, Scenes
from trainer.follow.segmentation import Segmentation, Tally, subset_of_folder
from trainer.quiet import quiet

Scores = npt.NDArray[np.float32]
Network = Callable[[Images], Scores]
"""From one ``uint8`` H×W×3 RGB image to H×W×classes probabilities."""

SHOWN_PROBLEMS = 5
SHEET_IMAGES = 12

_TINTS = np.array([(0, 0, 0), (0, 200, 0), (30, 60, 255)], np.uint8)


def evaluate_follow(
    bundle: Bundle,
    data: Sequence[str | Path],
    *,
    variant: str | None = None,
    split: str | None = None,
    validation: float | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
    picture: Path | None = None,
) -> Segmentation:
    """Score a bundle's variant (the first by default) on images with masks.

    ``split`` is one of :data:`trainer.data.split.KINDS` for what training holds out of the
    same data with the same share and seed, or ``"all"``. What is None is as in the training
    of ``bundle`` where that had these images. Folders that are named as the
    project names them (``following_images``, ``patrol_non_targ``, ``patrol_with_targ``)
    say whether the hero is close, not there or far; elsewhere the hero's size does.
    ``picture`` is a PNG to write, of images, truth and answers. Raises
    :class:`~autcar.errors.AutcarError` for a bundle or data that cannot be used.
    """
    progress = progress or Progress()
    manifest = bundle.manifest
    if manifest.task != "follow":
        raise ConfigError(
            f"bundle {bundle.folder} was trained to {manifest.task}, not to follow; "
            f"train one on these images with `autcar train`"
        )
    chosen = bundle.variant(variant) if variant else manifest.variants[0]
    dataset = load_masked(data)
    if tuple(dataset.classes) != manifest.labels:
        raise DataError(
            f"bundle {bundle.folder} tells {', '.join(manifest.labels)} apart, the masks show "
            f"{', '.join(dataset.classes)}; train one on such masks with `autcar train`"
        )
    if split != "all":
        trained = manifest.data if dataset.digest() == manifest.data.get("digest") else {}
        if not trained:
            progress.say(
                "note: these are not exactly the images that the bundle learned from, so those "
                "held out may be some that it saw; on images that it never saw, say --split all"
            )
        kind = split or trained.get("split")
        if validation is None:
            validation = trained.get("shares", {}).get("validation", 0.15)
        rows = split_masked(
            dataset,
            kind if kind in KINDS else "auto",
            validation=validation,
            seed=trained.get("seed", 0) if seed is None else seed,
        ).validation
        if not len(rows):
            raise DataError(
                f"the split holds out none of {len(dataset):,} images; raise --validation, or "
                f"say --split all for images that training never saw"
            )
        dataset = dataset.subset(rows)
    scenes = read_scenes(dataset, manifest.height, manifest.width, progress)
    rows = np.flatnonzero(scenes.usable)
    network = file_network(bundle.path(chosen).read_bytes())
    result = score(network, scenes, rows, dataset, progress, f"testing {chosen.name}")
    if picture is not None:
        write_png(picture, sheet(network, scenes, some_of(scenes, rows)))
    return result


def load_masked(data: Sequence[str | Path]) -> Dataset:
    """:func:`load_dataset` for images with masks. Raises :class:`DataError` for any other."""
    dataset = load_dataset(data)
    if dataset.masks is None:
        raise DataError(
            f"{', '.join(map(str, data))} has classes such as {dataset.classes[0]} and no masks; "
            f"to follow, give a folder with the folders images and masks in it"
        )
    return dataset


def split_masked(dataset: Dataset, kind: str, *, validation: float, seed: int) -> Split:
    """A split in two: images to train on, and as ``validation`` all that are held out.

    Raises as :func:`make_split` does.
    """
    split = make_split(dataset, kind, validation=validation, test=0.0, seed=seed)
    held_out = np.sort(np.concatenate([split.validation, split.test]))
    return replace(split, validation=held_out, test=held_out[:0])


def read_scenes(dataset: Dataset, height: int, width: int, progress: Progress) -> Scenes:
    """The images with their masks, telling which cannot be used."""
    scenes = Scenes(
        dataset,
        height=height,
        width=width,
        progress=lambda done, total: progress.step("reading images and masks", done, total),
    )
    problems = [*dataset.problems, *scenes.problems]
    if problems:
        progress.say(f"{len(problems):,} images left out:")
        for problem in problems[:SHOWN_PROBLEMS]:
            progress.say(f"  {problem}")
        if len(problems) > SHOWN_PROBLEMS:
            progress.say(f"  … and {len(problems) - SHOWN_PROBLEMS:,} more")
    return scenes


def file_network(content: bytes) -> Network:
    """A ``.tflite`` file as a network."""
    with quiet():
        return Interpreter(content).run


def keras_network(model: Any) -> Network:
    """A Keras model as a network, compiled for one image at a time."""
    import tensorflow as tf

    forward = tf.function(
        lambda images: model(tf.cast(images, tf.float32), training=False),
        input_signature=[tf.TensorSpec((1, *model.input_shape[1:]), tf.uint8)],
    )
    return lambda image: np.asarray(forward(image[np.newaxis])[0])


def score(
    network: Network,
    scenes: Scenes,
    rows: Indices,
    dataset: Dataset,
    progress: Progress,
    what: str = "testing",
) -> Segmentation:
    """The figures of a network on the images ``rows``, at least one."""
    tally = Tally(scenes.classes)
    for done, row in enumerate(rows.tolist(), 1):
        folder = dataset.group_names[dataset.groups[row]]
        tally.add(scenes.masks[row], network(scenes.images[row]), subset_of_folder(folder))
        progress.step(what, done, len(rows))
    return tally.result()


def some_of(scenes: Scenes, rows: Indices, seed: int = 0) -> Indices:
    """:data:`SHEET_IMAGES` of ``rows``, those with the hero first."""
    rows = np.random.default_rng(seed).permutation(rows)
    hero = len(scenes.classes) - 1
    shown = np.array([(scenes.masks[row] == hero).any() for row in rows])
    return np.concatenate([rows[shown], rows[~shown]])[:SHEET_IMAGES]


def sheet(network: Network, scenes: Scenes, rows: Indices, columns: int = 2) -> Images:
    """A picture of images, each beside its truth and the answer, the hero in blue."""
    cells = []
    for row in rows:
        image, mask = scenes.images[row], scenes.masks[row]
        answer = network(image).argmax(axis=2)
        cells.append(np.hstack([image, _tinted(image, mask), _tinted(image, answer)]))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    lines = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    return np.vstack(lines)


def _tinted(image: Images, mask: npt.NDArray[Any]) -> Images:
    tints = _TINTS[np.where(mask == mask.max(initial=2), 2, np.minimum(mask, 1))]
    return np.where(tints.any(axis=2, keepdims=True), image // 3 + tints // 3 * 2, image // 2)
