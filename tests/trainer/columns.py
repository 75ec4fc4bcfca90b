"""Frames whose class is plain to see, and a small network that learns it at once."""

import numpy as np
import pytest

from autcar.progress import Progress

keras = pytest.importorskip("keras")
H, W = 16, 24


class Lines(Progress):
    def __init__(self):
        self.lines, self.steps = [], []

    def say(self, text):
        self.lines.append(text)

    def step(self, what, done, total):
        self.steps.append((what, done, total))


class Columns:
    """Frames whose class is where the bright column stands."""

    def __init__(self, frames=96, batch=32, seed=0, hook=None):
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, 4, frames).astype(np.int16)
        self.images = rng.integers(0, 60, (frames, H, W, 3), np.uint8)
        for image, label in zip(self.images, self.labels, strict=True):
            image[:, label * 6 : label * 6 + 6] += 150
        self.batch, self.hook = batch, hook

    def __len__(self):
        return -(-len(self.labels) // self.batch)

    def epoch(self, epoch):
        order = np.random.default_rng(epoch).permutation(len(self.labels))
        for number in range(len(self)):
            rows = order[number * self.batch : (number + 1) * self.batch]
            if self.hook:
                self.hook(epoch, number)
            yield self.images[rows], self.labels[rows]


def network():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((H, W, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, 2, activation="relu"),
            layers.BatchNormalization(momentum=0.5),
            layers.Flatten(),
            layers.Dropout(0.1),
            layers.Dense(4, activation="softmax"),
        ]
    )
