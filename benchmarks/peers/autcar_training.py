"""Our training of Donkeycar's network on a tub, for ``benchmarks/training.py``.

``python autcar_training.py TUB EPOCHS BARE_STEPS`` ends with a line of JSON. The whole way: the
cache of decoded images, shuffling, augmentation, the training loop. After each epoch the
bare step, on arrays in memory, is timed in turn. CPU time is counted while training goes
on, not while validating.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from trainer.quiet import import_tensorflow

import_tensorflow()

import linear_network
import numpy as np

from autcar.progress import Progress
from trainer.data.augmentation import PRESETS
from trainer.data.batches import Batches
from trainer.data.cache import ImageCache
from trainer.data.dataset import load_dataset
from trainer.data.split import split_by_time
from trainer.learning.learner import Learner
from trainer.learning.objectives import Classes
from trainer.learning.training import Schedule, fit
from trainer.learning.workers import Workers

BATCH = 128
HEIGHT, WIDTH, CLASSES = 120, 160, 12


class Timed:
    """Batches, with the CPU and wall seconds from the first to the end of the last."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self.cpu_s: list[float] = []
        self.wall_s: list[float] = []
        self.images = 0

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, number: int) -> Iterator[Any]:
        began = time.process_time(), time.perf_counter()
        self.images = 0
        for batch in self._batches.epoch(number):
            self.images += len(batch[0])
            yield batch
        self.cpu_s.append(time.process_time() - began[0])
        self.wall_s.append(time.perf_counter() - began[1])


def main() -> None:
    tub, epochs, bare_steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    dataset = load_dataset(tub)
    split = split_by_time(dataset, validation=0.1, test=0.1)
    cache = ImageCache(dataset, height=HEIGHT, width=WIDTH)
    batches = Batches(cache, dataset.labels, split.train, BATCH, 0, PRESETS["default"])
    training = Timed(batches)
    validation = Batches(cache, dataset.labels, split.validation, BATCH, shuffle=False)
    schedule = Schedule(epochs=epochs, keep="last")
    network = linear_network.build(HEIGHT, WIDTH, CLASSES)
    learner = Learner(network, schedule, Classes(CLASSES), Workers())
    few = cache.images(split.train[:BATCH]), dataset.labels[split.train[:BATCH]]
    few = few[0], few[1].astype(np.int32)
    bare: list[float] = []

    def time_bare(_epoch: object = None) -> None:
        began = time.process_time()
        for _ in range(bare_steps):
            learner.train(*few).numpy()
        bare.append(BATCH * bare_steps / (time.process_time() - began))

    if bare_steps:
        learner.train(*few)
    listeners = [time_bare] if bare_steps else []
    model = linear_network.build(HEIGHT, WIDTH, CLASSES)
    fit(model, training, validation, schedule, Progress(), listeners=listeners)
    print(
        json.dumps(
            {
                "images_per_cpu_s": [training.images / cpu for cpu in training.cpu_s],
                "images_per_s": [training.images / wall for wall in training.wall_s],
                "bare_images_per_cpu_s": bare,
                "batch": BATCH,
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
