"""Images with their masks, decoded once, and the crops that training sees of them.

The hero is a quarter of a per cent of the pixels. Whole images would teach mostly
pavement, so a batch is cut around heroes and around people who are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from autcar.errors import AutcarError, DataError
from autcar.images import read_image
from trainer.data.batches import ahead
from trainer.data.dataset import Dataset
from trainer.data.sources.masks import VISIBLE_PIXELS, read_mask

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Box = tuple[int, int, int, int]


class Scenes:
    """Every image of a dataset with its mask, ``height`` × ``width``, in memory.

    ``images`` are ``uint8`` N×H×W×3 RGB, ``masks`` N×H×W pixel classes. Pairs that
    cannot be used, or of which the mask has not the image's size, are named in
    ``problems`` and false in ``usable``. Raises :class:`DataError` when none is usable,
    or when they do not fit into memory.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        height: int,
        width: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        assert dataset.masks is not None
        try:
            self.images = np.empty((len(dataset), height, width, 3), np.uint8)
            self.masks = np.zeros((len(dataset), height, width), np.uint8)
        except MemoryError:
            size = len(dataset) * height * width * 4
            raise DataError(
                f"{len(dataset):,} images with masks of {width}×{height} take {size / 1e9:.1f} GB "
                f"of memory, more than there is; give fewer, or a smaller --size"
            ) from None
        self.classes = dataset.classes
        self.usable = np.zeros(len(dataset), bool)
        self.problems: list[str] = []
        for row, paths in enumerate(zip(dataset.paths, dataset.masks, strict=True)):
            try:
                self._read(row, *paths)
            except AutcarError as error:
                self.problems.append(str(error))
            if progress is not None and (row % 64 == 63 or row + 1 == len(dataset)):
                progress(row + 1, len(dataset))
        if not self.usable.any():
            raise DataError(
                f"not one of {len(dataset):,} images with masks is usable; first problem: "
                f"{self.problems[0]}"
            )

    def _read(self, row: int, path: str, mask_path: str) -> None:
        image, mask = read_image(path), read_mask(mask_path)
        if image.shape[:2] != mask.shape:
            raise DataError(
                f"mask {mask_path} is {mask.shape[1]}×{mask.shape[0]}, its image {path} is "
                f"{image.shape[1]}×{image.shape[0]}; make it as large, or delete both"
            )
        height, width = self.masks.shape[1:]
        self.images[row] = _resized(image, width, height)
        self.masks[row] = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        self.usable[row] = True

    def batches(self, rows: Indices, size: int = 16) -> Iterator[tuple[Images, Images]]:
        """The whole images ``rows`` with their masks, ``size`` at a time."""
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield self.images[part], self.masks[part]


@dataclass(frozen=True)
class Cutting:
    """How crops are cut. The shares are of the crops.

    ``hero`` are cut around a pixel of the hero, ``others`` around one of the other
    classes but the first, ``alarms`` around a false alarm where there are some, the rest
    anywhere. ``paste`` of those without the hero get a
    hero from another image, made as small as heroes are far off, mostly beside somebody
    else: far heroes are rare and hard. ``zoom``, ``light`` and ``tint`` are the largest
    factors of size, brightness and a channel's; a half is mirrored.
    """

    hero: float = 0.35
    others: float = 0.25
    alarms: float = 0.0
    paste: float = 0.3
    zoom: float = 1.5
    light: float = 1.25
    tint: float = 1.08


PLAIN = Cutting(paste=0.0, zoom=1.0, light=1.0, tint=1.0)
"""Crops as they are, to validate on."""

FAR_HEIGHT = (6.0, 28.0)
"""Pixels from head to foot of a hero who is pasted."""

DONOR_PIXELS = 120
"""A hero must have as many to be made smaller."""


