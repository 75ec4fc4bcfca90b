import numpy as np
import pytest

from autcar.cameras.base import Frame
from autcar.sight import look


def sight(image, sequence=7, time_ns=9):
    return look(Frame(image, sequence, time_ns))


def test_brightness_and_contrast():
    image = np.zeros((10, 10, 3), np.uint8)
    image[:5] = 200
    seen = sight(image)
    assert (seen.sequence, seen.time_ns) == (7, 9)
    assert seen.mean == pytest.approx(100)
    assert seen.contrast == pytest.approx(100)


def test_brightness_is_luma():
    """Green counts most, blue least (ITU-R BT.601), so the order is RGB."""
    means = []
    for channel in range(3):
        image = np.zeros((4, 4, 3), np.uint8)
        image[..., channel] = 100
        means.append(sight(image).mean)
    assert means == pytest.approx([29.9, 58.7, 11.4])


def test_the_fingerprint_tells_equal_from_different():
    image = np.random.default_rng(0).integers(0, 256, (168, 224, 3), np.uint8)
    other = image.copy()
    other[100, 100, 1] ^= 1
    assert sight(image).fingerprint == sight(image.copy(), 8, 10).fingerprint
    assert sight(image).fingerprint != sight(other).fingerprint
