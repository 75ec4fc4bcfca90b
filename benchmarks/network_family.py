"""The family of small networks that the default was chosen from; see ``network_search.py``.

All take raw RGB frames of the camera (0…255, N×H×W×3) and give one probability per class;
what they do to the picture (cut off the sky, shrink it, forget its colours) is inside. Only
``halved`` ones want smaller frames of the camera itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """One network of the family.

    ``halved`` takes frames of half the width and height, as a second stream of the camera
    could give them beside those that are recorded and shown. ``sky`` is the share of rows cut
    off at the top. ``shrink`` averages squares of so many pixels before anything else, ``grey``
    keeps the luma only (ITU-R BT.601), ``luma`` turns RGB into YCbCr, a change of basis that
    the first convolution could learn as well. The ``stem`` is filters, kernel, stride of the
    first convolution, ``split_stem`` makes it a depthwise one and a 1×1. ``body`` lists filters
    and stride of the further 3×3 ones, ``separable`` makes these depthwise, too. ``pooled``
    takes the mean over the last map in place of all its values.
    """

    halved: bool = False
    sky: float = 0.0
    shrink: int = 1
    grey: bool = False
    luma: bool = False
    stem: tuple[int, int, int] = (16, 5, 4)
    split_stem: bool = False
    body: tuple[tuple[int, int], ...] = ((32, 2), (48, 2), (48, 2))
    separable: bool = False
    pooled: bool = False
    units: int = 32

    def build(self, height: int, width: int, classes: int, name: str = "candidate") -> Any:
        """The untrained ``keras.Model``."""
        from keras import Sequential
        from keras import layers as kl

        network = Sequential([kl.Input((height, width, 3)), kl.Rescaling(1 / 255)], name=name)
        if self.sky:
            network.add(kl.Cropping2D(((round(self.sky * height), 0), (0, 0))))
        if self.shrink > 1:
            network.add(kl.AveragePooling2D(self.shrink))
        if self.grey or self.luma:
            network.add(_colours(1 if self.grey else 3))
        filters, kernel, stride = self.stem
        _convolve(network, filters, kernel, stride, self.split_stem)
        for filters, stride in self.body:
            _convolve(network, filters, 3, stride, self.separable)
        network.add(kl.GlobalAveragePooling2D() if self.pooled else kl.Flatten())
        network.add(kl.Dropout(0.3))
        network.add(kl.Dense(self.units, activation="relu"))
        network.add(kl.Dropout(0.1))
        network.add(kl.Dense(classes, activation="softmax"))
        return network


def _convolve(network: Any, filters: int, kernel: int, stride: int, separable: bool) -> None:
    from keras import layers as kl

    if separable:
        network.add(kl.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False))
        network.add(kl.BatchNormalization(momentum=0.9))
        network.add(kl.ReLU())
        kernel = stride = 1
    network.add(kl.Conv2D(filters, kernel, stride, padding="same", use_bias=False))
    network.add(kl.BatchNormalization(momentum=0.9))
    network.add(kl.ReLU())


def _colours(channels: int) -> Any:
    """RGB → Y or YCbCr of BT.601, as a fixed 1×1 convolution."""
    import numpy as np
    from keras import layers as kl

    basis = np.array(
        [[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32
    )

    def kernel(shape: Any, dtype: Any = None) -> Any:
        return basis[:channels].T.reshape(shape)

    return kl.Conv2D(channels, 1, use_bias=False, kernel_initializer=kernel, trainable=False)


FAMILY = {
    "compact": Candidate(stem=(24, 4, 4), body=((32, 2), (48, 2), (64, 2), (64, 2))),
    "base": Candidate(),
    "sky cut off": Candidate(sky=1 / 3),
    "grey": Candidate(grey=True),
    "YCbCr": Candidate(luma=True),
    "frames of half size": Candidate(halved=True, stem=(16, 3, 2)),
    "shrunk to half": Candidate(shrink=2, stem=(16, 3, 2)),
    "shrunk to half, grey": Candidate(shrink=2, grey=True, stem=(16, 3, 2)),
    "split stem": Candidate(split_stem=True),
    "separable": Candidate(separable=True),
    "separable, split stem": Candidate(separable=True, split_stem=True),
    "separable, wide": Candidate(separable=True, body=((48, 2), (96, 2), (96, 2))),
    "separable, sky cut off": Candidate(separable=True, sky=1 / 3),
    "separable, 8 stem": Candidate(separable=True, stem=(8, 5, 4)),
    "stem 4×4": Candidate(stem=(16, 4, 4)),
    "stem 4×4, 24": Candidate(stem=(24, 4, 4)),
    "stem 3×3": Candidate(stem=(16, 3, 4)),
    "stem stride 2": Candidate(stem=(8, 5, 2), body=((16, 2), (32, 2), (48, 2), (48, 2))),
    "stem 8×8, stride 8": Candidate(stem=(32, 8, 8), body=((48, 2), (48, 2))),
    "stem 8×8, sky cut off": Candidate(stem=(32, 8, 8), body=((48, 2), (48, 2)), sky=1 / 3),
    "half width": Candidate(stem=(8, 5, 4), body=((16, 2), (24, 2), (24, 2))),
    "3/4 width": Candidate(stem=(12, 5, 4), body=((24, 2), (36, 2), (36, 2))),
    "8 stem": Candidate(stem=(8, 5, 4)),
    "8 stem, sky cut off": Candidate(stem=(8, 5, 4), sky=1 / 3),
    "double width": Candidate(stem=(32, 5, 4), body=((64, 2), (96, 2), (96, 2)), units=64),
    "one layer more": Candidate(body=((32, 2), (48, 2), (64, 2), (64, 2))),
    "one layer less": Candidate(body=((32, 2), (48, 2))),
    "mean of the last map": Candidate(pooled=True),
}
"""By name: the default, and what was tried. A name says what is other than in ``base``."""


def macs(model: Any) -> int:
    """Multiplications and additions of one frame, in convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in ("Sequential", "Functional"):
            total += macs(layer)
        elif kind in ("Conv2D", "DepthwiseConv2D"):
            _, high, wide, _ = layer.output.shape
            total += high * wide * layer.kernel.numpy().size
        elif kind == "Dense":
            total += layer.kernel.numpy().size
    return total
