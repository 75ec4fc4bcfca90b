import numpy as np
import pytest

from autcar.cameras.base import Frame
from autcar.frame_statistics import look


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


def test_the_fingerprint_tells_a_frozen_image_from_one_with_new_noise():
    generator = np.random.default_rng(0)
    scene = generator.integers(20, 230, (168, 224, 3), np.uint8)
    prints = set()
    for number in range(50):
        noise = generator.normal(0, 0.5, scene.shape).round().astype(np.int8)
        image = (scene + noise).astype(np.uint8)
        fingerprint = sight(image).fingerprint
        assert sight(image.copy(), number, number).fingerprint == fingerprint
        prints.add(fingerprint)
    assert len(prints) == 50


def test_a_band_of_the_picture_counts_by_its_area():
    image = np.zeros((168, 224, 3), np.uint8)
    image[:42] = 255
    assert sight(image).mean == pytest.approx(255 / 4, rel=0.01)


@pytest.mark.parametrize("height", [1, 2, 7, 9, 100, 480])
def test_a_picture_of_any_height_is_judged(height):
    image = np.full((height, 5, 3), 90, np.uint8)
    assert sight(image).mean == pytest.approx(90, abs=0.1)
    assert sight(image).contrast == pytest.approx(0, abs=0.1)
