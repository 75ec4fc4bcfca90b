"""Crop, rotation and flip, against what they mean."""

import numpy as np
import pytest

from autcar.cameras.picture import Picture
from autcar.config import CameraSection
from autcar.errors import CameraError, ConfigError


def raw(picture):
    """A picture whose red tells the column and whose green tells the row."""
    image = np.zeros((picture.raw_height, picture.raw_width, 3), np.uint8)
    image[..., 0] = np.arange(picture.raw_width)
    image[..., 1] = np.arange(picture.raw_height)[:, None]
    return image


def corners(image):
    """Column and row that the top left and the bottom right corner came from."""
    return tuple(map(int, image[0, 0, :2])), tuple(map(int, image[-1, -1, :2]))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ((0, 0), (63, 47))),
        ({"rotation": 180}, ((63, 47), (0, 0))),
        ({"rotation": 90}, ((0, 63), (47, 0))),
        ({"rotation": 270}, ((47, 0), (0, 63))),
        ({"flip": "horizontal"}, ((63, 0), (0, 47))),
        ({"flip": "vertical"}, ((0, 47), (63, 0))),
        ({"flip": "both"}, ((63, 47), (0, 0))),
        ({"crop": "0 0.5 1 1"}, ((0, 48), (63, 95))),
        ({"crop": "0.25, 0, 0.75, 1"}, ((32, 0), (95, 47))),
        ({"crop": "0 0.5 1 1", "rotation": 180}, ((63, 95), (0, 48))),
    ],
)
def test_the_picture(settings, expected):
    picture = Picture(CameraSection(width=64, height=48, **settings))
    made = picture.make(raw(picture))
    assert made.shape == (48, 64, 3)
    assert made.flags.c_contiguous
    assert corners(made) == expected


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rotation": 45}, "rotation = 45: expected 0, 90"),
        ({"flip": "left"}, "flip = 'left': expected horizontal"),
        ({"crop": "0 0 2 1"}, "crop = '0 0 2 1': expected left, top"),
        ({"crop": "1 2"}, "such as '0 0.3 1 1'"),
        ({"crop": "a b c d"}, "crop"),
    ],
)
def test_what_means_nothing_is_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        Picture(CameraSection(**settings))


def test_another_size_than_promised():
    with pytest.raises(CameraError, match="gives 32×24 pixels, expected 224×168"):
        Picture(CameraSection()).make(np.zeros((24, 32, 3), np.uint8))
