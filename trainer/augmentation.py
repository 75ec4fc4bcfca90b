"""Augmentation: what the car could have seen instead, drawn anew each time.

It works on decoded ``uint8`` RGB images after the cache, so no two epochs show
the same draw. Each kind takes a share of the images, 0…1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from autcar.commands import MIRROR
from autcar.errors import DataError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int16]

_MIRROR = np.array(MIRROR, np.int16)


@dataclass(frozen=True)
class Augmentation:
    """Shares (0…1) of the images that each kind changes, and how far it goes.

    ``mirror`` swaps left and right in image and command alike. ``light`` changes
    brightness and contrast, ``tint`` the strength of each colour, by up to
    ``light_strength`` and ``tint_strength`` of full scale. ``warp`` turns and
    shifts by up to ``degrees`` and ``shift`` of the image's size. ``noise`` has a
    standard deviation of up to ``noise_strength`` levels. ``shadow`` darkens a
    half plane, ``cutout`` hides a rectangle of up to ``cutout_size`` of each side.
    """

    mirror: float = 0.0
    light: float = 0.0
    tint: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    warp: float = 0.0
    shadow: float = 0.0
    cutout: float = 0.0
    light_strength: float = 0.2
    tint_strength: float = 0.1
    noise_strength: float = 10.0
    degrees: float = 3.0
    shift: float = 0.04
    cutout_size: float = 0.25

    def __call__(
        self, images: Images, labels: Labels, rng: np.random.Generator
    ) -> tuple[Images, Labels]:
        """Augment ``uint8`` B×H×W×3 images and their ``int16`` labels.

        Returns new arrays of the same shape and type; the same ``rng`` state gives
        the same result.
        """
        images, labels = images.copy(), labels.copy()
        count = len(images)
        mirrored = self._chosen(rng, count, self.mirror)
        labels[mirrored] = _MIRROR[labels[mirrored]]
        for i in mirrored:
            images[i] = cv2.flip(images[i], 1)
        for i in self._chosen(rng, count, self.warp):
            images[i] = _warp(images[i], self.degrees, self.shift, rng)
        for i in self._chosen(rng, count, self.shadow):
            _shadow(images[i], rng)
        lit = set(self._chosen(rng, count, self.light).tolist())
        tinted = set(self._chosen(rng, count, self.tint).tolist())
        for i in sorted(lit | tinted):
            table = _table(
                self.light_strength if i in lit else 0.0,
                self.tint_strength if i in tinted else 0.0,
                rng,
            )
            cv2.LUT(images[i], table, dst=images[i])
        for i in self._chosen(rng, count, self.blur):
            size = int(rng.choice((3, 5)))
            cv2.GaussianBlur(images[i], (size, size), 0, dst=images[i])
        for i in self._chosen(rng, count, self.noise):
            _noise(images[i], float(rng.uniform(0.2, 1.0)) * self.noise_strength, rng)
        for i in self._chosen(rng, count, self.cutout):
            _cut_out(images[i], self.cutout_size, rng)
        return images, labels

    @staticmethod
    def _chosen(rng: np.random.Generator, count: int, share: float) -> npt.NDArray[np.int64]:
        return np.flatnonzero(rng.random(count) < share)


def _warp(image: Images, degrees: float, shift: float, rng: np.random.Generator) -> Images:
    height, width = image.shape[:2]
    angle, right, down = rng.uniform(-1, 1, 3)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle * degrees, 1.0)
    matrix[:, 2] += right * shift * width, down * shift * height
    warped = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _shadow(image: Images, rng: np.random.Generator) -> None:
    """Darken what lies to one side of a slanted line, in place."""
    height, width = image.shape[:2]
    top, bottom = rng.uniform(-0.2, 1.2, 2) * width
    side = 0 if rng.random() < 0.5 else width
    corners = np.array([(side, 0), (top, 0), (bottom, height), (side, height)])
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, corners.astype(np.int32), 1)
    dark = cv2.convertScaleAbs(image, alpha=float(rng.uniform(0.45, 0.8)))
    cv2.copyTo(dark, mask, dst=image)


def _table(light: float, tint: float, rng: np.random.Generator) -> Images:
    """A 1×256×3 table of what each level of each colour becomes."""
    contrast, brightness = rng.uniform(-light, light, 2)
    gains = 1 + contrast + rng.uniform(-tint, tint, 3)
    levels = np.arange(256)[:, None] - 127.5
    table = levels * gains + 127.5 + 255 * brightness
    return np.asarray(table.clip(0, 255)[None], np.uint8)


_NOISE: Images = np.random.default_rng(0).normal(128, 32, 1 << 20).clip(0, 255).astype(np.uint8)
"""Grey noise around 128 with a deviation of 32, drawn once: noise is cut from it anywhere."""


def _noise(image: Images, deviation: float, rng: np.random.Generator) -> None:
    start = int(rng.integers(0, max(1, _NOISE.size - image.size)))
    noise = np.resize(_NOISE[start : start + image.size], image.shape)
    share = deviation / 32
    cv2.addWeighted(image, 1.0, noise, share, -128 * share, dst=image)


def _cut_out(image: Images, size: float, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    tall, wide = (rng.uniform(0.3, 1.0, 2) * size * (height, width)).astype(int) + 1
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    image[top : top + tall, left : left + wide] = rng.integers(0, 256, 3)


PRESETS: Mapping[str, Augmentation] = MappingProxyType(
    {
        "none": Augmentation(),
        "default": Augmentation(
            mirror=0.5,
            light=0.5,
            tint=0.3,
            blur=0.15,
            noise=0.2,
            warp=0.3,
            shadow=0.15,
            cutout=0.1,
        ),
        "strong": Augmentation(
            mirror=0.5,
            light=0.8,
            tint=0.6,
            blur=0.3,
            noise=0.4,
            warp=0.6,
            shadow=0.3,
            cutout=0.3,
            light_strength=0.35,
            tint_strength=0.2,
            noise_strength=20.0,
            degrees=6.0,
            shift=0.08,
        ),
    }
)


def preset(name: str) -> Augmentation:
    """The augmentation called ``name``. Raises :class:`DataError` with the names there are."""
    try:
        return PRESETS[name]
    except KeyError:
        raise DataError(
            f"augmentation {name!r} is not known; use one of {', '.join(PRESETS)}"
        ) from None
