"""From image files to batches: decode once, cache, shuffle, augment, ahead of the trainer."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from autcar.errors import DataError, DataNotFoundError
from autcar.images import read_image
from trainer.augmentation import Augmentation
from trainer.dataset import Dataset

Images = npt.NDArray[np.uint8]
Batch = tuple[Images, npt.NDArray[np.int16]]

MEMORY_BUDGET = 2 << 30
"""Bytes of decoded images that are held in memory, if half of what is free allows it."""


def default_budget() -> int:
    """:data:`MEMORY_BUDGET`, or half of the free memory where that is less, in bytes."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        free = 2 * MEMORY_BUDGET
    return min(MEMORY_BUDGET, free // 2)


def _workers(threads: int) -> ThreadPoolExecutor:
    """Threads that share images out among them: OpenCV's own would only get in their way."""
    return ThreadPoolExecutor(threads, "images", initializer=cv2.setNumThreads, initargs=(1,))


class ImageCache:
    """Every image of a dataset, decoded once and resized to ``height`` × ``width``.

    The images are held in memory up to ``budget`` bytes, beyond that in an
    unnamed file in ``folder`` (the system's temporary folder by default) that is
    gone when the cache is. ``progress`` is called with (done, total). Images that
    are missing, empty, cut short or of another size than most of their group are
    named in ``problems`` and false in ``usable``.

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
        self._paths = dataset.paths
        shape = (len(dataset), height, width, 3)
        size = len(dataset) * height * width * 3
        self.in_memory = size <= (default_budget() if budget is None else budget)
        self._images: Images = (
            np.empty(shape, np.uint8) if self.in_memory else _mapped(shape, size, folder)
        )
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
        return np.asarray(self._images[indices])

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
                except (DataError, DataNotFoundError) as error:
                    problems.append(str(error))
                    continue
                sizes[row] = image.shape[:2]
                self._images[row] = _resized(image, self.height, self.width)
            return problems

        with _workers(threads) as pool:
            starts = range(0, len(self), step)
            for start, problems in zip(starts, pool.map(decode, starts), strict=True):
                self.problems += problems
                if progress is not None:
                    progress(min(start + step, len(self)), len(self))
        return sizes

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


def _mapped(shape: tuple[int, ...], size: int, folder: str | Path | None) -> Images:
    """An array in an unnamed file. Its space is taken now: later, a full disk would kill us."""
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            where = folder or tempfile.gettempdir()
            raise DataError(
                f"the decoded images need {size / 1e9:.1f} GB in {where} "
                f"({error.strerror}); free some space, or train with smaller images"
            ) from error
        return np.memmap(file, np.uint8, "r+", shape=shape)


class Batches:
    """Batches of a cache's images, the same for the same seed and epoch.

    ``labels`` are the whole dataset's, ``indices`` the rows to show, repeated ones
    as often as they stand there. Worker threads keep some batches ready, so that
    the trainer does not wait. The last batch may be smaller.
    """

    def __init__(
        self,
        cache: ImageCache,
        labels: npt.NDArray[np.int16],
        indices: npt.NDArray[np.int64],
        batch_size: int = 64,
        seed: int = 0,
        augment: Augmentation | None = None,
        shuffle: bool = True,
        *,
        threads: int = 2,
    ) -> None:
        self._cache = cache
        self._labels = labels
        self._indices = cache.only_usable(indices)
        self._batch_size = batch_size
        self._seed = seed
        self._augment = augment
        self._shuffle = shuffle
        self._threads = threads

    def __len__(self) -> int:
        return -(-len(self._indices) // self._batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch: ``uint8`` B×H×W×3 images and ``int16`` labels."""
        order = self._indices
        if self._shuffle:
            order = np.random.default_rng((self._seed, epoch)).permutation(order)
        with _workers(self._threads) as pool:
            jobs = (pool.submit(self._batch, order, epoch, i) for i in range(len(self)))
            ready: deque[Future[Batch]] = deque(itertools.islice(jobs, 2 * self._threads))
            try:
                while ready:
                    batch = ready.popleft().result()
                    ready.extend(itertools.islice(jobs, 1))
                    yield batch
            finally:
                for job in ready:
                    job.cancel()

    def _batch(self, order: npt.NDArray[np.int64], epoch: int, number: int) -> Batch:
        start = number * self._batch_size
        rows = order[start : start + self._batch_size]
        images, labels = self._cache.images(rows), self._labels[rows]
        if self._augment is None:
            return images, labels
        return self._augment(
            images, labels, np.random.default_rng((self._seed, epoch, number + 1))
        )
