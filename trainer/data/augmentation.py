"""Augmentation: what the car could have seen instead, drawn anew each time.

It works on decoded ``uint8`` RGB images after the cache, so no two epochs show
the same draw. Each kind takes a share of the images, 0…1. What moves pixels moves
those of a mask alike.

Each operation is the cheapest of OpenCV's that looks the same (224×168, one CPU): a
3×4 colour transform takes 17 µs where a table of levels takes 75, a box blur 21 µs
where a Gaussian takes 43, ready-made noise 20 µs where drawing it takes 800.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from autcar.commands import MIRROR, Command
from autcar.errors import CommandError, DataError
from autcar.images import decode_image, encode_jpeg

Images = npt.NDArray[np.uint8]
Targets = npt.NDArray[Any]
"""``int16`` classes, one an image, or ``uint8`` masks."""

KINDS = (
    "mirror",
    "rotation",
    "shift",
    "zoom",
    "shadow",
    "brightness",
    "tint",
    "blur",
    "noise",
    "jpeg",
    "cutout",
)
"""What can be done to an image, in the order in which it is done."""

_DRAWS = 24
"""Random numbers an image has for how far its kinds go, at fixed places."""


@dataclass(frozen=True)
class Augmentation:
    """Shares (0…1) of the images that each kind changes, and how far it goes.

    ``mirror`` swaps left and right in image and command alike. ``rotation`` turns by
    up to ``degrees``, ``shift`` moves by up to ``shift_x`` and ``shift_y`` of width and
    height, ``zoom`` makes larger or smaller by up to ``zoom_size``. ``brightness``
    changes brightness and contrast by up to ``brightness_size`` of full scale, ``tint``
    adds up to ±``tint_levels`` to each colour by itself. ``blur`` is a box of 3 or 5
    pixels, ``noise`` has a standard deviation of up to ``noise_levels``, ``jpeg`` shows
    what compressing at a quality from ``jpeg_quality`` to 60 leaves. ``shadow`` darkens a
    half plane, ``cutout`` hides a rectangle of up to ``cutout_size`` of each side.
    ``mirrored`` is the class of the mirrored image, by class.
    """

    mirror: float = 0.0
    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shadow: float = 0.0
    brightness: float = 0.0
    tint: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0
    cutout: float = 0.0
    degrees: float = 3.0
    shift_x: float = 0.04
    shift_y: float = 0.04
    zoom_size: float = 0.05
    brightness_size: float = 0.2
    tint_levels: float = 15.0
    noise_levels: float = 10.0
    jpeg_quality: float = 20.0
    cutout_size: float = 0.25
    mirrored: tuple[int, ...] = MIRROR

    def draw(self, count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """What to do to each of ``count`` images: a row of random numbers 0…1 for each."""
        return rng.random((count, len(KINDS) + _DRAWS))

    def apply(self, images: Images, targets: Targets, plan: npt.NDArray[np.float64]) -> None:
        """Change ``uint8`` B×H×W×3 images and their targets in place, as ``plan`` says.

        ``targets`` are ``int16`` B classes, or ``uint8`` B×H×W masks.
        """
        chosen = plan[:, : len(KINDS)] < [getattr(self, kind) for kind in KINDS]
        masks = targets if targets.ndim == 3 else None
        if masks is None:
            table = np.array(self.mirrored, np.int16)
            flipped = chosen[:, 0]
            targets[flipped] = table[targets[flipped]]
        for i in np.flatnonzero(chosen.any(axis=1)).tolist():
            mask = None if masks is None else np.asarray(masks[i], np.uint8)
            self._change(images[i], mask, chosen[i].tolist(), plan[i, len(KINDS) :].tolist())

    def _change(
        self, image: Images, mask: Images | None, chosen: list[bool], draw: list[float]
    ) -> None:
        mirror, rotation, shift, zoom, shadow, brightness, tint, blur, noise, jpeg, cutout = chosen
        if mirror:
            cv2.flip(image, 1, dst=image)
            if mask is not None:
                cv2.flip(mask, 1, dst=mask)
        if rotation or shift or zoom:
            angle = (2 * draw[0] - 1) * self.degrees if rotation else 0.0
            right = (2 * draw[1] - 1) * self.shift_x * image.shape[1] if shift else 0.0
            down = (2 * draw[2] - 1) * self.shift_y * image.shape[0] if shift else 0.0
            scale = 1 + (2 * draw[3] - 1) * self.zoom_size if zoom else 1.0
            _move(image, mask, angle, scale, right, down)
        if shadow:
            _shadow(image, draw[4:8])
        if brightness or tint:
            light, levels = self.brightness_size * brightness, self.tint_levels * tint
            _recolor(image, light, levels, draw[8:13])
        if blur:
            size = 3 if draw[13] < 0.5 else 5
            cv2.blur(image, (size, size), dst=image)
        if noise:
            _noise(image, (0.2 + 0.8 * draw[14]) * self.noise_levels, draw[15])
        if jpeg:
            _compress(image, self.jpeg_quality + draw[16] * (60 - self.jpeg_quality))
        if cutout:
            _cut_out(image, self.cutout_size, draw[17:24])

    def for_data(self, classes: Sequence[str], *, masked: bool, asked: bool) -> Augmentation:
        """This augmentation as it fits the data: what mirroring does to a class.

        Commands swap left and right, masks are mirrored with their image. Of other
        classes nobody knows, so they are mirrored only where it was ``asked`` for, and
        keep their class. Raises :class:`DataError` where a command's mirror image is no
        class.
        """
        try:
            commands = [Command.from_label(name) for name in classes]
        except CommandError:
            kept = tuple(range(len(classes)))
            return replace(self, mirrored=kept, mirror=self.mirror if asked or masked else 0.0)
        labels = [command.mirrored().label for command in commands]
        lone = [label for label in labels if label not in classes]
        if lone and self.mirror:
            raise DataError(
                f"images cannot be mirrored: {lone[0]} is none of the classes "
                f"{', '.join(classes)}; say --augment with mirror=0"
            )
        return self if lone else replace(self, mirrored=tuple(map(list(classes).index, labels)))


def _move(
    image: Images, mask: Images | None, angle: float, scale: float, right: float, down: float
) -> None:
    """Turn by ``angle`` degrees, enlarge and shift, in place; edges go on outwards."""
    height, width = image.shape[:2]
    if angle == 0 and scale == 1:
        _shift(image, round(right), round(down))
        if mask is not None:
            _shift(mask, round(right), round(down))
        return
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix[0, 2] += right
    matrix[1, 2] += down
    size, edge = (width, height), cv2.BORDER_REPLICATE
    cv2.warpAffine(image.copy(), matrix, size, dst=image, borderMode=edge)
    if mask is not None:
        cv2.warpAffine(
            mask.copy(), matrix, size, dst=mask, flags=cv2.INTER_NEAREST, borderMode=edge
        )


def _shift(image: Images, right: int, down: int) -> None:
    """Shift by whole pixels: a tenth of what any warp costs."""
    height, width = image.shape[:2]
    seen = image[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
    edges = (max(down, 0), max(-down, 0), max(right, 0), max(-right, 0))
    cv2.copyMakeBorder(seen.copy(), *edges, cv2.BORDER_REPLICATE, dst=image)


def _shadow(image: Images, draw: list[float]) -> None:
    """Darken what lies to one side of a slanted line, in place."""
    height, width = image.shape[:2]
    side = width if draw[0] < 0.5 else 0
    ends = [(1.4 * end - 0.2) * width for end in draw[1:3]]
    corners = np.array([(side, 0), (ends[0], 0), (ends[1], height), (side, height)], np.int32)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, corners, 1)
    cv2.copyTo(cv2.convertScaleAbs(image, alpha=0.45 + 0.35 * draw[3]), mask, dst=image)


def _recolor(image: Images, light: float, tint: float, draw: list[float]) -> None:
    """Change contrast and brightness by up to ``light``, each colour by up to ``tint`` levels."""
    gain = 1 + (2 * draw[0] - 1) * light
    offset = 127.5 * (1 - gain) + 255 * (2 * draw[1] - 1) * light
    matrix = np.zeros((3, 4), np.float32)
    for color in range(3):
        matrix[color, color] = gain
        matrix[color, 3] = offset + (2 * draw[2 + color] - 1) * tint
    cv2.transform(image, matrix, dst=image)


_NOISE: Images = np.random.default_rng(0).normal(128, 32, 1 << 20).clip(0, 255).astype(np.uint8)
"""Grey noise around 128 with a deviation of 32, drawn once: noise is cut from it anywhere."""


def _noise(image: Images, deviation: float, where: float) -> None:
    start = int(where * max(1, _NOISE.size - image.size))
    noise = np.resize(_NOISE[start : start + image.size], image.shape)
    share = deviation / 32
    cv2.addWeighted(image, 1.0, noise, share, -128 * share, dst=image)


def _compress(image: Images, quality: float) -> None:
    image[:] = decode_image(encode_jpeg(image, round(quality)))


def _cut_out(image: Images, size: float, draw: list[float]) -> None:
    height, width = image.shape[:2]
    tall = int((0.3 + 0.7 * draw[0]) * size * height) + 1
    wide = int((0.3 + 0.7 * draw[1]) * size * width) + 1
    top, left = int(draw[2] * (height - tall + 1)), int(draw[3] * (width - wide + 1))
    color = [int(256 * share) for share in draw[4:7]]
    cv2.rectangle(image, (left, top), (left + wide - 1, top + tall - 1), color, cv2.FILLED)


PRESETS: Mapping[str, Augmentation] = MappingProxyType(
    {
        "none": Augmentation(),
        # Enough for the very track that was recorded, in the same light.
        "light": Augmentation(
            mirror=0.5,
            rotation=0.2,
            shift=0.3,
            shadow=0.15,
            brightness=0.5,
            tint=0.3,
            blur=0.15,
            noise=0.2,
            cutout=0.1,
        ),
        # The light, the colours and the camera change much, what is seen moves little:
        # the command would have to move along.
        "default": Augmentation(
            mirror=0.5,
            rotation=0.2,
            shift=0.3,
            shadow=0.3,
            brightness=0.8,
            tint=0.6,
            blur=0.3,
            noise=0.4,
            jpeg=0.1,
            cutout=0.3,
            brightness_size=0.35,
            tint_levels=30.0,
            noise_levels=20.0,
        ),
        # The improved training tutorial's: a little turned, noisy and blurred.
        "tutorial": Augmentation(rotation=0.7, degrees=5.0, noise=0.2, blur=0.2),
        # The star classifier's generated copies.
        "star": Augmentation(
            shift=0.5,
            shift_x=0.05,
            shift_y=0.1,
            zoom=0.5,
            zoom_size=0.05,
            tint=0.5,
            tint_levels=25.0,
        ),
        # Follow Me's flips, and what a camera in the air does besides.
        "follow": Augmentation(
            mirror=0.5,
            rotation=0.2,
            degrees=8.0,
            shift=0.3,
            zoom=0.3,
            zoom_size=0.2,
            brightness=0.4,
            tint=0.2,
            blur=0.1,
            noise=0.1,
        ),
    }
)


def parse_augmentation(
    text: str, classes: Sequence[str] | None = None, *, masked: bool = False
) -> Augmentation:
    """The augmentation that ``text`` asks for, as it fits data of ``classes``.

    ``text`` is a preset, with single values changed behind it, or these alone:
    ``default``, ``default,rotation=0.7,mirror=0``, ``rotation=1,degrees=180``. Without
    ``classes`` it is for the 12 commands. Raises :class:`DataError` naming what there is.
    """
    words = text.split(",")
    augmentation = Augmentation() if "=" in words[0] else _preset(words.pop(0))
    values: dict[str, Any] = dict(map(_value, words))
    augmentation = replace(augmentation, **values)
    if classes is None:
        return augmentation
    asked = values.get("mirror", 0) > 0
    return augmentation.for_data(classes, masked=masked, asked=asked)


def _preset(name: str) -> Augmentation:
    try:
        return PRESETS[name]
    except KeyError:
        raise DataError(
            f"augmentation {name!r} is not known; use one of {', '.join(PRESETS)}, and change "
            f"what is in it as in default,rotation=0.7,mirror=0"
        ) from None


_LIMITS = {field.name: math.inf for field in fields(Augmentation) if field.name != "mirrored"}
_LIMITS |= dict.fromkeys(KINDS, 1.0) | {"shift_x": 1.0, "shift_y": 1.0, "zoom_size": 0.9}
_LIMITS |= {"cutout_size": 0.9, "jpeg_quality": 60.0}


def _value(word: str) -> tuple[str, float]:
    name, _, text = word.partition("=")
    if name not in _LIMITS:
        raise DataError(
            f"augmentation has no {name!r}; use {', '.join(KINDS)} (shares of the images), or "
            f"{', '.join(name for name in _LIMITS if name not in KINDS)}"
        )
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _LIMITS[name] or math.isinf(value):
        most = f"to {_LIMITS[name]:g}" if math.isfinite(_LIMITS[name]) else "up"
        raise DataError(
            f"augmentation {word!r}: {name} is a number from 0 {most}, as in {name}=0.2"
        )
    return name, value
