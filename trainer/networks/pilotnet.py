"""NVIDIA's PilotNet (2016), with batch normalisation and a smaller end.

407 k parameters, 99 MMAC at 224×168.
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


def build(height: int, width: int, classes: int) -> Any:
    """RGB frames 0…255, N×height×width×3 → N×classes probabilities."""
    network = Sequential([Input((height, width, 3)), Rescaling(1 / 255)], name="pilotnet")
    for filters, kernel, stride in ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 2), (64, 3, 2)):
        network.add(Conv2D(filters, kernel, stride, padding="same", use_bias=False))
        network.add(BatchNormalization(momentum=0.9))
        network.add(ReLU())
    network.add(Flatten())
    for units in (100, 50, 10):
        network.add(Dense(units, activation="relu"))
        network.add(Dropout(0.1))
    network.add(Dense(classes, activation="softmax"))
    return network
