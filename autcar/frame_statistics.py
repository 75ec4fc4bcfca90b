"""What the gate needs to know of a frame, from eight of its rows.

NumPy alone: without OpenCV the car drives 50 ms sooner after its start, and a sample
answers these questions as well as all pixels do, at a fraction of the time. Of whole rows
and not of scattered pixels: these would be a line of the processor's cache each.
"""

from __future__ import annotations

import math

import numpy as np

from autcar.cameras.base import Frame
from autcar.safety import Sight

# ITU-R BT.601 luma weights of red, green and blue.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

_ROWS = 8


def look(frame: Frame) -> Sight:
    """Brightness, contrast and fingerprint of a frame.

    Two frames of a camera that works differ in their sensor's noise, in the sample
    as well as anywhere; equal fingerprints in a row are a frozen image.
    """
    step = max(1, len(frame.image) // _ROWS)
    sample = frame.image[step // 2 :: step]
    luma = sample.reshape(-1, 3) @ _LUMA
    # Sums of the values and of their squares: NumPy's mean() and std() take Python code
    # that is cold at each frame, and ten times as long.
    mean = float(np.add.reduce(luma)) / len(luma)
    variance = float(luma @ luma) / len(luma) - mean * mean
    return Sight(
        sequence=frame.sequence,
        time_ns=frame.time_ns,
        mean=mean,
        contrast=math.sqrt(max(0.0, variance)),
        fingerprint=hash(sample.tobytes()),
    )
