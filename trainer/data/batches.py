"""From the cache to batches: shuffle and augment, ahead of the trainer."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from trainer.data.augmentation import Augmentation, Targets
from trainer.data.cache import ImageCache, image_workers
from trainer.data.image_store import Images

Batch = tuple[Images, Targets]
Result = TypeVar("Result")


def ahead(jobs: Iterator[Future[Result]], count: int) -> Iterator[Result]:
    """What ``jobs`` give, in their order, ``count`` of them begun before they are wanted."""
    ready = deque(itertools.islice(jobs, count))
    try:
        while ready:
            result = ready.popleft().result()
            ready.extend(itertools.islice(jobs, 1))
            yield result
    finally:
        for job in ready:
            job.cancel()


class Batches:
    """Batches of a cache's images, the same for the same seed and epoch.

    ``labels`` are the whole dataset's, ``indices`` the rows to show, repeated ones
    as often as they stand there. Worker threads keep some batches ready, so that
    the trainer does not wait. The last batch may be smaller. Of ``shards`` workers,
    number ``shard`` gets every ``shards``-th image of each batch: together, what one
    worker alone would get.
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
        shard: int = 0,
        shards: int = 1,
    ) -> None:
        self._cache = cache
        self._labels = labels
        self._indices = cache.only_usable(indices)
        self._batch_size = batch_size
        self._seed = seed
        self._augment = augment
        self._shuffle = shuffle
        self._threads = threads
        self._mine = slice(shard, None, shards)

    def __len__(self) -> int:
        return -(-len(self._indices) // self._batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch: ``uint8`` B×H×W×3 images and their targets.

        These are ``int16`` B labels, or the ``uint8`` B×H×W masks of a dataset that has
        them.
        """
        order = self._indices
        if self._shuffle:
            order = np.random.default_rng((self._seed, epoch)).permutation(order)
        with image_workers(self._threads) as pool:
            jobs = (pool.submit(self._batch, order, epoch, i) for i in range(len(self)))
            yield from ahead(jobs, 2 * self._threads)

    def _batch(self, order: npt.NDArray[np.int64], epoch: int, number: int) -> Batch:
        start = number * self._batch_size
        rows = order[start : start + self._batch_size]
        mine = rows[self._mine]
        images, masks = self._cache.images(mine), self._cache.masks(mine)
        targets = self._labels[mine] if masks is None else masks
        if self._augment is not None:
            # Drawn for the whole batch, so that shards do what one worker would.
            rng = np.random.default_rng((self._seed, epoch, number + 1))
            plan = self._augment.draw(len(rows), rng)
            self._augment.apply(images, targets, plan[self._mine])
        return images, targets
