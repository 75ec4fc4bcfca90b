"""The default network: five strided convolutions and two dense layers.

112 k parameters, 10.5 MMAC at 224×168: a ninth of AutCar's work.

The first convolution looks at patches of 4×4 pixels, each once, so nothing is ever
computed at full resolution. Batch normalisation makes training quick and disappears
into the convolutions when the model is exported.
"""

from __future__ import annotations

from typing import Any

from keras import Sequential
from keras.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    ReLU,
    Rescaling,
)

LAYERS = ((24, 4, 4), (32, 3, 2), (48, 3, 2), (64, 3, 2), (64, 3, 2))
"""Filters, kernel size and stride of each convolution."""


def build(height: int, width: int, classes: int) -> Any:
    """RGB frames 0…255, N×height×width×3 → N×classes probabilities."""
    network = Sequential([Input((height, width, 3)), Rescaling(1 / 255)], name="compact")
    for filters, kernel, stride in LAYERS:
        network.add(Conv2D(filters, kernel, stride, padding="same", use_bias=False))
        network.add(BatchNormalization(momentum=0.9))
        network.add(ReLU())
    network.add(Flatten())
    network.add(Dropout(0.3))
    network.add(Dense(32, activation="relu"))
    network.add(Dropout(0.1))
    network.add(Dense(classes, activation="softmax"))
    return network
