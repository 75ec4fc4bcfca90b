"""From what a camera gives to the picture that is driven by: crop, rotation, flip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from autcar.cameras.base import Image
from autcar.errors import CameraError, ConfigError

if TYPE_CHECKING:
    from autcar.config import CameraSection

_ROTATIONS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_FLIPS = {"horizontal": 1, "vertical": 0, "both": -1}


class Picture:
    """What ``[camera]`` does with each image: crop first, then rotation, then flip.

    The driver gives ``raw_width`` × ``raw_height``, so that what is left has the size
    that was asked for and is not scaled. Raises :class:`ConfigError` for values that
    mean nothing.
    """

    def __init__(self, section: CameraSection) -> None:
        if section.rotation not in (0, *_ROTATIONS):
            raise ConfigError(
                f"[camera] rotation = {section.rotation}: expected 0, 90, 180 or 270"
            )
        if section.flip not in ("", *_FLIPS):
            raise ConfigError(
                f"[camera] flip = {section.flip!r}: expected horizontal, vertical, both or nothing"
            )
        self.width, self.height = section.width, section.height
        self._rotation = _ROTATIONS.get(section.rotation)
        self._flip = _FLIPS.get(section.flip)
        across = section.rotation in (90, 270)
        width, height = (self.height, self.width) if across else (self.width, self.height)
        left, top, right, bottom = _crop(section.crop)
        self.raw_width = _even(width / (right - left))
        self.raw_height = _even(height / (bottom - top))
        x, y = round(left * self.raw_width), round(top * self.raw_height)
        x, y = min(x, self.raw_width - width), min(y, self.raw_height - height)
        self._part = (slice(y, y + height), slice(x, x + width))

    def make(self, image: Image) -> Image:
        """The picture, in memory of its own where it is not the image itself."""
        if image.shape != (self.raw_height, self.raw_width, 3):
            height, width = image.shape[:2]
            raise CameraError(
                f"the camera gives {width}×{height} pixels, expected {self.raw_width}×"
                f"{self.raw_height}; set [camera] width and height to what it can do"
            )
        picture: Image = image[self._part]
        if self._rotation is not None:
            picture = np.asarray(cv2.rotate(picture, self._rotation), np.uint8)
        if self._flip is not None:
            picture = np.asarray(cv2.flip(picture, self._flip), np.uint8)
        return np.ascontiguousarray(picture)


def _crop(text: str) -> tuple[float, float, float, float]:
    if not text.strip():
        return 0.0, 0.0, 1.0, 1.0
    try:
        left, top, right, bottom = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        left = top = right = bottom = 0.0
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ConfigError(
            f"[camera] crop = {text!r}: expected left, top, right and bottom as shares, "
            f"such as '0 0.3 1 1' for the lower 70 %"
        )
    return left, top, right, bottom


def _even(pixels: float) -> int:
    """The next even number: cameras give no odd sizes."""
    return -2 * int(-pixels // 2)
