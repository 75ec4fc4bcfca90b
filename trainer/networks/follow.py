"""Tells each pixel's class, and finds what is only a few pixels large.

69 k parameters, 147 MMAC at 256×256. Nothing is computed at full resolution: each
pixel of the last features answers for a block of 2×2 (as in Shi et al., "Efficient
Sub-Pixel Convolutional Neural Network", 2016), which is as sharp and four times as
quick. Skips are added, not concatenated. Train it on crops: it takes any size.
"""

from __future__ import annotations

from typing import Any

from trainer.networks.pixels import check_size

WIDTHS = (16, 32, 64, 64)
"""Channels at a half, a quarter, an eighth and a sixteenth of the resolution."""


def build(height: int, width: int, classes: int) -> Any:
    """RGB frames 0…255, N×height×width×3 → N×height×width×classes probabilities."""
    import keras
    from keras import layers

    check_size("follow", height, width, 16)

    def normal(values: Any) -> Any:
        return layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.98)(values))

    def full(values: Any, filters: int, stride: int = 1, kernel: int = 3) -> Any:
        return normal(
            layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False)(values)
        )

    def separable(values: Any, filters: int, stride: int = 1, dilation: int = 1) -> Any:
        layer = layers.SeparableConv2D(
            filters, 3, stride, padding="same", dilation_rate=dilation, use_bias=False
        )
        return normal(layer(values))

    def joined(deep: Any, skip: Any) -> Any:
        deep = full(deep, skip.shape[-1], kernel=1)
        return layers.Add()([layers.UpSampling2D(2, interpolation="bilinear")(deep), skip])

    frames = keras.Input((height, width, 3), name="frame")
    half = full(layers.Rescaling(1 / 127.5, offset=-1)(frames), WIDTHS[0], 2)
    quarter = separable(full(half, WIDTHS[1], 2), WIDTHS[1])
    eighth = separable(full(quarter, WIDTHS[2], 2), WIDTHS[2])
    deep = separable(separable(eighth, WIDTHS[3], 2), WIDTHS[3])
    deep = separable(deep, WIDTHS[3], dilation=2)
    values = separable(joined(deep, eighth), WIDTHS[2])
    values = full(joined(values, quarter), WIDTHS[1])
    values = full(joined(values, half), 16)
    # One matrix for each of the four pixels of a block.
    values = layers.Conv2DTranspose(classes, 2, 2, name="blocks")(values)
    return keras.Model(frames, layers.Softmax(name="pixels")(values), name="follow")
