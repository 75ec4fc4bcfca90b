import threading

import numpy as np
import pytest

from autcar.images import write_png
from trainer.data.augmentation import Augmentation, parse_augmentation
from trainer.data.batches import Batches
from trainer.data.cache import ImageCache
from trainer.data.dataset import load_dataset


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """No power is cut here: forcing the whole disk each time is all that would take long."""
    monkeypatch.setattr("os.sync", lambda: None)


@pytest.fixture
def dataset(make_session):
    return load_dataset(make_session(frames=48))


@pytest.fixture
def masked(tmp_path):
    """Six images with a blue hero, and their masks."""
    for number in range(6):
        image = np.full((48, 64, 3), 90, np.uint8)
        mask = np.full_like(image, (255, 0, 0))
        top, left = 5 * number, 8 * number
        image[top : top + 14, left : left + 15] = (20, 20, 220)
        mask[top : top + 14, left : left + 15] = (0, 0, 255)
        write_png(tmp_path / "follow" / "images" / f"{number}.png", image)
        write_png(tmp_path / "follow" / "masks" / f"{number}.png", mask)
    return load_dataset(tmp_path / "follow")


def collect(batches, epoch):
    images, labels = zip(*batches.epoch(epoch), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_an_epoch_shows_each_index_as_often_as_it_is_given(dataset):
    cache = ImageCache(dataset, height=24, width=32)
    indices = np.array([*range(40), 3, 3, 3])
    batches = Batches(cache, dataset.labels, indices, batch_size=16)
    assert len(batches) == 3
    assert [len(labels) for _, labels in batches.epoch(0)] == [16, 16, 11]
    images, labels = collect(batches, 0)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int16)
    np.testing.assert_array_equal(np.sort(labels), np.sort(dataset.labels[indices]))
    in_order = Batches(cache, dataset.labels, indices, batch_size=16, shuffle=False)
    np.testing.assert_array_equal(collect(in_order, 0)[1], dataset.labels[indices])
    np.testing.assert_array_equal(collect(in_order, 0)[0], cache.images(indices))


def test_the_same_seed_gives_the_same_batches(dataset):
    cache = ImageCache(dataset, height=24, width=32)

    def batches(seed, threads=2):
        return Batches(
            cache,
            dataset.labels,
            np.arange(48),
            batch_size=8,
            seed=seed,
            augment=parse_augmentation("default"),
            threads=threads,
        )

    first = collect(batches(1), 3)
    for same in (collect(batches(1), 3), collect(batches(1, threads=1), 3)):
        np.testing.assert_array_equal(first[0], same[0])
        np.testing.assert_array_equal(first[1], same[1])
    for other in (collect(batches(1), 4), collect(batches(2), 3)):
        assert not np.array_equal(first[0], other[0])


def test_augmentation_never_reaches_the_cache(dataset):
    cache = ImageCache(dataset, height=24, width=32)
    before = cache.images(np.arange(48))
    collect(
        Batches(cache, dataset.labels, np.arange(48), augment=parse_augmentation("default")), 0
    )
    np.testing.assert_array_equal(before, cache.images(np.arange(48)))


def test_an_epoch_that_is_left_early_leaves_no_thread(dataset):
    cache = ImageCache(dataset, height=24, width=32)
    before = threading.active_count()
    for _ in Batches(cache, dataset.labels, np.arange(48), batch_size=4).epoch(0):
        break
    assert threading.active_count() == before


def test_an_error_in_a_worker_reaches_the_trainer(dataset):
    cache = ImageCache(dataset, height=24, width=32)

    class Broken(Augmentation):
        def apply(self, *_):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(Batches(cache, dataset.labels, np.arange(48), augment=Broken()).epoch(0))


def test_shards_together_are_what_one_worker_gets(dataset):
    cache = ImageCache(dataset, height=24, width=32)

    def batches(shard, shards):
        return Batches(
            cache,
            dataset.labels,
            np.arange(44),
            batch_size=16,
            augment=parse_augmentation("default"),
            shard=shard,
            shards=shards,
        )

    whole = list(batches(0, 1).epoch(2))
    halves = [list(batches(shard, 2).epoch(2)) for shard in (0, 1)]
    assert len(whole) == len(halves[0]) == len(halves[1]) == 3
    for number, (images, labels) in enumerate(whole):
        for shard in (0, 1):
            np.testing.assert_array_equal(halves[shard][number][0], images[shard::2])
            np.testing.assert_array_equal(halves[shard][number][1], labels[shard::2])


def test_masks_are_the_targets_and_move_with_their_images(masked):
    cache = ImageCache(masked, height=48, width=64)
    plain = Batches(cache, masked.labels, np.arange(6), shuffle=False)
    ((images, masks),) = plain.epoch(0)
    assert (masks.shape, masks.dtype) == ((6, 48, 64), np.uint8)
    # The hero is where the image is blue, before and after.
    blue = images[..., 2] > 128
    assert 0.02 < blue.mean() < 0.2
    np.testing.assert_array_equal(blue, masks == 2)
    text = "mirror=1,rotation=1,degrees=30,shift=1,zoom=1"
    augment = parse_augmentation(text, masked.classes, masked=True)
    ((images, moved),) = Batches(
        cache, masked.labels, np.arange(6), shuffle=False, augment=augment
    ).epoch(0)
    assert set(np.unique(moved)) <= {0, 1, 2}
    assert (moved != masks).mean() > 0.03
    assert ((images[..., 2] > 128) == (moved == 2)).mean() > 0.98
