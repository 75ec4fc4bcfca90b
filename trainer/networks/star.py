"""Three convolutions of 32, 32 and 16 with max-pooling, and a dense layer of 128.

The classifier of AutSplit's tutorials: batch normalisation after each convolution, He
initialisation, L2 of 1e-4. Of large frames the first convolution looks at every second
pixel: at full resolution its batch normalisation alone would cost more than all the rest.
"""

from __future__ import annotations

from typing import Any

from keras import Sequential
from keras.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    Input,
    MaxPool2D,
    ReLU,
    Rescaling,
)
from keras.regularizers import L2

L2_PENALTY = 1e-4
SMALL = 96
"""Pixels up to which a frame's shorter side is read at full resolution: of crops 40 high
little would be left after three poolings and a stride."""


def build(height: int, width: int, classes: int) -> Any:
    """RGB frames 0…255, N×height×width×3 → N×classes probabilities."""
    network = Sequential([Input((height, width, 3)), Rescaling(1 / 255)], name="star")
    stem = 1 if min(height, width) <= SMALL else 2
    for filters, stride in ((32, stem), (32, 1), (16, 1)):
        network.add(
            Conv2D(
                filters,
                3,
                stride,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                kernel_regularizer=L2(L2_PENALTY),
            )
        )
        network.add(BatchNormalization(momentum=0.9))
        network.add(ReLU())
        network.add(MaxPool2D(2))
    network.add(Flatten())
    network.add(
        Dense(
            128,
            activation="relu",
            kernel_initializer="he_normal",
            kernel_regularizer=L2(L2_PENALTY),
        )
    )
    network.add(Dense(classes, activation="softmax"))
    return network
