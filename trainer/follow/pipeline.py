"""The way from images with masks to a bundle that finds the hero, as one function.

Train on crops, take the weights to whole images, convert, prove on images that were
held out, and pack.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from autcar.bundle import Bundle, keep_earlier, write_bundle
from autcar.errors import DataError
from autcar.files import new_folder
from autcar.images import read_image, write_png
from autcar.progress import LogProgress, Progress
from trainer import networks
from trainer.data.dataset import Dataset
from trainer.data.split import Split
from trainer.follow.card import write_follow_card
from trainer.follow.evaluate import (
    Network,
    file_network,
    keras_network,
    load_masked,
    read_scenes,
    score,
    sheet,
    some_of,
    split_masked,
)
from trainer.follow.scenes import PLAIN, Crops, Cutting, Indices, Scenes
from trainer.follow.segmentation import Segmentation
from trainer.learning.history import History
from trainer.learning.objectives import Pixels
from trainer.learning.schedule import Schedule
from trainer.learning.training import fit, seed_everything
from trainer.learning.warm_start import MODEL, SUMMARY
from trainer.pipeline import check_output, versions
from trainer.proof.cost import macs
from trainer.proof.quantize import latency_ms, to_tflite
from trainer.report.plots import plot_history

KINDS = ("int8", "float32")
MAX_IOU_LOSS = 0.01
"""What a converted file may lose of any class's intersection over union, and of the score."""

CALIBRATION_IMAGES = 200
VALIDATION_BATCHES = 16

WEIGHTS = {"background": 5.0, "people": 7.5, "hero": 15.0}
"""Of the pixels' losses, by class; a class of another name is weighed as people."""

FOCAL, OVERLAP = 1.0, 1.5

AGAIN_SHARE, AGAIN_RATE = 0.08, 1 / 3
"""How much longer training goes on with false alarms, and at which share of the rate."""

AGAIN_WEIGHTS = {"background": 7.5, "people": 7.5, "hero": 7.5}
AGAIN_CUTTING = Cutting(hero=0.35, others=0.15, alarms=0.35, paste=0.2)

ALARM, ALARMS_PER_IMAGE = 0.3, 4
"""From which probability of the hero on a pixel is an alarm, and how many are kept."""


SCHEDULE = Schedule(epochs=80, learning_rate=3e-3, keep="last")
"""All epochs and the last weights: the images held out choose nothing, they only judge."""


@dataclass(frozen=True)
class FollowSettings:
    """What to train, on what, and how.

    ``data`` are folders of images with masks, ``output`` is the bundle's folder,
    ``runs`` where the run's folder is made (None: none). Without a size, that of the
    first image. An epoch is ``steps`` batches of ``batch_size`` crops of ``crop`` pixels.
    ``split`` is one of :data:`trainer.data.split.KINDS`, ``validation`` the share held out
    where the data does not come in parts. ``keep_earlier``: a bundle that is there
    already gets another name, and stays.
    """

    data: tuple[str | Path, ...]
    output: Path
    network: str = "follow"
    size: tuple[int, int] | None = None
    crop: int = 96
    steps: int = 100
    batch_size: int = 32
    schedule: Schedule = SCHEDULE
    cutting: Cutting = field(default_factory=Cutting)
    split: str = "auto"
    validation: float = 0.15
    seed: int = 0
    runs: Path | None = Path("runs")
    keep_earlier: bool = False


@dataclass(frozen=True)
class FollowResult:
    """What came out: the bundle, and what it finds on the images held out.

    ``keras`` are the trained model's figures, ``found`` each variant's.
    """

    bundle: Bundle
    history: History
    keras: Segmentation
    found: dict[str, Segmentation]
    run: Path | None

    @property
    def proven(self) -> bool:
        """Whether every variant finds what the trained model does."""
        return all(iou_loss(self.keras, found) <= MAX_IOU_LOSS for found in self.found.values())


def iou_loss(keras: Segmentation, found: Segmentation) -> float:
    """The most that was lost of any class's IoU, or of the score, 0…1."""
    pairs = zip(keras.whole.iou.values(), found.whole.iou.values(), strict=True)
    return max(keras.score - found.score, *(before - after for before, after in pairs))


