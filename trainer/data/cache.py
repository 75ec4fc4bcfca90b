"""Every image of a dataset, decoded once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from autcar.errors import DataError, DataNotFoundError
from autcar.images import read_image
from trainer.data.dataset import Dataset
from trainer.data.image_store import Images, MemoryStore, open_store
from trainer.data.sources.masks import read_mask


def image_workers(threads: int) -> ThreadPoolExecutor:
    """Threads that share images out among them: OpenCV's own would only get in their way."""
    return ThreadPoolExecutor(threads, "images", initializer=cv2.setNumThreads, initargs=(1,))


class ImageCache:
    """Every image of a dataset, decoded once and resized to ``height`` × ``width``.

    Masks are kept beside them, resized without mixing classes. All are held in memory
    up to ``budget`` bytes, beyond that in a file in ``folder``, see
    :func:`~trainer.data.image_store.open_store`. ``progress`` is called with (done, total).
    Images that are missing, empty, cut short or of another size than most of their
    group or than their mask are named in ``problems`` and false in ``usable``.

    Raises :class:`DataError` when not one image is usable, or the file does not fit
    on the disk.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        height: int,
        width: int,
        folder: str | Path | None = None,
        budget: int | None = None,
        threads: int = 2,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.height, self.width = height, width
        self.problems: list[str] = []
        self._paths, self._mask_paths = dataset.paths, dataset.masks
        self._images = open_store(len(dataset), (height, width, 3), folder, budget)
        self._masks = (
            None
            if dataset.masks is None
            else open_store(len(dataset), (height, width), folder, budget)
        )
        self.in_memory = isinstance(self._images, MemoryStore)
        found = self._decode(threads, progress)
        self.usable = self._check_sizes(found, dataset.groups)
        if not self.usable.any():
            first = self.problems[0] if self.problems else "the dataset is empty"
            raise DataError(
                f"not one of {len(dataset):,} images is usable; first problem: {first}"
            )

    def __len__(self) -> int:
        return len(self._paths)

    def images(self, indices: npt.NDArray[np.integer]) -> Images:
        """Copies of the images ``indices``, ``uint8`` n×H×W×3 RGB."""
        return self._images.take(indices)

    def masks(self, indices: npt.NDArray[np.integer]) -> Images | None:
        """Copies of the masks of the images ``indices``, ``uint8`` n×H×W, where there are any."""
        return None if self._masks is None else self._masks.take(indices)

    def only_usable(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of ``indices`` whose images are usable, in the same order."""
        return indices[self.usable[indices]]

    def _decode(
        self, threads: int, progress: Callable[[int, int], None] | None
    ) -> npt.NDArray[np.int32]:
        """Fill the cache. Returns the size of each image as found, n×2, zero where broken."""
        sizes = np.zeros((len(self), 2), np.int32)
        step = 64

        def decode(start: int) -> list[str]:
            problems = []
            for row in range(start, min(start + step, len(self))):
                try:
                    image = read_image(self._paths[row])
                    self._put_mask(row, image)
                except (DataError, DataNotFoundError) as error:
                    problems.append(str(error))
                    continue
                sizes[row] = image.shape[:2]
                self._images.put(row, _resized(image, self.height, self.width))
            return problems

        with image_workers(threads) as pool:
            starts = range(0, len(self), step)
            for start, problems in zip(starts, pool.map(decode, starts), strict=True):
                self.problems += problems
                if progress is not None:
                    progress(min(start + step, len(self)), len(self))
        return sizes

    def _put_mask(self, row: int, image: Images) -> None:
        if self._masks is None or self._mask_paths is None:
            return
        mask = read_mask(self._mask_paths[row])
        if mask.shape != image.shape[:2]:
            raise DataError(
                f"mask {self._mask_paths[row]} is {mask.shape[1]}×{mask.shape[0]}, its image "
                f"{image.shape[1]}×{image.shape[0]}; draw it as large as its image"
            )
        size = (self.width, self.height)
        resized = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        self._masks.put(row, np.asarray(resized, np.uint8))

    def _check_sizes(
        self, sizes: npt.NDArray[np.int32], groups: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.bool_]:
        usable = sizes[:, 0] > 0
        for group in np.unique(groups[usable]):
            rows = np.flatnonzero(usable & (groups == group))
            shapes, counts = np.unique(sizes[rows], axis=0, return_counts=True)
            height, width = shapes[np.argmax(counts)]
            for row in rows[(sizes[rows] != (height, width)).any(axis=1)]:
                usable[row] = False
                self.problems.append(
                    f"{self._paths[row]} is {sizes[row, 1]}×{sizes[row, 0]}, the other images of "
                    f"its recording are {width}×{height}; delete it or record it again"
                )
        return usable


def _resized(image: Images, height: int, width: int) -> Images:
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)
