"""Folders of images and masks, as Udacity's Follow Me has them.

``images`` and ``masks`` hold a file each for each picture. A mask is as large as its
image and shows what each pixel belongs to by its colour.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from autcar.errors import DataError
from autcar.images import read_image
from autcar.recording.session import SOURCES
from trainer.data.sources.columns import Columns, nominal_times_ns
from trainer.data.sources.pictures import INTERVAL_S, SUFFIXES

COLORS = {"background": (255, 0, 0), "people": (0, 255, 0), "hero": (0, 0, 255)}
"""RGB in a mask, by pixel class, in the order of the classes. The last is looked for."""

VISIBLE_PIXELS = 3
"""The hero is in an image where more pixels than this are his, as the project scores it."""

TOLERANCE = 96
"""How far each channel may be off: a mask that was kept as JPEG is not exact."""

STRAY_SHARE = 0.02
"""Share of a JPEG mask's pixels that may be of no class's colour: they lie on its edges."""


def is_masked(folder: Path) -> bool:
    """Whether ``folder`` holds images and masks."""
    return (folder / "images").is_dir() and (folder / "masks").is_dir()


def read_masked(folder: Path) -> Columns:
    """Read a folder of images and masks.

    Masks that cannot be used are left out and named in ``problems``. Raises
    :class:`DataError` where images and masks do not pair one to one, or no mask can
    be used.
    """
    images, masks = _pair(folder)
    labels = np.full(len(images), -1, np.int16)
    problems = []
    for row, mask in enumerate(masks):
        try:
            pixels = read_mask(mask)
        except DataError as error:
            problems.append(str(error))
            continue
        labels[row] = np.count_nonzero(pixels == len(COLORS) - 1) > VISIBLE_PIXELS
    if (labels < 0).all():
        raise DataError(
            f"not one of {len(masks):,} masks in {folder / 'masks'} can be used; "
            f"first problem: {problems[0]}"
        )
    columns = Columns(
        root=folder,
        paths=images,
        labels=labels,
        times_ns=nominal_times_ns(len(images), INTERVAL_S),
        groups=np.zeros(len(images), np.int32),
        group_names=[folder.name],
        group_sources=[folder.name],
        sources=np.full(len(images), SOURCES.index("unknown"), np.uint8),
        classes=tuple(COLORS),
        masks=masks,
        problems=problems,
    )
    columns.keep(labels >= 0)
    return columns


def read_mask(path: str | Path) -> npt.NDArray[np.uint8]:
    """Read a mask as ``uint8`` H×W pixel classes, by index into :data:`COLORS`.

    Raises :class:`DataError` when it is no whole image or has other colours.
    """
    image = read_image(path)
    exact = not str(path).lower().endswith((".jpg", ".jpeg"))
    tolerance = 0 if exact else TOLERANCE
    pixels = np.full(image.shape[:2], 255, np.uint8)
    for index, color in enumerate(COLORS.values()):
        near = np.array(color)
        lowest, highest = np.clip(near - tolerance, 0, 255), np.clip(near + tolerance, 0, 255)
        pixels[cv2.inRange(image, lowest, highest) > 0] = index
    strays = pixels == 255
    allowed = 0 if exact else STRAY_SHARE * pixels.size
    count = np.count_nonzero(strays)
    if count > allowed:
        row, column = np.argwhere(strays)[0]
        raise DataError(
            f"mask {path} has {count:,} pixels of no known colour, such as RGB "
            f"{tuple(image[row, column].tolist())} in column {column} of row {row}; expected "
            + ", ".join(f"{color} for {name}" for name, color in COLORS.items())
            + "; draw it anew as PNG, or delete it with its image"
        )
    if count:
        pixels[strays] = image[strays].argmax(axis=1)
    return pixels


def _pair(folder: Path) -> tuple[list[str], list[str]]:
    images, masks = (_files(folder / name) for name in ("images", "masks"))
    if not images:
        raise DataError(f"{folder / 'images'} has no image (.jpg, .jpeg or .png)")
    lone = _without(images, masks), _without(masks, images)
    if len(images) != len(masks) or 0 < len(lone[0]) < len(images):
        named, what = (lone[0], "mask") if lone[0] else (lone[1], "image")
        raise DataError(
            f"{folder} has {len(images):,} images and {len(masks):,} masks, which must pair one "
            f"to one by name: {named[0]} has no {what}; add it, or delete this one"
        )
    return _by_numbers(images, masks) if lone[0] else (images, masks)


def _by_numbers(images: list[str], masks: list[str]) -> tuple[list[str], list[str]]:
    """Pairs of images and masks that have only numbers in common, none of them twice."""
    images, masks = (
        sorted(paths, key=lambda path: _numbers(_key(path))) for paths in (images, masks)
    )
    seen: set[tuple[int, ...]] = set()
    for image, mask in zip(images, masks, strict=True):
        numbers = _numbers(_key(image))
        if numbers != _numbers(_key(mask)) or numbers in seen:
            raise DataError(
                f"image {image} and mask {mask} would be a pair only by the order of names; name "
                f"each mask like its image, such as {Path(image).stem}_mask.png"
            )
        seen.add(numbers)
    return images, masks


def _files(folder: Path) -> list[str]:
    """The pictures in ``folder`` by key, those of one key by number: camera 9 before 10."""
    paths = [str(path) for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES)]
    return sorted(paths, key=lambda path: (_key(path), _numbers(Path(path).stem), path))


def _key(path: str) -> str:
    """What an image and its mask have in common: the name without camera or mask."""
    return re.sub(r"_?(cam\d*|mask|image)_?", "_", Path(path).stem).strip("_")


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", name)))


def _without(paths: list[str], others: list[str]) -> list[str]:
    """Those of ``paths`` whose key none of ``others`` is left for."""
    left = Counter(map(_key, others))
    lone = []
    for path in paths:
        key = _key(path)
        if left[key]:
            left[key] -= 1
        else:
            lone.append(path)
    return lone
