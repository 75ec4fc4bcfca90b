"""A picture of what augmentation does: a row for each kind, a column for each frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from autcar.images import read_image
from trainer.data.augmentation import KINDS, Augmentation, parse_augmentation
from trainer.data.cache import ImageCache
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.image_store import Images
from trainer.data.sources.masks import COLORS
from trainer.report.plots import GREY, new_figure, save_figure

WIDTH = 224
"""Frames are shown so wide, or as they are where they are smaller."""

_GAP = 6


def augment_preview(
    data: str | Path,
    output: str | Path,
    *,
    augment: str = "default",
    columns: int = 6,
    include_deleted: bool = False,
    seed: int = 0,
) -> Path:
    """Draw what each kind of ``augment`` does to frames of ``data``, as a PNG.

    Each row but the last applies one kind to every frame, as far as ``augment`` lets it
    go; the last shows all together, each on its share. Masks are laid over their images.
    Raises as :func:`~trainer.data.dataset.load_dataset` and
    :func:`~trainer.data.augmentation.parse_augmentation` do.
    """
    dataset = load_dataset(data, include_deleted=include_deleted)
    augmentation = parse_augmentation(augment, dataset.classes, masked=dataset.masks is not None)
    frames = _frames(dataset, columns)
    alone: dict[str, Any] = dict.fromkeys(KINDS, 0.0)
    rows = [("as recorded", "", _shown(*frames))]
    for kind in KINDS:
        share = getattr(augmentation, kind)
        text = f"on {share:.0%}, {_reach(augmentation, kind)}" if share else f"not in {augment}"
        one = replace(augmentation, **{**alone, kind: 1.0})
        rows.append((kind, text.removesuffix(", "), _augmented(one, frames, seed)))
    rows.append((augment, "all together", _augmented(augmentation, frames, seed)))
    return _draw(rows, output)


def _frames(dataset: Dataset, count: int) -> tuple[Images, Images | None]:
    """``count`` usable images from all over the dataset, and their masks."""
    rows = np.linspace(0, len(dataset) - 1, min(4 * count, len(dataset))).astype(np.int64)
    # Those that are looked for first, so that masks have something to show.
    if dataset.masks is not None:
        rows = rows[np.argsort(-dataset.labels[rows], kind="stable")]
    height, width = read_image(dataset.paths[rows[0]]).shape[:2]
    scale = min(1.0, WIDTH / width)
    few = dataset.subset(rows)
    cache = ImageCache(few, height=round(scale * height), width=round(scale * width))
    usable = np.flatnonzero(cache.usable)
    spread = np.linspace(0, len(usable) - 1, min(count, len(usable))).astype(np.int64)
    chosen = usable[:count] if dataset.masks is not None else usable[spread]
    return cache.images(chosen), cache.masks(chosen)


def _augmented(
    augmentation: Augmentation, frames: tuple[Images, Images | None], seed: int
) -> Images:
    images, masks = frames[0].copy(), None if frames[1] is None else frames[1].copy()
    plan = augmentation.draw(len(images), np.random.default_rng(seed))
    targets = np.zeros(len(images), np.int16) if masks is None else masks
    augmentation.apply(images, targets, plan)
    return _shown(images, masks)


def _shown(images: Images, masks: Images | None) -> Images:
    if masks is None:
        return images
    colors = np.array(list(COLORS.values()), np.uint8)
    laid = cv2.addWeighted(images, 0.5, colors[masks], 0.5, 0)
    return np.where(masks[..., None] > 0, laid, images).astype(np.uint8)


def _reach(augmentation: Augmentation, kind: str) -> str:
    """How far a kind goes, in words."""
    a = augmentation
    return {
        "rotation": f"up to ±{a.degrees:g}°",
        "shift": f"up to {a.shift_x:.0%} and {a.shift_y:.0%}",
        "zoom": f"up to ±{a.zoom_size:.0%}",
        "brightness": f"up to ±{a.brightness_size:.0%}",
        "tint": f"up to ±{a.tint_levels:g} levels",
        "noise": f"up to {a.noise_levels:g} levels",
        "jpeg": f"quality {a.jpeg_quality:g} to 60",
        "cutout": f"up to {a.cutout_size:.0%} a side",
    }.get(kind, "")


def _draw(rows: list[tuple[str, str, Images]], output: str | Path) -> Path:
    count, height, width = rows[0][2].shape[:3]
    sheet = np.full(
        ((height + _GAP) * len(rows) - _GAP, (width + _GAP) * count - _GAP, 3), 255, np.uint8
    )
    for row, (_, _, images) in enumerate(rows):
        for column, image in enumerate(images):
            top, left = row * (height + _GAP), column * (width + _GAP)
            sheet[top : top + height, left : left + width] = image
    wide = 1.4 * count
    figure, axes = new_figure(wide + 1.9, wide * sheet.shape[0] / sheet.shape[1] + 0.2)
    axes.imshow(sheet, interpolation="lanczos")
    axes.set_axis_off()
    middles: npt.NDArray[np.float64] = np.arange(len(rows)) * (height + _GAP) + height / 2
    for middle, (name, text, _) in zip(middles, rows, strict=True):
        style = {"xycoords": axes.transData, "textcoords": "offset points", "ha": "right"}
        at = (0, middle)
        axes.annotate(name, at, (-10, 2), weight="bold", size=10, **style)
        axes.annotate(text, at, (-10, -10), size=7.5, color=GREY, **style)
    return save_figure(figure, output)
