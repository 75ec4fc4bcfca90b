"""Attention over a grid of places: for many classes that differ in small parts.

A convolutional stem sees strokes, then two transformer blocks (normalisation before
12-head attention and before a two-layer perceptron, each with a residual connection,
as in Xiong et al., *On Layer Normalization in the Transformer Architecture*, 2020) let
every place look at every other. 233 k parameters for 64 classes at 64×64.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

WIDTH = 96
HEADS = 12
BLOCKS = 2


def build(height: int, width: int, classes: int) -> Any:
    """RGB frames 0…255, N×height×width×3 → N×classes probabilities."""
    frames = keras.Input((height, width, 3), name="frame")
    values = layers.Rescaling(1 / 255)(frames)
    for filters, kernel, stride in ((32, 5, 2), (64, 3, 2), (WIDTH, 3, 2)):
        values = layers.Conv2D(
            filters,
            kernel,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
        )(values)
        values = layers.BatchNormalization(momentum=0.9)(values)
        values = layers.ReLU()(values)
    places = values.shape[1] * values.shape[2]
    values = layers.Reshape((places, WIDTH))(values)
    values = values + layers.Embedding(places, WIDTH)(keras.ops.arange(places))
    for _ in range(BLOCKS):
        values = values + _attention(layers.LayerNormalization(epsilon=1e-5)(values))
        values = values + _perceptron(layers.LayerNormalization(epsilon=1e-5)(values))
    values = layers.LayerNormalization(epsilon=1e-5)(values)
    values = layers.GlobalAveragePooling1D()(values)
    values = layers.Dropout(0.2)(values)
    outputs = layers.Dense(classes, activation="softmax")(values)
    return keras.Model(frames, outputs, name="attention")


def _attention(values: Any) -> Any:
    return layers.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=0.1)(values, values)


def _perceptron(values: Any) -> Any:
    values = layers.Dense(2 * WIDTH, activation="relu")(values)
    return layers.Dropout(0.1)(layers.Dense(WIDTH)(values))