def train_follow(settings: FollowSettings, progress: Progress | None = None) -> FollowResult:
    """Train a network on images with masks and write its bundle.

    Raises :class:`~autcar.errors.AutcarError` for data, names, sizes and folders that
    cannot be used, before anything is trained. Ctrl-C packs what was learnt till then.
    """
    progress = progress or Progress()
    check_output(settings.output)
    dataset = load_masked(settings.data)
    split = split_masked(
        dataset, settings.split, validation=settings.validation, seed=settings.seed
    )
    seed_everything(settings.seed)
    width, height = settings.size or _size_of(dataset.paths[0])
    whole = networks.build_pixel_network(settings.network, height, width, len(dataset.classes))
    with contextlib.ExitStack() as stack:
        run = None
        if settings.runs is not None:
            started = datetime.now(UTC).strftime("%Y-%m-%d_%H-%M-%S")
            run = new_folder(settings.runs, f"{started}_{settings.output.name}")
            log = stack.enter_context(open(run / "train.log", "w", encoding="utf-8"))
            progress = LogProgress(log, progress)
        for note in (*dataset.notes, *split.notes):
            progress.say(f"note: {note}")
        scenes = read_scenes(dataset, height, width, progress)
        split = _usable(split, scenes)
        started_s = time.perf_counter()
        history = _learn(settings, whole, scenes, split, progress)
        minutes = (time.perf_counter() - started_s) / 60
        return _finish(settings, dataset, scenes, split, whole, history, minutes, run, progress)


def _size_of(path: str) -> tuple[int, int]:
    height, width = read_image(path).shape[:2]
    return width, height


def _usable(split: Split, scenes: Scenes) -> Split:
    """What is usable of ``split``."""
    train = split.train[scenes.usable[split.train]]
    held_out = split.validation[scenes.usable[split.validation]]
    if not (len(train) and len(held_out)):
        raise DataError(
            f"there are {len(train):,} images to train and {len(held_out):,} to validate on; "
            f"give more, or a larger share with --validation"
        )
    return replace(split, train=train, validation=held_out)


def _learn(
    settings: FollowSettings, whole: Any, scenes: Scenes, split: Split, progress: Progress
) -> History:
    """Train a twin of ``whole`` on crops, then once more with its false alarms.

    ``whole`` gets its weights. The history is the first training's.
    """
    crop = min(settings.crop, *scenes.masks.shape[1:])
    model = networks.build_pixel_network(settings.network, crop, crop, len(scenes.classes))
    progress.say(
        f"training {model.name}: {model.count_params():,} parameters, {len(split.train):,} images "
        f"to train on, {len(split.validation):,} held out; {settings.steps} batches an epoch of "
        f"{settings.batch_size} crops of {crop}×{crop}, seed {settings.seed}"
    )
    first = _Lesson(settings.schedule, settings.cutting, WEIGHTS)
    history = _teach(first, settings, model, scenes, split, progress)
    whole.set_weights(model.get_weights())
    learn_alarms(settings, model, whole, scenes, split, progress)
    return history


def learn_alarms(
    settings: FollowSettings,
    model: Any,
    whole: Any,
    scenes: Scenes,
    split: Split,
    progress: Progress,
) -> None:
    """Train ``model`` on where it, as ``whole``, sees a hero in images that show none."""
    alarms = _false_alarms(keras_network(whole), scenes, split.train, settings.seed, progress)
    if not len(alarms):
        return
    schedule = replace(
        settings.schedule,
        epochs=max(1, round(settings.schedule.epochs * AGAIN_SHARE)),
        learning_rate=settings.schedule.learning_rate * AGAIN_RATE,
    )
    again = _Lesson(schedule, AGAIN_CUTTING, AGAIN_WEIGHTS, alarms)
    _teach(again, settings, model, scenes, split, progress)
    whole.set_weights(model.get_weights())


@dataclass(frozen=True)
class _Lesson:
    """One training: how long, on which crops, what each class's pixels weigh."""

    schedule: Schedule
    cutting: Cutting
    weights: Mapping[str, float]
    alarms: Indices | None = None


def _teach(
    lesson: _Lesson,
    settings: FollowSettings,
    model: Any,
    scenes: Scenes,
    split: Split,
    progress: Progress,
) -> History:
    crop = model.input_shape[1]
    crops = partial(Crops, scenes, size=crop, batch_size=settings.batch_size, seed=settings.seed)
    training = crops(
        split.train, count=settings.steps, cutting=lesson.cutting, alarms=lesson.alarms
    )
    count = min(VALIDATION_BATCHES, settings.steps)
    validation = crops(split.validation, count=count, cutting=PLAIN, fixed=True)
    weights = tuple(lesson.weights.get(name, lesson.weights["people"]) for name in scenes.classes)
    objective = Pixels(len(weights), crop, crop, weights=weights, focal=FOCAL, overlap=OVERLAP)
    history = fit(model, training, validation, lesson.schedule, progress, objective=objective)
    progress.say(f"{history.ended}; kept epoch {history.best}")
    return history


