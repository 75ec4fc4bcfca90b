"""Donkeycar's default network (``default_n_linear``, MIT) with classes in place of two numbers.

As fast to train to within the last layer: 24, 32 and 64 filters of 5×5, two times 64 of
3×3, dense layers of 100 and 50, dropout everywhere.
"""

from __future__ import annotations

from typing import Any


def build(height: int, width: int, classes: int) -> Any:
    """RGB frames 0…255, N×height×width×3 → N×classes probabilities."""
    from keras import Sequential
    from keras.layers import Conv2D, Dense, Dropout, Flatten, Input, Rescaling

    network = Sequential([Input((height, width, 3)), Rescaling(1 / 255)], name="linear")
    for filters, kernel, stride in ((24, 5, 2), (32, 5, 2), (64, 5, 2), (64, 3, 1), (64, 3, 1)):
        network.add(Conv2D(filters, kernel, stride, activation="relu"))
        network.add(Dropout(0.2))
    network.add(Flatten())
    for units in (100, 50):
        network.add(Dense(units, activation="relu"))
        network.add(Dropout(0.2))
    network.add(Dense(classes, activation="softmax"))
    return network
