"""Where in a frame a network looks, by occlusion.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014): a
grey patch is moved over the frame; where the probability of the answer falls, the
answer depended on what is there. It needs nothing but the network's answers, so it
works for any ``.tflite`` file, int8 as well.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from autcar.cameras.base import Image

PATCHES = 6
"""A patch is the frame's height over this; it moves by half its size."""

Map = npt.NDArray[np.float32]


def occlusion(
    scores: Callable[[Image], npt.NDArray[np.float32]], image: Image, label: int | None = None
) -> Map:
    """How far hiding each place lowers the probability of ``label``: ``float32`` H×W.

    ``image`` is ``uint8`` H×W×3 RGB, ``label`` by default the network's answer to it. The
    patch has the frame's mean colour. A pixel's value is the mean over all patches that
    hide it; negative where hiding it makes the answer surer.
    """
    height, width = image.shape[:2]
    whole = scores(image)
    label = int(whole.argmax()) if label is None else label
    size = max(2, height // PATCHES)
    grey = image.mean((0, 1)).astype(np.uint8)
    fall = np.zeros((height, width), np.float32)
    times = np.zeros((height, width), np.float32)
    for top in _starts(height, size):
        for left in _starts(width, size):
            hidden = image.copy()
            hidden[top : top + size, left : left + size] = grey
            fall[top : top + size, left : left + size] += whole[label] - scores(hidden)[label]
            times[top : top + size, left : left + size] += 1
    return fall / times


def _starts(length: int, size: int) -> list[int]:
    """Where patches begin: every half patch, and one that ends at the edge."""
    return sorted({*range(0, length - size, max(1, size // 2)), length - size})


def overlay(image: Image, found: Map, most: float | None = None) -> Image:
    """The frame in grey, and over it in colour what its answer hangs on.

    From dark blue over orange to yellow (matplotlib's inferno, legible to the
    colour-blind), as far as ``found`` is above 0; full where it reaches ``most``, by
    default its own highest.
    """
    top = max(float(found.max()) if most is None else most, 1e-6)
    smooth = cv2.GaussianBlur(found, (0, 0), found.shape[0] / PATCHES / 5)
    share = np.clip(smooth / top, 0, 1)
    colours = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    weight = (0.75 * np.sqrt(share))[..., None]
    mixed = grey * (1 - weight) * 0.9 + cv2.cvtColor(colours, cv2.COLOR_BGR2RGB) * weight
    return np.asarray(mixed, np.uint8)
