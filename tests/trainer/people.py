"""Images of people with masks, small and quick to learn: the hero is red, others are blue."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from autcar.images import write_png
from trainer.data.sources.masks import COLORS

SHIRTS = {"people": (40, 60, 190), "hero": (200, 30, 30)}


def scene(number, *, hero=True, size=64, height=None):
    """An image and its mask as RGB: grass, one of the others, and perhaps the hero."""
    rng = np.random.default_rng(number)
    image = rng.normal((90, 140, 70), 12, (size, size, 3))
    mask = np.full((size, size, 3), COLORS["background"], np.uint8)
    for name in ("people", "hero") if hero else ("people",):
        high = height if height and name == "hero" else rng.integers(size // 8, size // 3)
        wide = max(2, high // 2)
        left, top = rng.integers(1, size - wide - 1), rng.integers(1, size - high - 1)
        for picture, color in ((image, SHIRTS[name]), (mask, COLORS[name])):
            cv2.rectangle(picture, (left, top), (left + wide, top + high), color, -1)
    return np.clip(image, 0, 255).astype(np.uint8), mask


def write_people(folder: Path, count=40, **how):
    """A folder of ``images`` and ``masks``, half of them with the hero."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        image, mask = scene(number, **{"hero": number % 2 == 0, **how})
        write_png(folder / "images" / f"run1cam1_{number:05}.png", image)
        write_png(folder / "masks" / f"run1_mask_{number:05}.png", mask)
    return folder