def _false_alarms(
    network: Network, scenes: Scenes, rows: Indices, seed: int, progress: Progress
) -> Indices:
    """Pixels taken for the hero in images that do not show them, n×3 of row, y and x."""
    rng = np.random.default_rng(seed)
    hero = len(scenes.classes) - 1
    found = []
    without = [row for row in rows.tolist() if not (scenes.masks[row] == hero).any()]
    for done, row in enumerate(without, 1):
        pixels = np.argwhere(network(scenes.images[row])[..., hero] > ALARM)
        for y, x in rng.permutation(pixels)[:ALARMS_PER_IMAGE].tolist():
            found.append((row, y, x))
        progress.step("looking for false alarms", done, len(without))
    images = len({row for row, _, _ in found})
    progress.say(
        f"false alarms in {images:,} of {len(without):,} images without the hero: to learn from"
    )
    return np.array(found, np.int64).reshape(-1, 3)


def _finish(
    settings: FollowSettings,
    dataset: Dataset,
    scenes: Scenes,
    split: Split,
    whole: Any,
    history: History,
    minutes: float,
    run: Path | None,
    progress: Progress,
) -> FollowResult:
    """Convert, prove and pack."""
    examples = scenes.images[_calibration(scenes, split.train, settings.seed)]
    files = {kind: to_tflite(whole, kind, examples) for kind in KINDS}
    rows = split.validation
    keras = score(keras_network(whole), scenes, rows, dataset, progress, "testing Keras")
    found, latency = {}, {}
    for kind, content in files.items():
        network = file_network(content)
        found[kind] = score(network, scenes, rows, dataset, progress, f"testing {kind}")
        latency[kind] = latency_ms(content)
        progress.say(_parity_line(kind, keras, found[kind], len(content), latency[kind]))
    metrics = {
        "network": whole.name,
        "parameters": whole.count_params(),
        "macs": macs(whole),
        "epochs": len(history.epochs),
        "minutes": round(minutes, 1),
        "latency_ms": latency,
        "test": found[KINDS[0]].as_dict(),
        "keras": keras.as_dict(),
        "iou_loss": {kind: iou_loss(keras, other) for kind, other in found.items()},
    }
    data = {
        "inputs": [Path(path).name for path in settings.data],
        "digest": dataset.digest(),
        "recorded": dataset.counts(),
        "parts": {"training": len(split.train), "validation": len(rows)},
        "split": split.kind,
        "shares": {"validation": settings.validation},
        "seed": settings.seed,
        "notes": [*dataset.notes, *split.notes],
    }
    if settings.keep_earlier and (earlier := keep_earlier(settings.output)):
        progress.say(f"the earlier {settings.output} is now {earlier}")
    bundle = write_bundle(
        settings.output,
        models={kind: (content, kind) for kind, content in files.items()},
        card=write_follow_card(settings.output.name, metrics, data),
        labels=dataset.classes,
        width=scenes.masks.shape[2],
        height=scenes.masks.shape[1],
        metrics=metrics,
        data=data,
        versions=versions(),
        task="follow",
    )
    if run is not None:
        whole.save(run / MODEL)
        plot_history(history, run / "history.png")
        network = file_network(files[KINDS[0]])
        write_png(run / "answers.png", sheet(network, scenes, some_of(scenes, rows)))
        summary = {"settings": asdict(settings), "history": history.as_dict()}
        text = json.dumps(
            {**summary, "metrics": metrics, "data": data},
            indent=2,
            ensure_ascii=False,
            default=str,
        )
        (run / SUMMARY).write_text(text + "\n", encoding="utf-8")
    return FollowResult(bundle, history, keras, found, run)


def _calibration(scenes: Scenes, rows: Indices, seed: int) -> Indices:
    """:data:`CALIBRATION_IMAGES` of ``rows``, half of them with the hero if there are so many."""
    rows = np.random.default_rng(seed).permutation(rows)
    hero = len(scenes.classes) - 1
    shown = np.array([(scenes.masks[row] == hero).any() for row in rows])
    with_hero = rows[shown][: CALIBRATION_IMAGES // 2]
    return np.concatenate([with_hero, rows[~shown][: CALIBRATION_IMAGES - len(with_hero)]])


def _parity_line(
    kind: str, keras: Segmentation, found: Segmentation, size: int, latency: float
) -> str:
    lost = iou_loss(keras, found)
    line = (
        f"{kind}: {size / 1000:,.0f} kB, {latency:.1f} ms an image here; score {found.score:.3f} "
        f"(Keras {keras.score:.3f}), at most {max(lost, 0):.4f} of a class's IoU lost"
    )
    return line if lost <= MAX_IOU_LOSS else f"WARNING: {line}, more than {MAX_IOU_LOSS}"