class Crops:
    """``count`` batches an epoch of ``size`` × ``size`` crops, the same for the same seed.

    Each is ``uint8`` B×S×S×3 images and B×S×S pixel classes. With ``fixed`` every epoch
    has the same ones. ``alarms`` are pixels that were taken for the hero, ``int64`` n×3 of
    row, y and x. Raises :class:`DataError` where no image shows the last class.
    """

    def __init__(
        self,
        scenes: Scenes,
        rows: Indices,
        *,
        size: int,
        count: int,
        batch_size: int = 32,
        cutting: Cutting | None = None,
        alarms: Indices | None = None,
        seed: int = 0,
        fixed: bool = False,
        threads: int = 1,
    ) -> None:
        self._scenes = scenes
        self._rows = rows[scenes.usable[rows]]
        self._size, self._count, self._batch_size = size, count, batch_size
        self._cutting = cutting or Cutting()
        self._seed, self._fixed, self._threads = seed, fixed, threads
        self._alarms = np.empty((0, 3), np.int64) if alarms is None else alarms
        self._hero = len(scenes.classes) - 1
        pixels = np.array([np.bincount(scenes.masks[row].ravel(), minlength=self._hero + 1)
                           for row in self._rows])  # fmt: skip
        self._with_hero = self._rows[pixels[:, self._hero] > VISIBLE_PIXELS]
        self._with_others = self._rows[pixels[:, 1 : self._hero].sum(axis=1) > VISIBLE_PIXELS]
        if not len(self._with_hero):
            raise DataError(
                f"no mask of {len(self._rows):,} shows more than {VISIBLE_PIXELS} pixels of "
                f"{scenes.classes[-1]}; add images that do"
            )
        large = self._rows[pixels[:, self._hero] >= DONOR_PIXELS]
        boxes = ((row, _box(scenes.masks[row] == self._hero)) for row in large)
        self._donors = [(row, box) for row, box in boxes if self._whole(box)]

    def __len__(self) -> int:
        return self._count

    def epoch(self, epoch: int) -> Iterator[tuple[Images, Images]]:
        """The batches of one epoch, cut by worker threads ahead of the trainer."""
        with ThreadPoolExecutor(self._threads, "crops", cv2.setNumThreads, (1,)) as pool:
            keys = ((self._seed, 0 if self._fixed else epoch, i) for i in range(self._count))
            jobs = (pool.submit(self._batch, key) for key in keys)
            yield from ahead(jobs, 2 * self._threads)

    def _batch(self, key: tuple[int, int, int]) -> tuple[Images, Images]:
        rng = np.random.default_rng(key)
        crops = [self._crop(rng) for _ in range(self._batch_size)]
        return np.stack([image for image, _ in crops]), np.stack([mask for _, mask in crops])

    def _crop(self, rng: np.random.Generator) -> tuple[Images, Images]:
        plan, draw = self._cutting, rng.random()
        if draw < plan.hero:
            row, center = self._around(self._with_hero, (self._hero, self._hero), rng)
        elif draw < plan.hero + plan.others and len(self._with_others):
            row, center = self._around(self._with_others, (1, self._hero - 1), rng)
        elif draw < plan.hero + plan.others + plan.alarms and len(self._alarms):
            row, *pixel = self._alarms[rng.integers(len(self._alarms))]
            center = np.array(pixel, float)
        else:
            row = rng.choice(self._rows)
            center = rng.uniform(0, self._scenes.masks.shape[1:])
        image, mask = self._cut(row, center, rng)
        if draw >= plan.hero and self._donors and rng.random() < plan.paste:
            self._paste(image, mask, rng)
        if rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        return _lit(image, plan, rng), mask

    def _around(
        self, rows: Indices, classes: tuple[int, int], rng: np.random.Generator
    ) -> tuple[int, npt.NDArray[np.float64]]:
        """A row, and a pixel in it of the classes from the first to the last."""
        row = rng.choice(rows)
        mask = self._scenes.masks[row]
        pixels = np.flatnonzero((mask >= classes[0]) & (mask <= classes[1]))
        return row, np.array(np.divmod(rng.choice(pixels), mask.shape[1]), float)

    def _cut(
        self, row: int, center: npt.NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[Images, Images]:
        """The surroundings of ``center``, anywhere in them, zoomed in half of the cases."""
        image, mask = self._scenes.images[row], self._scenes.masks[row]
        limit = math.log(self._cutting.zoom)
        zoom = math.exp(rng.uniform(-limit, limit)) if rng.random() < 0.5 else 1.0
        side = min(round(self._size / zoom), *mask.shape)
        corner = center + rng.uniform(-0.4, 0.4, 2) * side - side / 2
        top, left = np.clip(corner, 0, np.array(mask.shape) - side).astype(int)
        part = np.s_[top : top + side, left : left + side]
        size = (self._size, self._size)
        mask = cv2.resize(mask[part], size, interpolation=cv2.INTER_NEAREST)
        return _resized(image[part], *size).copy(), mask.copy()

    def _whole(self, box: Box) -> bool:
        """Whether a box lies inside the image, and is high enough to hold a standing hero."""
        top, bottom, left, right = box
        height, width = self._scenes.masks.shape[1:]
        inside = top > 0 and left > 0 and bottom < height and right < width
        return inside and bottom - top > 1.2 * (right - left)

    def _paste(self, image: Images, mask: Images, rng: np.random.Generator) -> None:
        """Put a small hero into a crop, in place."""
        row, (top, bottom, left, right) = self._donors[rng.integers(len(self._donors))]
        part = np.s_[top:bottom, left:right]
        hero = self._scenes.images[row][part]
        shape = (self._scenes.masks[row][part] == self._hero).astype(np.float32)
        height = min(rng.uniform(*FAR_HEIGHT), bottom - top)
        width = (right - left) * height / (bottom - top) * rng.uniform(0.8, 1.2)
        size = max(2, round(width)), max(4, round(height))
        # A renderer's far figures are jagged, a camera's are smooth.
        method = int(rng.choice((cv2.INTER_NEAREST, cv2.INTER_AREA, cv2.INTER_LINEAR)))
        hero = cv2.resize(hero, size, interpolation=method) * rng.uniform(0.75, 1.15)
        shown = cv2.resize(shape, size, interpolation=method) > 0.5
        if rng.random() < 0.5:
            hero, shown = hero[:, ::-1], shown[:, ::-1]
        y, x = (self._place(mask, rng) - np.array(shown.shape) / 2).astype(int)
        rows, columns = np.nonzero(shown)
        inside = (rows + y >= 0) & (rows + y < len(mask)) & (columns + x >= 0)
        inside &= columns + x < mask.shape[1]
        rows, columns = rows[inside], columns[inside]
        image[rows + y, columns + x] = np.clip(hero[rows, columns], 0, 255)
        mask[rows + y, columns + x] = self._hero

    def _place(self, mask: Images, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Where to put a hero: beside somebody, where there are people, or anywhere."""
        people = np.flatnonzero((mask > 0) & (mask < self._hero))
        if len(people) and rng.random() < 0.8:
            pixel = np.array(np.divmod(rng.choice(people), mask.shape[1]), float)
            return pixel + rng.uniform((-3, -14), (3, 14))
        return rng.uniform(0, mask.shape)


def _box(shown: npt.NDArray[np.bool_]) -> Box:
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _lit(image: Images, plan: Cutting, rng: np.random.Generator) -> Images:
    """Other light, and noise in one of five."""
    if plan.light == 1.0:
        return image
    light = rng.uniform(2 - plan.light, plan.light)
    tint = rng.uniform(2 - plan.tint, plan.tint, 3)
    lit = image * (light * tint).astype(np.float32) + np.float32(rng.uniform(-15, 15))
    if rng.random() < 0.2:
        lit += rng.normal(0, rng.uniform(1, 6), lit.shape).astype(np.float32)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def _resized(image: Images, width: int, height: int) -> Images:
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)
